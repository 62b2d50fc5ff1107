"""Short trainings on CamVid at half size: what one change of a recipe does, and networks at equal compute.

    python benchmarks/short_runs.py changes --root CAMVID                    # all, each 273 steps
    python benchmarks/short_runs.py changes --root CAMVID --only lovasz sgd
    python benchmarks/short_runs.py networks --root CAMVID --seconds 90      # as many steps as fit into 90 s

Each run is `train.py` with configs/<model>/camvid.yaml, frames of 240 x 180 pixels and a schedule of its own
length, in bfloat16 on one thread of the torch engine. The table gives the validation mIoU (networks see that
size, labels keep theirs) and the processor time of all of it, start and validation included. `networks` first
times ten steps of each network. Runs that are in the output folder already are read, not run again.

A run of three epochs says what learns fast, not what ends best, and two seeds of one recipe differ by as much
as many of these changes.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from turns import ROOT

SMALL = (
    "augment.crop=[180, 240]",
    "augment.base=240",
    "evaluation.base=240",
    "evaluation.every=1000",
    "optimizer.ema=0.99",
    "schedule.warmup_iterations=27",
    "schedule.epochs=null",
    "data.workers=0",
    "compute.amp=bf16",
)
STEPS = 273  # three epochs
_ENET = "[5.6, 4.3, 33.57, 3.34, 15.49, 8.74, 31.54, 32.01, 12.83, 38.01, 43.91]"  # 1 / ln(1.02 + share)
CHANGES = {
    "base": (),
    "another seed": ("seed=1",),
    "no class weights": ("loss.class_weights=null",),
    "median frequency": ("loss.class_weights=auto",),
    "ENet's weights": (f"loss.class_weights={_ENET}",),
    "OHEM": ("loss.ohem_threshold=0.7", "loss.ohem_min_kept=0.0625"),
    "Lovasz added": ("loss.outputs=[[{weight: 1.0}, {name: lovasz, weight: 0.5, class_weights: null}]]",),
    "Dice added": ("loss.outputs=[[{weight: 1.0}, {name: dice, weight: 0.5, class_weights: null}]]",),
    "crops of 96 x 128": ("augment.crop=[96, 128]",),
    "scale 0.5 to 2": ("augment.scale_min=0.5",),
    "scale 0.75 to 1.5": ("augment.scale_max=1.5",),
    "photometric distortion": ("augment.photometric_distortion=true",),
    "SGD 0.03": ("optimizer.name=sgd", "optimizer.lr=0.03", "optimizer.weight_decay=0.0005"),
    "Adam": ("optimizer.name=adam", "optimizer.weight_decay=0.0001"),
    "cosine": ("schedule.name=cosine",),
    "lr 0.002": ("optimizer.lr=0.002",),
    "no EMA": ("optimizer.ema=null",),
    "class-uniform": ("data.sampler=class_uniform", "data.sampler_options={tile: 120}"),
}
# Of configs/_base_/camvid_frames.yaml, for recipes that do not start from it.
FRAMES = (
    "augment.scale_min=0.75",
    "augment.scale_max=2.0",
    "loss.class_weights=[0.53, 0.45, 2.19, 0.39, 1.0, 0.65, 1.96, 1.4, 0.89, 2.52, 2.98]",
)
NETWORKS = ("swiftnet", "sfnet", "bisenet", "bisenetv2", "cgnet", "erfnet", "ddrnet", "pidnet", "stdcseg")


def train(model, folder, settings, root):
    """Train and return (mIoU in percent, processor seconds)."""
    cost = folder / "processor_seconds"
    if not cost.exists():
        words = ("--model", model, "--data", "camvid", "--root", root, "--ctx", "cpu", "--engine", "torch")
        command = [sys.executable, "train.py", *words, "--output", str(folder), "--overwrite", "--quiet"]
        started = subprocess.Popen([*command, "--set", *SMALL, *settings], cwd=ROOT, env=_one_thread())
        _, status, used = os.wait4(started.pid, 0)
        if status:
            sys.exit(f"{model} {' '.join(settings)}: train.py failed")
        cost.write_text(f"{used.ru_utime + used.ru_stime:.1f}")
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    score = next(line["miou"] for line in reversed(lines) if line["kind"] == "val")
    return 100 * score, float(cost.read_text())


def step_seconds(model, root):
    """Processor seconds of one step of a network: the median of ten, loading not included."""
    sys.path.insert(0, str(ROOT))
    from mxnetseg.recipe import find_recipe
    from mxnetseg.train.setup import prepare

    settings = [*SMALL, f"data.root={root}", "data.val_split=null", "schedule.iterations=10"]
    setup = prepare(find_recipe(model, None, "camvid", settings), ["cpu"], "torch", quiet=True)
    seconds = []
    try:
        for seed, (_, batch) in enumerate(zip(range(10), setup.loader.epoch(0, start=0))):
            started = time.process_time()
            setup.engine.read(setup.engine.step(batch.images, batch.labels, 1e-4, seed))
            seconds.append(time.process_time() - started)
    finally:
        setup.loader.close()
    return statistics.median(seconds)


def _one_thread():
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def main():
    """Run what was asked for and print the table."""
    parser = argparse.ArgumentParser(
        prog="python benchmarks/short_runs.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=("changes", "networks"))
    parser.add_argument("--root", required=True, metavar="PATH", help="folder of CamVid")
    parser.add_argument("--output", type=Path, default=Path("weights/runs/short"), metavar="DIR")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these rows")
    parser.add_argument("--seconds", type=float, default=90.0, help="processor time of a network's steps")
    options = parser.parse_args()
    known = list(CHANGES if options.what == "changes" else NETWORKS)
    names = options.only or known
    if unknown := sorted(set(names) - set(known)):
        parser.error(f"--only {' '.join(unknown)}: not of {', '.join(known)}")
    root = os.path.abspath(options.root)
    os.environ["OMP_NUM_THREADS"] = "1"  # of this process too, before anything reads it
    print("| run | steps | mIoU | processor s |\n|---|---:|---:|---:|")
    for name in names:
        if options.what == "changes":
            model, steps, settings = "swiftnet", STEPS, CHANGES[name]
        else:
            model, steps, settings = name, round(options.seconds / step_seconds(name, root)), FRAMES
        folder = (ROOT / options.output / name.replace(" ", "_")).absolute()
        miou, seconds = train(model, folder, [f"schedule.iterations={steps}", *settings], root)
        print(f"| {name} | {steps} | {miou:.1f} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()

"""What an initial state is worth: short trainings from one global rule and from the layers' own.

    python benchmarks/initial_states.py                # two networks, three seeds each: an hour and more
    python benchmarks/initial_states.py --models sfnet --seeds 0 --iterations 100

Both trainings are `train.py` on drawn street scenes, alike in all but the values that the network starts
from: `one rule` draws every weight of every layer by He's rule (He et al., ICCV 2015, over the mean of inputs
and outputs), as this library once did; `own` leaves each layer what its authors give it. The table gives the
loss of the first ten iterations and the validation mIoU, and the mean of the seeds. Runs that are in the
output folder already are read, not run again.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def one_rule(model, seed, file):
    """Write parameters of the recipe's network to `file`, all weights drawn by the one rule."""
    sys.path.insert(0, str(ROOT))
    import mxnetseg  # noqa: F401, I001  first: it lets MXNet be imported beside today's NumPy
    from mxnet import init, random

    from mxnetseg.recipe import find_recipe
    from mxnetseg.train.setup import build_network

    network = build_network(find_recipe(model, None, "synthetic", ["model.nclass=19"]), 1, False, False)
    random.seed(seed)
    for name, parameter in network.collect_params().items():
        if name.endswith("weight"):
            parameter.initialize(init.MSRAPrelu(slope=0), force_reinit=True)
    network.save_parameters(str(file))


def train(model, seed, iterations, folder, start):
    """Train, or read the folder of an ended run: (mean loss of the first ten iterations, mIoU in percent)."""
    if not (folder / "ended").exists():
        settings = [f"schedule.iterations={iterations}", f"seed={seed}", "log_every=10"]
        if start:
            settings.append(f"init_from={start}")
        words = ("--model", model, "--data", "synthetic", "--ctx", "cpu", "--output", str(folder))
        command = [sys.executable, "train.py", *words, "--overwrite", "--quiet", "--set", *settings]
        if subprocess.run(command, cwd=ROOT, check=False).returncode:
            sys.exit(f"{model}, seed {seed}: train.py failed")
        (folder / "ended").touch()
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    first = next(line["loss"] for line in lines if line["kind"] == "train")
    return first, 100 * next(line["miou"] for line in reversed(lines) if line["kind"] == "val")


def main():
    """Run what was asked for and print the table."""
    parser = argparse.ArgumentParser(
        prog="python benchmarks/initial_states.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--models", nargs="+", default=["swiftnet", "sfnet"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--iterations", type=int, default=420)
    parser.add_argument("--output", type=Path, default=Path("weights/runs/initial_states"), metavar="DIR")
    options = parser.parse_args()
    output = (ROOT / options.output).absolute()
    output.mkdir(parents=True, exist_ok=True)
    print("| network | start | seed | first loss | mIoU |\n|---|---|---:|---:|---:|")
    for model in options.models:
        for rule in ("one rule", "own"):
            scores = []
            for seed in options.seeds:
                name = f"{model}_{rule.replace(' ', '_')}_{seed}_{options.iterations}"
                start = output / f"{name}.params" if rule == "one rule" else None
                if start and not start.exists():
                    one_rule(model, seed, start)
                loss, miou = train(model, seed, options.iterations, output / name, start)
                scores.append(miou)
                print(f"| {model} | {rule} | {seed} | {loss:.2f} | {miou:.1f} |", flush=True)
            spread = f" ± {statistics.stdev(scores):.1f}" if len(scores) > 1 else ""
            print(f"| {model} | {rule} | mean | | **{statistics.fmean(scores):.1f}**{spread} |", flush=True)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()

"""Images per second of training, everything included: loading, augmentation, forward, backward, update.

    python benchmarks/training.py                               # FCN and SFNet, 128 x 256 crops, drawn scenes
    python benchmarks/training.py --models sfnet --crop 512 512 --batch-size 2 --ctx 0
    python benchmarks/training.py --compare --models sfnet --crop 512 512 --batch-size 2    # against PyTorch

Runs `train.py` itself for a few steps and reads the speed from the metrics that it wrote. The first window
of steps (graphs are built, workers start) does not count; the table gives the median of the others and their
range.

With `--compare` it is the step alone, of the same network and the same batch: MXNet, this library's torch
engine, and PyTorch as its own users write it, each in a process of its own (`benchmarks/step.py`), taking
turns. The table gives the least processor time of a step on the CPU, which other work on the machine burdens
little, and the median time by the clock. `--python` is an interpreter that has PyTorch beside this
library's requirements; default: the one that runs this.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import turns
from turns import ROOT

WINDOW = 5  # steps


def measure(model, options, run, before=(), behind=()):
    """Images per second of each window but the first. `before`: arguments of Python in front of train.py;
    `behind`: more of train.py's."""
    command = [
        sys.executable,
        *before,
        "train.py",
        "--model",
        model,
        "--data",
        "synthetic",
        "--output",
        str(run),
        "--quiet",
        "--crop",
        *map(str, options.crop),
        "--batch-size",
        str(options.batch_size),
    ]
    if options.backbone:
        command += ["--backbone", options.backbone]
    if options.ctx:
        command += ["--ctx", *options.ctx]
    command += [
        "--set",
        f"schedule.iterations={WINDOW * (options.windows + 1)}",
        f"log_every={WINDOW}",
        "schedule.warmup_iterations=0",
        "data.val_split=null",
        *behind,
    ]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command[1:])} failed:\n{done.stderr}")
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line["images_per_second"] for line in lines if line["kind"] == "train"][1:]


SIDES = ("mxnet", "torch", "pytorch")


def compare(model, options):
    """{side: [(processor seconds, seconds) of each step]}, the sides in turns."""
    with contextlib.ExitStack() as stack:
        sides = {side: stack.enter_context(turns.side(_command(side, model, options))) for side in SIDES}
        spent = {side: [] for side in SIDES}
        for side, worker in sides.items():
            print(f"  {side}: loss {turns.answer(worker)['loss']:.6f} after two steps", flush=True)
        for _ in range(options.windows * WINDOW):
            for side, worker in sides.items():
                found = turns.ask(worker)
                spent[side].append((found["cpu"], found["wall"]))
    return spent


def _command(side, model, options):
    python = sys.executable if side == "mxnet" else options.python
    command = [python, str(ROOT / "benchmarks" / "step.py"), side, "--model", model]
    height, width = options.crop if len(options.crop) == 2 else options.crop * 2
    command += ["--crop", str(height), str(width), "--batch-size", str(options.batch_size)]
    command += ["--backbone", options.backbone] if options.backbone else []
    return [*command, "--ctx", *(options.ctx or ["cpu"])]


def print_comparison(model, spent):
    """Table of `compare`; ratios are to PyTorch's own form."""
    least = {side: min(cpu for cpu, _ in steps) for side, steps in spent.items()}
    clock = {side: statistics.median(wall for _, wall in steps) for side, steps in spent.items()}
    print(f"{model:<12} {'processor s':>12} {'ratio':>7} {'clock s':>9} {'ratio':>7}")
    for side in SIDES:
        cpu, wall = least[side] / least["pytorch"], clock[side] / clock["pytorch"]
        print(f"{side:<12} {least[side]:12.3f} {cpu:7.2f} {clock[side]:9.3f} {wall:7.2f}", flush=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", default=["fcn", "sfnet"])
    parser.add_argument("--backbone", help="default: the recipe's")
    parser.add_argument("--crop", type=int, nargs="+", default=[128, 256], metavar="PIXELS")
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--windows", type=int, default=4, help=f"windows of {WINDOW} steps that count")
    parser.add_argument("--ctx", nargs="+", help="as for train.py")
    parser.add_argument("--compare", action="store_true", help="the step alone, against PyTorch")
    parser.add_argument("--python", default=sys.executable, help="interpreter of the sides that take PyTorch")
    options = parser.parse_args()
    print(f"crops {' x '.join(map(str, options.crop))}, batches of {options.batch_size}")
    if options.compare:
        for model in options.models:
            print_comparison(model, compare(model, options))
        return
    print(f"{'model':<12} images/s   range")
    for model in options.models:
        with tempfile.TemporaryDirectory() as folder:
            speeds = measure(model, options, Path(folder) / "run")
        median, low, high = statistics.median(speeds), min(speeds), max(speeds)
        print(f"{model:<12} {median:8.2f}   {low:.2f} to {high:.2f}", flush=True)


if __name__ == "__main__":
    main()

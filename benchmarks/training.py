"""Images per second of training, everything included: loading, augmentation, forward, backward, update.

    python benchmarks/training.py                               # FCN and SFNet, 128 x 256 crops, drawn scenes
    python benchmarks/training.py --models sfnet --crop 512 512 --batch-size 2 --ctx 0

Runs `train.py` itself for a few steps and reads the speed from the metrics that it wrote. The first window
of steps (graphs are built, workers start) does not count; the table gives the median of the others and their
range.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WINDOW = 5  # steps


def measure(model, options, run):
    """Images per second of each window but the first."""
    command = [
        sys.executable,
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
    ]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command[1:])} failed:\n{done.stderr}")
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line["images_per_second"] for line in lines if line["kind"] == "train"][1:]


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
    options = parser.parse_args()
    print(f"crops {' x '.join(map(str, options.crop))}, batches of {options.batch_size}")
    print(f"{'model':<12} images/s   range")
    for model in options.models:
        with tempfile.TemporaryDirectory() as folder:
            speeds = measure(model, options, Path(folder) / "run")
        median, low, high = statistics.median(speeds), min(speeds), max(speeds)
        print(f"{model:<12} {median:8.2f}   {low:.2f} to {high:.2f}", flush=True)


if __name__ == "__main__":
    main()

"""`make demo`: trains SwiftNet on drawn street scenes, evaluates it, and says where the results are.

Runs the two commands of the project as anyone would type them, and prints each. Nothing is downloaded.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def command(step, what, *arguments):
    """Print and run one command of the project from its root; end with its status where it fails."""
    print(f"\n== {step}  {what}\n$ python {shlex.join(arguments)}", flush=True)
    status = subprocess.run([sys.executable, *arguments], cwd=ROOT, check=False).returncode
    if status:
        sys.exit(status)


def score(folder):
    """mIoU and pixel accuracy in percent from the scores that eval.py wrote."""
    scores = json.loads((ROOT / folder / "scores.json").read_text())
    return 100 * scores["miou"], 100 * scores["pixel_accuracy"], scores["images"]


def main():
    parser = argparse.ArgumentParser(prog="python demo/run.py", description=__doc__)
    parser.add_argument(
        "--started",
        type=float,
        default=time.time(),
        metavar="SECONDS",
        help="when the demo began (Unix time), to count the set-up in",
    )
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="KEY=VALUE", help="fields of the recipe, as in train.py"
    )
    parser.add_argument(
        "--run",
        type=Path,
        default=Path("weights/runs/demo"),
        metavar="DIR",
        help="folder of the run (default %(default)s)",
    )
    parser.add_argument("--limit", type=int, default=30, help="validation scenes to score")
    options = parser.parse_args()
    limit = ("--limit", str(options.limit))
    run, single_scale, multi_scale = options.run, options.run / "val", options.run / "val_ms"

    settings = ("--set", *options.set) if options.set else ()
    command(
        "1/3",
        "train on drawn street scenes",
        "train.py",
        "--model",
        "swiftnet",
        "--data",
        "synthetic",
        "--output",
        str(run),
        "--overwrite",
        *settings,
    )
    command(
        "2/3",
        "evaluate on scenes that it never saw, and write predictions",
        "eval.py",
        "--checkpoint",
        str(run),
        "--mode",
        "testval",
        "--output",
        str(single_scale),
        *limit,
    )
    command(
        "3/3",
        "evaluate with several scales and mirroring",
        "eval.py",
        "--checkpoint",
        str(run),
        "--mode",
        "val",
        "--ms",
        "--output",
        str(multi_scale),
        *limit,
    )

    minutes, seconds = divmod(round(time.time() - options.started), 60)
    print(f"\n== Done in {minutes} min {seconds} s")
    for name, folder in (("one scale", single_scale), ("multi-scale + flip", multi_scale)):
        miou, accuracy, images = score(folder)
        print(
            f"   {name:<19} mIoU {miou:5.2f}%   pixel accuracy {accuracy:5.2f}%   ({images} held-out scenes)"
        )
    print(f"\n   report        {run}/report.html, {single_scale}/report.html")
    for kind, what in (("overlay", "overlays"), ("color", "coloured"), ("id", "class ids")):
        if (ROOT / single_scale / kind).is_dir():
            print(f"   {what:<12}  {single_scale}/{kind}/")
    print(
        f"   weights       {run}/best.params\n"
        f"\n   your picture  .venv/bin/python demo/predict.py --checkpoint {run} PICTURE"
        f"\n   in a browser  .venv/bin/python demo/web.py --checkpoint {run}"
    )


if __name__ == "__main__":
    main()

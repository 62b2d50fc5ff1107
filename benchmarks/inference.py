"""Deployed networks on every engine that is installed, beside the PyTorch code that one would otherwise run.

    python benchmarks/inference.py                                     # eight networks, two sizes: hours
    python benchmarks/inference.py --models sfnet:resnet18 --sizes 512x1024 --threads 2 --whole
    python benchmarks/inference.py --compile --rivals mine.py --json found.json

Each engine is a process of its own (`benchmarks/forward.py`), and all of one network and size take turns, so
that other work on the machine falls on all alike. Weights are random, auxiliary heads are left out, one
picture is predicted at a time. The table gives median and least milliseconds of a forward pass, and how many
times as quick the median is as PyTorch's: the quickest float32 form that was measured, of the rival where
there is one, else of this library's torch engine.

`--rivals FILE.py` is the user's own code: its function `networks()` returns {model: torch.nn.Module} by the
words of `--models`. A rival takes normalized float32 (1, 3, H, W), channels-last, and is measured as it is,
traced and frozen, and with `--compile` by torch.compile. `--python` is the interpreter for it, which needs
PyTorch only.

`--whole` also times a JPEG file to its label map, as `eval.py` predicts it. `decode` is its reading, and
`outside` the share of the whole that is not the forward pass within.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path

import turns
from forward import ENGINES, RIVALS

from mxnetseg.compat import available_cores

MODELS = [
    "sfnet:resnet18",
    "sfnetlite:resnet18",
    "bisenet:resnet18",
    "swiftnet:resnet18",
    "pidnet:pidnet_s",
    "pspnet:resnet50",
    "deeplabv3plus:resnet50",
    "segformer:mit_b0",
]
PAUSE = 0.05  # seconds between turns, in which the threads of the last side come to rest


def size(text):
    """HxW, such as 512x1024."""
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is not HEIGHTxWIDTH, such as 512x1024")
    return int(match[1]), int(match[2])


def chosen_sides(options, rival):
    """The sides that take part, in the order of the table."""
    sides = [s for s in ENGINES if s in (options.engines or ENGINES)]
    sides += RIVALS if rival else ()
    if not options.compile:
        sides = [s for s in sides if s in (options.engines or ()) or not s.endswith("compiled")]
    return sides


def command(side, model, picture_size, options, folder, picture):
    """Of a process of `forward.py`."""
    python = options.python if side in RIVALS else sys.executable
    words = [python, str(turns.ROOT / "benchmarks" / "forward.py"), side]
    words += ["--model", model, "--size", *map(str, picture_size), "--folder", str(folder)]
    if side in RIVALS:
        return [*words, "--rivals", str(Path(options.rivals).resolve()), "--rival", model]
    return [*words, "--picture", str(picture)] if picture else words


def export(model, sides, options, folder):
    """Write the files that the sides take; why there is none in 8-bit integers, if so."""
    if not any(s.startswith(("onnx", "openvino")) for s in sides):
        return None
    words = command("export", model, (32, 32), options, folder, None)
    words += ["--int8"] if any(s.endswith("int8") for s in sides) else []
    with turns.side(words, options.env) as worker:
        return turns.answer(worker).get("absent")


def draw(picture_size, folder):
    """A JPEG of a drawn street scene."""
    import cv2

    from mxnetseg.data import create_dataset

    file = Path(folder, "picture.jpg")
    image = create_dataset("synthetic", split="val", size=picture_size)[0].image
    cv2.imwrite(str(file), image[:, :, ::-1])
    return file


def measure(model, picture_size, sides, options, folder):
    """({side: engine's name}, {side: [times of each turn]}, {side: why it takes no part})."""
    names, absent = {}, {}
    picture = draw(picture_size, folder) if options.whole else None
    with contextlib.ExitStack() as stack:
        workers = {}
        for side in sides:
            words = command(side, model, picture_size, options, folder, picture)
            worker = stack.enter_context(turns.side(words, options.env))
            found = turns.answer(worker)  # one after the other: each gets ready alone
            if "absent" in found:
                absent[side] = found["absent"]
            else:
                workers[side], names[side] = worker, found["engine"]
        spent = {side: [] for side in workers}
        for _ in range(options.rounds):
            for side, worker in workers.items():
                time.sleep(PAUSE)
                spent[side].append(turns.ask(worker))
    return names, spent, absent


def rows(names, spent):
    """What is printed and kept of each side; times in milliseconds."""
    median = {s: statistics.median(t["forward"] for t in taken) for s, taken in spent.items()}
    forms = [s for s in RIVALS if s in median] or [s for s in ("torch", "torch-compiled") if s in median]
    best = min((median[s] for s in forms), default=None)
    found = []
    for side, taken in spent.items():
        row = {
            "side": side,
            "engine": names[side],
            "median_ms": 1e3 * median[side],
            "least_ms": 1e3 * min(t["forward"] for t in taken),
            "times_as_quick": best / median[side] if best else None,
            "forward_ms": [1e3 * t["forward"] for t in taken],
        }
        if "whole" in taken[0]:
            row["decode_ms"] = 1e3 * statistics.median(t["decode"] for t in taken)
            row["whole_ms"] = 1e3 * statistics.median(t["whole"] for t in taken)
            row["outside"] = statistics.median(1 - t["inside"] / t["whole"] for t in taken)
        found.append(row)
    return found


def show(title, found, absent, whole):
    print(f"\n{title:<22} {'engine':<22} {'median ms':>10} {'least ms':>10} {'ratio':>8}", end="")
    print(f" {'decode ms':>10} {'whole ms':>10} {'outside':>8}" if whole else "")
    for row in found:
        ratio = "-" if row["times_as_quick"] is None else f"{row['times_as_quick']:.2f}x"
        line = f"{row['side']:<22} {row['engine']:<22} {row['median_ms']:10.1f} {row['least_ms']:10.1f}"
        line += f" {ratio:>8}"
        if "whole_ms" in row:
            line += f" {row['decode_ms']:10.1f} {row['whole_ms']:10.1f} {row['outside']:8.1%}"
        print(line)
    for side, why in absent.items():
        print(f"{side:<22} left out: {why}")
    sys.stdout.flush()


def rival_names(options):
    """The models that the rivals' file has."""
    if not options.rivals:
        return ()
    code = (
        "import json, runpy, sys; sys.path.insert(0, sys.argv[2]); "
        "print(json.dumps(list(runpy.run_path(sys.argv[1])['networks']())))"
    )
    file = Path(options.rivals).resolve()
    with turns.side([options.python, "-c", code, str(file), str(file.parent)], options.env) as worker:
        found = turns.answer(worker)
    unknown = sorted(set(found) - set(options.models))
    if unknown:
        print(f"not among --models, and left out: {', '.join(unknown)} of {options.rivals}")
    return found


def parser():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument(
        "--models", nargs="+", default=MODELS, help="architecture:backbone, or a published network"
    )
    p.add_argument("--sizes", nargs="+", type=size, default=[(512, 1024), (1024, 2048)], metavar="HxW")
    p.add_argument("--engines", nargs="+", choices=ENGINES, help="default: every one that is installed")
    p.add_argument("--threads", type=int, help="of each engine; default: $OMP_NUM_THREADS, else every core")
    p.add_argument("--rounds", type=int, default=9, help="turns of each engine that count")
    p.add_argument("--compile", action="store_true", help="torch.compile too, with frozen weights: minutes")
    p.add_argument("--whole", action="store_true", help="also from a JPEG to its label map")
    p.add_argument("--rivals", metavar="FILE.py", help="PyTorch code of your own")
    p.add_argument("--python", default=sys.executable, help="interpreter of the rivals")
    p.add_argument("--json", metavar="FILE", help="write the numbers to this file, after each table")
    return p


def main():
    options = parser().parse_args()
    if options.rivals and not Path(options.rivals).is_file():
        sys.exit(f"--rivals {options.rivals}: there is no such file")
    if options.rounds < 1 or (options.threads is not None and options.threads < 1):
        sys.exit("--rounds and --threads must be at least 1")
    threads = options.threads or int(os.environ.get("OMP_NUM_THREADS", 0)) or available_cores()
    options.env = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    rivals = rival_names(options)
    print(f"{threads} threads, medians of {options.rounds} rounds; ratio: to the best of PyTorch in float32")
    tables = []
    for model in options.models:
        sides = chosen_sides(options, model in rivals)
        with tempfile.TemporaryDirectory() as folder:
            no_integers = export(model, sides, options, folder)
            if no_integers:
                sides = [s for s in sides if not s.endswith("int8")]
            for picture_size in options.sizes:
                names, spent, absent = measure(model, picture_size, sides, options, folder)
                absent.update({"int8": no_integers} if no_integers else {})
                found = rows(names, spent)
                show(f"{model} {picture_size[0]}x{picture_size[1]}", found, absent, options.whole)
                tables.append({"model": model, "size": list(picture_size), "sides": found, "absent": absent})
                if options.json:
                    kept = {"threads": threads, "rounds": options.rounds, "tables": tables}
                    Path(options.json).write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""The options of `eval.py`, and what can be said of them alone."""

from __future__ import annotations

import argparse
import os
from typing import List

from mxnetseg.cli.common import (
    Parser,
    add_compute_arguments,
    add_context_argument,
    add_engine_argument,
    add_set_argument,
)
from mxnetseg.compute.workers import started_by_torchrun
from mxnetseg.errors import ConfigError, nearest

MODES = ("val", "test", "testval", "speed")

_EXAMPLES = """
examples:
  python eval.py --checkpoint weights/runs/sfnet_resnet18_camvid/best.params
      scores the split and by the protocol of the recipe beside the checkpoint
  python eval.py --checkpoint RUN --ms --output scores
      multi-scale with flip; scores.json, a sheet of examples and report.html in ./scores
  python eval.py --model fcn --backbone resnet18 --checkpoint X.params --ctx 0 --data cityscapes \\
      --crop 768 --base 2048 --mode val --ms
      a file without a recipe beside it, sliding windows of 768 pixels
  python eval.py --checkpoint RUN --mode test --submission
      label ids of the test split for the benchmark's server, zipped
  python eval.py --model sfnet --backbone resnet18 --mode speed --size 1024 2048
      milliseconds of the forward pass, and what they depend on
  python eval.py --checkpoint RUN --image photo.jpg holiday/ --output seen
      your own pictures
"""


def parser() -> Parser:
    """Arguments of eval.py."""
    p = Parser(
        "eval.py",
        description="Score a checkpoint on a labelled split, or write its predictions.",
        epilog=_EXAMPLES,
    )
    what = p.add_argument_group("what")
    what.add_argument(
        "--checkpoint", metavar="FILE", help=".params file, or the folder of a run (its best weights)"
    )
    what.add_argument("--model", help="architecture; needed only without a recipe.yaml beside the checkpoint")
    what.add_argument("--backbone", help="its backbone, likewise")
    what.add_argument("--data", help="data set; default: the one it was trained on")
    what.add_argument(
        "--root",
        metavar="DIR",
        help="folder of the data set; default: the recipe's, else $MXNETSEG_DATA/<data>, "
        "else ./datasets/<data>",
    )
    what.add_argument(
        "--mode",
        default="val",
        metavar="{val,test,testval,speed}",
        help="val: scores of the validation split (default); test: pictures of the test split; "
        "testval: pictures of the validation split, with its scores; speed: time of a forward "
        "pass on random input, for which --model will do without --checkpoint",
    )
    what.add_argument("--split", help="another split than the mode's own")
    what.add_argument(
        "--image", nargs="+", metavar="PATH", help="predict these pictures, or folders of them, instead"
    )
    what.add_argument("--limit", type=int, metavar="N", help="only the first N images")
    add_context_argument(what)
    add_engine_argument(what, ("mxnet", "torch", "onnxruntime", "openvino"))
    add_compute_arguments(what)

    how = p.add_argument_group("protocol (default: the recipe's group `evaluation`)")
    how.add_argument("--ms", action="store_true", help="the data set's multiple scales, with flip")
    how.add_argument("--scales", type=float, nargs="+", metavar="F", help="these scales")
    how.add_argument("--flip", action=argparse.BooleanOptionalAction, help="average with the mirrored image")
    how.add_argument(
        "--protocol",
        choices=("own", "mmseg", "sfsegnets", "gluoncv", "mxnetseg"),
        help="whose rules of resizing, windows and averaging (default: the recipe's, else own)",
    )
    how.add_argument(
        "--resize",
        type=int,
        nargs=2,
        metavar=("LONG", "SHORT"),
        help="sides that the image is scaled to fit into at scale 1, such as 2048 512",
    )
    how.add_argument("--base", type=int, metavar="PX", help="long side at scale 1; 0: the image's own size")
    how.add_argument(
        "--crop",
        type=int,
        nargs="+",
        metavar="PX",
        help="slide windows of this size: a number, or height and width",
    )
    shape = how.add_mutually_exclusive_group()
    shape.add_argument(
        "--slide", action="store_true", help="sliding windows, of --crop or the data set's usual crop"
    )
    shape.add_argument("--whole", action="store_true", help="whole images, whatever their size")
    how.add_argument(
        "--stride",
        type=float,
        metavar="STEP",
        help="step between windows: a share of the window (default 2/3), or above 1 pixels",
    )
    how.add_argument(
        "--batch",
        type=int,
        metavar="N",
        help="windows, or images of --mode speed, per forward pass (default 1)",
    )
    how.add_argument(
        "--size", type=int, nargs=2, metavar=("H", "W"), help="input of --mode speed (default 512 1024)"
    )
    how.add_argument(
        "--threshold",
        type=float,
        metavar="P",
        help="probability of foreground, for binary networks (default: the recipe's, else 0.5)",
    )
    how.add_argument(
        "--tune-threshold",
        action="store_true",
        help="find the threshold of a binary network with the best mIoU on this split, keep it in the run's "
        "recipe.yaml, and score with it",
    )

    out = p.add_argument_group("output")
    out.add_argument(
        "--output",
        "--out",
        metavar="DIR",
        help="folder for scores.json, report.html and pictures; default for pictures: beside the checkpoint",
    )
    out.add_argument("--json", metavar="FILE", help="write the scores and the confusion matrix to this file")
    out.add_argument(
        "--save",
        metavar="KINDS",
        help="pictures, comma-separated: id (raw train ids), color, overlay, error; default "
        "id,color,overlay in test and testval, none in val",
    )
    out.add_argument(
        "--submission",
        action="store_true",
        help="also label ids as the benchmark's server takes them, zipped",
    )
    out.add_argument("--quiet", action="store_true", help="no progress")
    add_set_argument(out)
    return p


def check(options: argparse.Namespace) -> None:
    """Raises ConfigError for what can be said of the options before anything slow is done."""
    if options.mode not in MODES:
        close = nearest(options.mode, MODES)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise ConfigError(f"--mode {options.mode}: not one of {', '.join(MODES)}{hint}")
    if not options.checkpoint and not (options.mode == "speed" and options.model):
        raise ConfigError(
            "--checkpoint FILE is missing: the .params file, or the folder of a run, to evaluate"
        )
    if started_by_torchrun():
        _check_shared(options)
    if options.mode == "speed":
        return _check_speed(options)
    if options.size:
        raise ConfigError(
            "--size is the input of --mode speed; for the sizes of images see --base and --crop"
        )
    if options.crop and options.whole:
        raise ConfigError(
            "--crop is the size of sliding windows and has no effect with --whole: leave one out"
        )
    if options.crop and (len(options.crop) > 2 or min(options.crop) < 1):
        raise ConfigError("--crop takes one or two numbers of pixels: a square, or height and width")
    if options.stride is not None and options.whole:
        raise ConfigError(
            "--stride is the step of sliding windows and has no effect with --whole: leave one out"
        )
    if options.limit is not None and options.limit < 1:
        raise ConfigError(f"--limit {options.limit} must be at least 1")
    if options.base is not None and options.base < 0:
        raise ConfigError(f"--base {options.base} must be a number of pixels, or 0 for the image's own size")
    if options.image and (options.mode != "val" or options.split or options.root or options.submission):
        raise ConfigError(
            "--image predicts pictures of no split: leave --mode, --split, --root and --submission out"
        )
    if options.tune_threshold and (options.image or options.mode == "test" or options.threshold is not None):
        raise ConfigError(
            "--tune-threshold finds the threshold on labelled pictures: leave --image, --mode test and "
            "--threshold out"
        )
    if options.json:
        _check_json(options.json)
    from mxnetseg.report.pictures import KINDS

    for kind in kinds(options):
        if kind not in KINDS:
            raise ConfigError(f"--save {kind}: not one of {', '.join(KINDS)}")


def _check_json(path: str) -> None:
    parent = os.path.dirname(path) or "."
    if not os.path.isdir(parent):
        raise ConfigError(f"--json {path}: the folder {parent} does not exist")
    if os.path.exists(path) and not os.path.isfile(path):
        raise ConfigError(f"--json {path}: is no regular file: give the name of a file")


def _check_shared(options: argparse.Namespace) -> None:
    """Several workers share a score out, and nothing else: files are of one process."""
    names = ("image", "output", "save", "submission", "tune_threshold")
    given = [f"--{name.replace('_', '-')}" for name in names if getattr(options, name)]
    given += [f"--mode {options.mode}"] if options.mode != "val" else []
    if given:
        raise ConfigError(f"{', '.join(given)}: several workers only score together: start one process")


def _check_speed(options: argparse.Namespace) -> None:
    """--mode speed times the bare network: an option about data, protocol or pictures would do nothing."""
    idle = (
        "root split image limit ms scales flip protocol resize base crop slide whole stride threshold "
        "tune_threshold output save submission settings"
    ).split()
    given = [name for name in idle if getattr(options, name) not in (None, False, [])]
    if given:
        names = ", ".join("--" + {"settings": "set"}.get(name, name).replace("_", "-") for name in given)
        raise ConfigError(f"{names}: no effect in --mode speed: leave it out")


def kinds(options: argparse.Namespace) -> List[str]:
    """Kinds of pictures to write."""
    if options.save is not None:
        return [kind for kind in options.save.replace(",", " ").split() if kind]
    return [] if options.mode == "val" and not options.image else ["id", "color", "overlay"]

"""`eval.py`: score a checkpoint, or predict with it. Options only; `mxnetseg.predict` does the work."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any, List, Optional

from mxnetseg.cli.common import (
    Parser,
    add_compute_arguments,
    add_context_argument,
    add_engine_argument,
    add_set_argument,
    run,
)
from mxnetseg.cli.speed import chosen_engine, compute_settings, measure
from mxnetseg.environment import prepare
from mxnetseg.errors import ConfigError, DatasetError, nearest
from mxnetseg.recipe import Recipe, parse_settings

MODES = ("val", "test", "testval", "speed")
# What messages of other rooms advise, and the flag for it.
FLAGS = {
    "model": "--model",
    "data set": "--data",
    "data.root": "--root",
    "compute.amp": "--amp",
    "output folder": "--output",
    "recipe file": "--model and --data",
}

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


def main(argv: Optional[List[str]] = None) -> int:
    """Entry point; exits with status 2 and one line on bad input."""
    return run(_evaluate, argv, FLAGS)


def _evaluate(argv: Optional[List[str]]) -> None:
    options = parser().parse_args(argv)
    _check(options)
    if options.mode == "speed":
        return measure(options)
    prepare(options.ctx)
    from mxnetseg.predict.evaluation import run as predict
    from mxnetseg.predict.session import dataset_of, open_session, pictures_of, trained_on
    from mxnetseg.report.outcome import lines_of, title_of, write_outcome

    recipe = _recipe(options)
    if options.image:
        dataset = pictures_of(recipe, options.image, options.data)
    else:
        split = options.split or ("test" if options.mode == "test" else None)
        dataset = dataset_of(recipe, options.data, options.root, split)
        if options.mode != "test" and not dataset.has_labels:
            raise DatasetError(
                f"split {dataset.split!r} of {dataset.name!r} has no labels to score: take --mode test to "
                f"predict it"
            )
    choice = chosen_engine(options)
    if choice.note and not options.quiet:
        print(f"note: {choice.note}", file=sys.stderr)
    protocol = _protocol(options, recipe, dataset)
    session = open_session(options.checkpoint, dataset, recipe, protocol, options.ctx, choice.engine)
    if options.tune_threshold:
        _tune(options, session.predictor, dataset, recipe.data.timeout)
    scored = not options.image and options.mode != "test"
    folder = _output_folder(options, dataset)
    writer = None
    if folder:
        from mxnetseg.report.pictures import PictureWriter

        count = min(options.limit or len(dataset), len(dataset))
        writer = PictureWriter(folder, dataset, _kinds(options), options.submission, count=count)
    try:
        result = predict(
            session.predictor,
            dataset,
            on_image=writer.add if writer else None,
            limit=options.limit,
            score=scored,
            progress=not options.quiet,
            timeout=recipe.data.timeout,
        )
        result = {**session.names(), "checkpoint": options.checkpoint, **result}
        if scored:
            result["trained_on"] = trained_on(recipe, dataset)
        written = writer.finish(title_of(result), f"Protocol: {result['protocol']}") if writer else []
    finally:
        if writer:
            writer.close()
    print("\n".join(lines_of(result, scored)))
    written += write_outcome(result, folder, scored, options.json)
    for path in written:
        print(f"wrote {path}")


def _tune(options: argparse.Namespace, predictor: Any, dataset: Any, timeout: Optional[float]) -> None:
    from mxnetseg.predict.threshold import keep, recipe_beside, tune

    beside = recipe_beside(options.checkpoint)
    threshold, miou = tune(predictor, dataset, options.limit, not options.quiet, timeout)
    keep(beside, threshold)
    print(f"threshold {threshold:g} gives {100 * miou:.2f}% mIoU; kept in {beside}")


def _check(options: argparse.Namespace) -> None:
    """What can be checked of the options alone, before anything slow is done."""
    if options.mode not in MODES:
        close = nearest(options.mode, MODES)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise ConfigError(f"--mode {options.mode}: not one of {', '.join(MODES)}{hint}")
    if not options.checkpoint and not (options.mode == "speed" and options.model):
        raise ConfigError(
            "--checkpoint FILE is missing: the .params file, or the folder of a run, to evaluate"
        )
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

    for kind in _kinds(options):
        if kind not in KINDS:
            raise ConfigError(f"--save {kind}: not one of {', '.join(KINDS)}")


def _check_json(path: str) -> None:
    parent = os.path.dirname(path) or "."
    if not os.path.isdir(parent):
        raise ConfigError(f"--json {path}: the folder {parent} does not exist")
    if os.path.exists(path) and not os.path.isfile(path):
        raise ConfigError(f"--json {path}: is no regular file: give the name of a file")


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


def _recipe(options: argparse.Namespace) -> Recipe:
    """The recipe beside the checkpoint, or the one found by --model, --backbone and --data."""
    from mxnetseg.predict.session import recipe_of

    settings = parse_settings(options.settings, "--set")
    settings = {**compute_settings(options), **settings}
    return recipe_of(options.checkpoint, options.model, options.backbone, options.data, settings)


def _protocol(options: argparse.Namespace, recipe: Recipe, dataset: Any) -> Any:
    """The recipe's protocol, changed by the options."""
    from mxnetseg.predict.session import changed, multi_scale

    nclass = recipe.model.nclass or len(dataset.classes)
    if (options.threshold is not None or options.tune_threshold) and nclass > 1:
        given = "--tune-threshold" if options.tune_threshold else "--threshold"
        raise ConfigError(
            f"{given} is for networks of one sigmoid logit and has no effect on {nclass} classes: "
            "leave it out"
        )
    protocol = recipe.evaluation
    if options.protocol and options.protocol != protocol.protocol:
        protocol = protocol.under(options.protocol)
    if options.ms:
        protocol = multi_scale(protocol, dataset)
    given = {
        key: getattr(options, key)
        for key in ("scales", "flip", "stride", "batch", "threshold", "resize")
        if getattr(options, key) is not None
    }
    if options.base is not None:
        given.update(base=options.base or None, resize=None)
    if options.resize:
        given["base"] = None
    if options.crop:
        given["crop"] = tuple(options.crop) if len(options.crop) == 2 else options.crop[0]
    if options.slide or options.crop:
        given["mode"] = "slide"
    elif options.whole:
        given["mode"] = "whole"
    return changed(protocol, **given)


def _kinds(options: argparse.Namespace) -> List[str]:
    if options.save is not None:
        return [kind for kind in options.save.replace(",", " ").split() if kind]
    return [] if options.mode == "val" and not options.image else ["id", "color", "overlay"]


def _output_folder(options: argparse.Namespace, dataset: Any) -> Optional[str]:
    if options.output:
        return options.output
    if options.mode == "val" and not options.image and not options.save and not options.submission:
        return None
    path = options.checkpoint
    beside = path if os.path.isdir(path) else os.path.dirname(path)
    return os.path.join(beside, "pictures" if options.image else f"{options.mode}_{dataset.name}")


if __name__ == "__main__":
    main()

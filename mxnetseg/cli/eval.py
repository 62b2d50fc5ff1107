"""`eval.py`: score a checkpoint, or predict with it. Options only; `mxnetseg.predict` does the work."""

from __future__ import annotations

import argparse
import os

from mxnetseg.cli.common import add_context_argument, add_set_argument, run
from mxnetseg.environment import several_cpu_contexts
from mxnetseg.errors import CheckpointError, ConfigError, DatasetError, nearest

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


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        raise ConfigError(f"{message} (--help lists the options)")


def parser() -> argparse.ArgumentParser:
    """Arguments of eval.py."""
    p = _Parser(
        prog="eval.py",
        description="Score a checkpoint on a labelled split, or write its predictions.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
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

    how = p.add_argument_group("protocol (default: the recipe's group `evaluation`)")
    how.add_argument("--ms", action="store_true", help="the data set's multiple scales, with flip")
    how.add_argument("--scales", type=float, nargs="+", metavar="F", help="these scales")
    how.add_argument("--flip", action=argparse.BooleanOptionalAction, help="average with the mirrored image")
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
        metavar="SHARE",
        help="step between windows as a share of the window (default 2/3)",
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
        help="probability of foreground, for binary networks (default 0.5)",
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


def main(argv=None):
    """Entry point; exits with status 2 and one line on bad input."""
    return run(_evaluate, argv)


def _evaluate(argv=None):
    options = parser().parse_args(argv)
    _check(options)
    several_cpu_contexts(options.ctx)

    from mxnetseg.compute.devices import contexts

    devices = contexts(options.ctx)
    if options.mode == "speed":
        return _speed(options, devices[0])
    recipe = _recipe(options)
    same_data = options.data in (None, recipe.data.name)
    dataset = _images(options, recipe) if options.image else _dataset(options, recipe, same_data)
    net, recipe = _network(options, recipe, dataset)
    settings = _protocol(options, recipe, dataset)

    from mxnetseg.predict.evaluation import evaluate, make_predictor, predict

    predictor = make_predictor(net, dataset, devices, settings)
    scored = not options.image and options.mode != "test"
    folder = _output_folder(options, dataset)
    writer = None
    if folder:
        from mxnetseg.report.pictures import PictureWriter

        count = min(options.limit or len(dataset), len(dataset))
        writer = PictureWriter(folder, dataset, _kinds(options, scored), options.submission, count=count)
    work = evaluate if scored else predict
    try:
        result = work(
            net,
            dataset,
            predictor=predictor,
            progress=not options.quiet,
            limit=options.limit,
            on_image=writer.add if writer else None,
        )
        result = {**_facts(options, recipe), **result}
        written = writer.finish(_title(result), f"Protocol: {result['protocol']}") if writer else []
    finally:
        if writer:
            writer.close()
    _print(result, scored)
    written += _write_scores(options, result, folder, scored)
    for path in written:
        print(f"wrote {path}")


def _check(options) -> None:
    """What the options say of themselves, before anything slow is done."""
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
    if options.image and (options.mode != "val" or options.split or options.submission):
        raise ConfigError("--image predicts pictures of no split: leave --mode, --split and --submission out")
    parent = os.path.dirname(options.json or "") or "."
    if not os.path.isdir(parent):
        raise ConfigError(f"--json {options.json}: the folder {parent} does not exist")
    from mxnetseg.report.pictures import KINDS

    for kind in _kinds(options, True):
        if kind not in KINDS:
            raise ConfigError(f"--save {kind}: not one of {', '.join(KINDS)}")


def _check_speed(options) -> None:
    """--mode speed times the bare network: an option about data, protocol or pictures would do nothing."""
    idle = (
        "root split image limit ms scales flip base crop slide whole stride threshold output save "
        "submission settings"
    ).split()
    given = [f"--{name}" for name in idle if getattr(options, name) not in (None, False, [])]
    if given:
        names = ", ".join(given).replace("--settings", "--set")
        raise ConfigError(f"{names}: no effect in --mode speed: leave it out")
    if options.size and min(options.size) < 32:
        raise ConfigError("--size takes height and width of at least 32 pixels")


def _speed(options, device) -> None:
    from mxnetseg.data import dataset_info
    from mxnetseg.models import create_model, model_info
    from mxnetseg.predict.speed import describe_speed, measure_speed
    from mxnetseg.report.tracking import write_json
    from mxnetseg.weights.checkpoint import load_network

    if options.checkpoint:
        recipe = _recipe(options)
        net, recipe = load_network(options.checkpoint, options.model, options.backbone, recipe=recipe)
        name, backbone, channels = recipe.model.name, recipe.model.backbone, recipe.model.in_channels
    else:
        name, backbone, channels = options.model, options.backbone, 3
        net = create_model(
            name, dataset_info(options.data or "cityscapes")["nclass"] or 19, backbone=backbone
        )
    backbone = backbone or model_info(name)["backbone"]
    print(
        f"{name} {backbone}" + (f" from {options.checkpoint}" if options.checkpoint else ", random weights")
    )
    size = tuple(options.size or (512, 1024))
    result = measure_speed(net, size, device, options.batch or 1, in_channels=channels)
    print("\n".join(describe_speed(result)))
    if options.json:
        write_json(options.json, {"model": name, "backbone": backbone, **result})
        print(f"wrote {options.json}")


def _recipe(options):
    """The recipe beside the checkpoint, or the one found by --model, --backbone and --data."""
    from mxnetseg.recipe import find_recipe, load_recipe
    from mxnetseg.run_files import RECIPE
    from mxnetseg.weights.checkpoint import read_params

    path = options.checkpoint
    if not os.path.exists(path):
        read_params(path)  # raises, naming what is there instead
    folder = path if os.path.isdir(path) else os.path.dirname(path)
    beside = os.path.join(folder, RECIPE)
    if os.path.isfile(beside):
        return load_recipe(beside, options.settings)
    if not options.model or not options.data:
        raise CheckpointError(
            f"{path}: no {RECIPE} beside it to say what it is: give --model and --data (and --backbone)"
        )
    file, overrides, _ = find_recipe(options.model, options.backbone, options.data)
    from mxnetseg.recipe import parse_overrides

    return load_recipe(file, {**overrides, **parse_overrides(options.settings)})


def _dataset(options, recipe, same_data):
    from mxnetseg.data import create_dataset

    name = options.data or recipe.data.name
    if options.split:
        split = options.split
    elif options.mode == "test":
        split = "test"
    else:
        split = (recipe.data.val_split if same_data else None) or "val"
    root = options.root or (recipe.data.root if same_data else None)
    dataset = create_dataset(name, root, split, **(recipe.data.options if same_data else {}))
    if options.mode != "test" and not dataset.has_labels:
        raise DatasetError(
            f"split {split!r} of {name!r} has no labels to score: take --mode test to predict it"
        )
    return dataset


def _network(options, recipe, dataset):
    from mxnetseg.weights.checkpoint import load_network

    nclass = None
    if recipe.model.nclass is None and dataset.name == recipe.data.name:
        nclass = len(dataset.classes) or None
    return load_network(options.checkpoint, options.model, options.backbone, nclass=nclass, recipe=recipe)


def _images(options, recipe):
    from mxnetseg.data.datasets.loose import LoosePictures

    return LoosePictures(options.image, options.data or recipe.data.name, recipe.data.options)


def _protocol(options, recipe, dataset) -> dict:
    from mxnetseg.predict.evaluation import protocol_options

    settings = protocol_options(recipe.evaluation)
    if options.ms:
        settings.update(scales=dataset.scales, flip=True)
    given = {key: getattr(options, key) for key in ("scales", "flip", "stride", "batch", "threshold")}
    settings.update({key: value for key, value in given.items() if value is not None})
    if options.base is not None:
        settings["base"] = options.base or None
    if options.crop:
        settings["crop"] = tuple(options.crop) if len(options.crop) == 2 else options.crop[0]
    if options.slide or options.crop:
        settings["mode"] = "slide"
    elif options.whole:
        settings["mode"] = "whole"
    return settings


def _kinds(options, scored: bool):
    if options.save is not None:
        return [kind for kind in options.save.replace(",", " ").split() if kind]
    return [] if options.mode == "val" and not options.image else ["id", "color", "overlay"]


def _output_folder(options, dataset):
    if options.output:
        return options.output
    if options.mode == "val" and not options.image and not options.save and not options.submission:
        return None
    path = options.checkpoint
    beside = path if os.path.isdir(path) else os.path.dirname(path)
    return os.path.join(beside, "pictures" if options.image else f"{options.mode}_{dataset.name}")


def _facts(options, recipe) -> dict:
    from mxnetseg.models import model_info

    name = recipe.model.name
    return {
        "model": name,
        "backbone": recipe.model.backbone or model_info(name)["backbone"],
        "checkpoint": options.checkpoint,
    }


def _title(result) -> str:
    title = f"{result['model']} {result['backbone']} on {result['dataset']} {result['split']}".rstrip()
    return title if result.get("miou") is None else f"{title}: mIoU {100 * result['miou']:.2f} %"


def _print(result, scored: bool) -> None:
    from mxnetseg.metrics import format_summary, format_table

    print(f"{result['model']} {result['backbone']} from {result['checkpoint']}")
    print(f"{result['dataset']} {result['split']}: {result['images']} images".replace("  ", " "))
    if scored:
        print()
        print(format_table(result, result["classes"]))
        print()
        print(format_summary(result))
    print(f"protocol: {result['protocol']}")
    print(f"speed: {result['images_per_second']:.2f} images/s ({result['seconds']:.1f} s)")


def _write_scores(options, result, folder, scored: bool):
    from mxnetseg.report.page import SCORES, write_report
    from mxnetseg.report.tracking import write_json

    written = []
    if options.json:
        write_json(options.json, result)
        written.append(options.json)
    if folder:
        path = os.path.join(folder, SCORES)
        write_json(path, result)
        written.append(path)
        if scored:
            written.append(write_report(folder))
    return written


if __name__ == "__main__":
    main()

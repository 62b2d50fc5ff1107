"""`python -m mxnetseg.export`: a checkpoint as an ONNX file. Options; `mxnetseg.export` does the work."""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional

from mxnetseg.cli.common import Parser, run
from mxnetseg.environment import prepare
from mxnetseg.errors import ConfigError
from mxnetseg.recipe.group import MOST_PIXELS

_EXAMPLES = """
examples:
  python -m mxnetseg.export --checkpoint weights/runs/sfnet_resnet18_camvid sfnet.onnx
      any height, width and number of pictures; normalized float32 in, logits out
  python -m mxnetseg.export --checkpoint RUN sfnet.onnx --uint8 --argmax
      RGB pictures as they are in, label maps out: nothing else to program
  python -m mxnetseg.export --checkpoint RUN sfnet.onnx --size 1024 2048 --batch 1
      fixed sides, for engines that plan ahead
  python -m mxnetseg.export --checkpoint RUN sfnet.onnx --int8 --calibrate camvid --root ../shared/camvid
      8-bit integers, calibrated on training images; says what mIoU they cost

Classes, palette, mean, std, protocol and recipe lie in the file's metadata; eval.py reads it as a checkpoint.
"""


PICTURES = 32  # that 8-bit integers are calibrated on
# What messages of other rooms advise, and the flag for it.
FLAGS = {
    "half precision": "--half",
    "model": "--model",
    "data set": "--data",
    "data.root": "--root",
}


def parser() -> Parser:
    """Arguments of `python -m mxnetseg.export`."""
    p = Parser(
        "python -m mxnetseg.export",
        description="Write the network of a checkpoint as an ONNX file, checked against MXNet on random "
        "pictures before it is put in place.",
        epilog=_EXAMPLES,
    )
    p.add_argument("output", metavar="OUT.onnx", help="the file to write")
    p.add_argument(
        "--checkpoint",
        required=True,
        metavar="FILE",
        help=".params file, or the folder of a run (its best weights)",
    )
    p.add_argument("--model", help="architecture; needed only without a recipe.yaml beside the checkpoint")
    p.add_argument("--backbone", help="its backbone, likewise")
    p.add_argument("--data", help="data set it was trained on, likewise")
    p.add_argument("--size", type=int, nargs=2, metavar=("H", "W"), help="fixed height and width")
    p.add_argument("--batch", type=int, metavar="N", help="fixed number of pictures")
    p.add_argument("--argmax", action="store_true", help="give label maps (N, H, W) in place of logits")
    p.add_argument(
        "--uint8", action="store_true", help="take uint8 RGB pictures (N, H, W, 3) and normalize inside"
    )
    p.add_argument(
        "--half", action="store_true", help="store parameters in float16: half the file, same arithmetic"
    )
    integers = p.add_argument_group("8-bit integers")
    integers.add_argument(
        "--int8", action="store_true", help="compute convolutions in 8-bit integers: a quarter of the file"
    )
    integers.add_argument(
        "--calibrate",
        metavar="DATA",
        help="data set whose training images set their ranges; default: the recipe's",
    )
    integers.add_argument("--root", metavar="PATH", help="its folder; default: as in training")
    integers.add_argument("--pictures", type=int, metavar="N", help=f"how many of them (default {PICTURES})")
    return p


def main(argv: Optional[List[str]] = None) -> int:
    """Entry point; exits with status 2 and one line on bad input."""
    return run(_export, argv, FLAGS)


def _export(argv: Optional[List[str]]) -> int:
    options = parser().parse_args(argv)
    output = Path(options.output)
    if output.suffix != ".onnx":
        raise ConfigError(f"{output}: the file to write must end in .onnx")
    if not output.parent.is_dir():
        raise ConfigError(f"{output}: the folder {output.parent} does not exist")
    if output.is_dir():
        raise ConfigError(f"{output}: is a folder: give the name of a file")
    if Path(options.checkpoint).suffix == ".onnx":
        raise ConfigError(
            f"{options.checkpoint}: is exported already: give the checkpoint that it was made of"
        )
    if options.size and not 1 <= min(options.size) <= max(options.size) <= MOST_PIXELS:
        raise ConfigError(f"--size takes height and width of 1 to {MOST_PIXELS} pixels")
    if options.batch is not None and options.batch < 1:
        raise ConfigError(f"--batch {options.batch} must be at least 1")
    if options.int8 and options.half:
        raise ConfigError("--int8 and --half exclude each other: parameters are 8-bit integers already")
    calibrating = [f"--{k}" for k in ("calibrate", "root", "pictures") if getattr(options, k) is not None]
    if calibrating and not options.int8:
        raise ConfigError(f"{', '.join(calibrating)}: for --int8, which was not given")
    if options.pictures is not None and options.pictures < 1:
        raise ConfigError(f"--pictures {options.pictures} must be at least 1")
    prepare(["cpu"])

    from mxnetseg.export.checkpoint import export_checkpoint
    from mxnetseg.predict.session import recipe_of

    recipe = recipe_of(options.checkpoint, options.model, options.backbone, options.data)
    found = export_checkpoint(
        options.checkpoint,
        recipe,
        output,
        calibrate=_calibration_data(recipe, options) if options.int8 else None,
        pictures=options.pictures or PICTURES,
        size=tuple(options.size) if options.size else None,
        batch=options.batch,
        argmax=options.argmax,
        uint8=options.uint8,
        half=options.half,
    )
    agreement = f"{found['labels']:.2%} of the labels differ"
    if not options.argmax:
        agreement = f"logits within {found['difference']:.1e} of their standard deviation, " + agreement
    against = "MXNet, before rounding," if options.int8 else "MXNet"
    megabytes = output.stat().st_size / 2**20
    print(f"wrote {output} ({megabytes:.1f} MiB); against {against} on random pictures: {agreement}")
    if options.int8:
        print(
            f"8-bit integers: mIoU {100 * found['before']:.2f} -> {100 * found['after']:.2f} % on the "
            f"calibration pictures; {found['kept']} of {found['layers']} layers stay in float32"
        )
    return 0


def _calibration_data(recipe, options):
    from mxnetseg.data import create_dataset

    group = recipe.data
    if options.calibrate in (None, group.name):
        return create_dataset(group.name, options.root or group.root, group.train_split, **group.options)
    return create_dataset(options.calibrate, options.root, "train")

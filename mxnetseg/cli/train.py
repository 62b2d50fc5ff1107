"""`python train.py`: trains a network by a recipe."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple, Type

from mxnetseg.cli.common import (
    EXIT_USER_ERROR,
    Parser,
    add_compute_arguments,
    add_context_argument,
    add_engine_argument,
    add_set_argument,
    run,
)
from mxnetseg.compute.choice import choose_engine
from mxnetseg.compute.kvstore import KINDS, check_environment
from mxnetseg.compute.workers import (
    LAUNCHER,
    OtherWorkerFailed,
    WorkerLost,
    check_engine,
    started_by_torchrun,
)
from mxnetseg.environment import prepare
from mxnetseg.errors import ConfigError, MxnetsegError
from mxnetseg.recipe import Group, Recipe, find_recipe, load_recipe, parse_settings
from mxnetseg.recipe.find import check_classes, recipe_file
from mxnetseg.runs import check_free, is_unfinished, resumed, run_folder
from mxnetseg.train.progress import log

# Recipe field -> the argument that is short for it.
SHORTHANDS = {
    "model.name": "model",
    "model.backbone": "backbone",
    "data.name": "data",
    "data.root": "root",
    "data.batch_size": "batch_size",
    "data.workers": "workers",
    "schedule.epochs": "epochs",
    "optimizer.lr": "lr",
    "augment.crop": "crop",
    "seed": "seed",
    "deterministic": "deterministic",
    "compute.amp": "amp",
    "compute.compile": "compile",
    "init_from": "init_from",
    "output_dir": "output",
}
# What messages of other rooms advise, and the flag for it.
FLAGS = {
    **{key: "--" + name.replace("_", "-") for key, name in SHORTHANDS.items()},
    "recipe file": "--recipe",
    "output folder": "--output",
    "cpu": "--ctx",
    "kvstore dist_sync": "--kvstore",
    "be resumed": "--resume",
    "be overwritten": "--overwrite",
}

EPILOG = """\
examples
  python train.py --model sfnet --ctx 0 1 2 3 --wandb proj
      configs/sfnet/cityscapes.yaml on four GPUs, tracked by Weights & Biases
  python train.py --model sfnet --data camvid --root ../shared/camvid --ctx cpu
  python train.py --model fcn --data synthetic --epochs 2 --crop 128 256
  python train.py --recipe my.yaml --set optimizer.lr=0.02 loss.class_weights=auto
  python train.py --resume weights/runs/sfnet_resnet18_camvid
      goes on exactly where the run was saved last

A run writes to its folder: best.params and last.params (weights), recipe.yaml (everything it depends on),
last.state (for --resume), metrics.jsonl, report.html. --fields lists every field of a recipe with its
default. Ctrl-C and SIGTERM save before they end the run.
"""


def parser() -> Parser:
    """Arguments of `train.py`."""
    p = Parser(
        "train.py",
        description="Train a segmentation network. The recipe is configs/<model>/<data>.yaml, or the file "
        "given; what is given here wins over it.",
        epilog=EPILOG,
    )
    what = p.add_argument_group("what to train")
    what.add_argument("--model", metavar="NAME", help="architecture (python -m mxnetseg.models lists them)")
    what.add_argument("--backbone", metavar="NAME", help="its backbone; default: the architecture's own")
    what.add_argument("--data", metavar="NAME", help="data set; default: cityscapes")
    what.add_argument(
        "--root",
        metavar="PATH",
        help="folder of the data set; default: $MXNETSEG_DATA/<data>, else datasets/<data>",
    )
    what.add_argument(
        "--recipe",
        metavar="FILE",
        help="this recipe instead of the one looked up: a file, or the name of a published row "
        "(python -m mxnetseg.recipes list)",
    )
    how = p.add_argument_group("how")
    add_context_argument(how)
    add_engine_argument(how, ("mxnet", "torch"))
    how.add_argument(
        "--kvstore",
        choices=KINDS,
        help="several processes on one or more machines sum their gradients (mxnet engine): "
        "python -m mxnetseg.launch starts them",
    )
    add_compute_arguments(how)
    how.add_argument("--epochs", type=int, metavar="N", help="length of the run")
    how.add_argument(
        "--batch-size",
        type=int,
        metavar="N",
        help="images per step over all devices; the learning rate is scaled along",
    )
    how.add_argument("--lr", type=float, metavar="X", help="base learning rate, taken as it is")
    how.add_argument(
        "--crop", type=int, nargs="+", metavar="PIXELS", help="training crop: side, or height width"
    )
    how.add_argument("--workers", type=int, metavar="N", help="loader processes; 0: load in line")
    how.add_argument("--seed", type=int, metavar="N", help="of everything random")
    how.add_argument(
        "--deterministic",
        action="store_true",
        default=None,
        help="the same bits every time on a CPU: one compute thread. On GPUs it takes the "
        "deterministic cuDNN kernels, but gradients of warping and adaptive pooling "
        "still add in changing order",
    )
    add_set_argument(how)
    where = p.add_argument_group("where from and where to")
    where.add_argument(
        "--init-from",
        metavar="FILE",
        help="start from what fits of this checkpoint (fine-tuning, other classes)",
    )
    where.add_argument(
        "--resume",
        metavar="RUN",
        nargs="?",
        const="auto",
        help="continue a run: its folder, or auto (also without a value): the run in the "
        "output folder if there is an unfinished one, else a new one",
    )
    where.add_argument(
        "--output", metavar="DIR", help="folder of the run; default: weights/runs/<model>_<backbone>_<data>"
    )
    where.add_argument(
        "--overwrite", action="store_true", help="replace the run that is in the output folder"
    )
    where.add_argument("--wandb", metavar="PROJECT", help="log to this Weights & Biases project as well")
    where.add_argument("--quiet", action="store_true", help="no progress, only the result")
    where.add_argument("--fields", action="store_true", help="list the fields of a recipe and leave")
    return p


def main(argv: Optional[List[str]] = None) -> int:
    """Entry point: trains and returns 0, or ends the process with status 2, 130 or 143."""
    return run(_train, argv, FLAGS)


def _train(argv: Optional[List[str]]) -> int:
    options = parser().parse_args(argv)
    if options.fields:
        print(describe_fields())
        return 0
    try:
        recipe, folder, resume = chosen(options)
        if options.kvstore:
            check_environment()
        engine = "mxnet" if options.kvstore and options.engine == "auto" else options.engine
        check_engine(engine)
    except MxnetsegError:
        if int(os.environ.get("LOCAL_RANK", 0)):  # the first worker of this machine has the same to say
            return EXIT_USER_ERROR
        raise
    # MXNet reads its environment when it is loaded, which the next imports do.
    joined = recipe.model.norm == "syncbn"
    prepare(options.ctx, joined=joined, deterministic=recipe.deterministic)
    choice = choose_engine(engine, options.ctx, asked=recipe.compute.asked())
    if choice.note and not options.quiet:
        log(f"note: {choice.note}")
    count = 1 if options.kvstore else worker_count(choice.engine, options.ctx)
    if count > 1:
        from mxnetseg.compute.torch.launch import launch

        return launch(count, sys.argv[1:] if argv is None else argv)
    from mxnetseg.run_files import REPORT
    from mxnetseg.train.run import train
    from mxnetseg.train.signals import Interrupted

    try:
        result = train(
            recipe,
            folder,
            options.ctx,
            resume,
            options.wandb,
            options.quiet,
            choice.engine,
            options.kvstore,
        )
    except Interrupted as stop:
        if str(stop):
            print(f"{stop}: continue with --resume {folder}", file=sys.stderr)
        return stop.status
    except OtherWorkerFailed as failure:
        if str(failure):
            raise
        return EXIT_USER_ERROR
    except WorkerLost:
        if LAUNCHER not in os.environ:
            raise
        return EXIT_USER_ERROR
    if result["rank"]:
        return 0
    best = result["best"]
    score = (
        f"best mIoU {100 * best['miou']:.2f}% at iteration {best['iteration']}"
        if best["miou"] is not None
        else "no validation"
    )
    # A run shorter than its logging interval has no numbers.
    written = f"weights, numbers and {REPORT}" if (folder / REPORT).exists() else "weights"
    print(f"{score}; {written} are in {folder}")
    return 0


def chosen(options: argparse.Namespace) -> Tuple[Recipe, Path, bool]:
    """(recipe, run folder, whether to resume) of parsed arguments."""
    given = overrides(options)
    if options.resume and options.resume != "auto":
        if options.recipe:
            raise ConfigError(
                "--resume RUN takes the recipe saved in the run: leave --recipe out, change it with --set"
            )
        return (*resumed(options.resume, given), True)
    if options.recipe:
        file = recipe_file(options.recipe)
        recipe = load_recipe(file, given)
        check_classes(recipe, file)
    elif options.model:
        recipe = find_recipe(options.model, options.backbone, options.data or "cityscapes", given)
    else:
        raise ConfigError("give --model (such as sfnet or fcn) or --recipe FILE; --help shows examples")
    folder = run_folder(recipe)
    if options.resume and is_unfinished(folder):
        # The command that started it may be typed again: the run's own recipe is the same, resolved.
        return (*resumed(folder, given), True)
    if not options.overwrite:
        check_free(folder)
    return recipe, folder, False


def worker_count(engine: str, devices: Optional[List[str]]) -> int:
    """How many workers this process has to start; 1: it trains itself, alone or as one that was started."""
    if started_by_torchrun() or engine != "torch":
        return 1
    from mxnetseg.compute.torch import require_torch

    require_torch()
    from mxnetseg.compute.torch.launch import device_count

    return device_count(devices)


def overrides(options: argparse.Namespace) -> Dict[str, Any]:
    """Dotted recipe keys that the arguments give; `--set` wins over the shorthands."""
    given = {key: getattr(options, name) for key, name in SHORTHANDS.items()}
    given["augment.crop"] = _crop(options.crop)
    given = {key: value for key, value in given.items() if value is not None}
    return {**given, **parse_settings(options.settings, "--set")}


def _crop(values: Optional[List[int]]) -> Any:
    if values is None:
        return None
    if len(values) > 2:
        raise ConfigError(f"--crop {' '.join(map(str, values))}: expected one side, or height and width")
    return values[0] if len(values) == 1 else values


def describe_fields() -> str:
    """All fields of a recipe as text: dotted key, default, meaning."""
    lines = []

    def walk(kind: Type[Group], prefix: str) -> None:
        for name, field in kind.model_fields.items():
            annotation = field.annotation
            if isinstance(annotation, type) and issubclass(annotation, Group):
                walk(annotation, f"{prefix}{name}.")
                continue
            default = (
                "required" if field.is_required() else repr(field.get_default(call_default_factory=True))
            )
            lines.append(f"{prefix + name:32} {default:16} {field.description or ''}")

    walk(Recipe, "")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

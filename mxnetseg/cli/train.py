"""`python train.py`: trains a network by a recipe."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from mxnetseg.cli.common import add_context_argument, add_set_argument, run
from mxnetseg.compat import available_cores
from mxnetseg.environment import DETERMINISTIC, cpu_contexts, several_cpu_contexts
from mxnetseg.errors import CheckpointError, ConfigError

EPILOG = """\
examples
  python train.py --model sfnet --ctx 0 1 2 3 --wandb proj
      configs/sfnet/resnet18_cityscapes.yaml on four GPUs, tracked by Weights & Biases
  python train.py --model sfnet --data camvid --root ../shared/camvid --ctx cpu
  python train.py --model fcn --data synthetic --epochs 2 --crop 128 256
  python train.py --recipe my.yaml --set optimizer.lr=0.02 loss.class_weights=auto
  python train.py --resume weights/runs/sfnet_resnet18_camvid
      goes on exactly where the run was saved last

A run writes to its folder: best.params and last.params (weights), recipe.yaml (everything it depends on),
last.state (for --resume), metrics.jsonl, report.html. --fields lists every field of a recipe with its
default. Ctrl-C and SIGTERM save before they end the run.
"""


def parser():
    """Arguments of `train.py`."""
    p = argparse.ArgumentParser(
        prog="train.py",
        description="Train a segmentation network. The recipe is configs/<model>/<backbone>_<data>.yaml, or "
        "the file given; what is given here wins over it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
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
    what.add_argument("--recipe", metavar="FILE", help="this recipe instead of the one looked up")
    how = p.add_argument_group("how")
    add_context_argument(how)
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


def main(argv=None):
    """Entry point: trains and returns 0, or ends the process with status 2, 130 or 143."""
    return run(_train, argv)


def _train(argv):
    argv = sys.argv[1:] if argv is None else list(argv)
    options = parser().parse_args(argv)
    if options.fields:
        print(describe_fields())
        return 0
    # Before anything loads MXNet.
    threads_given = "OMP_NUM_THREADS" in os.environ
    several_cpu_contexts(options.ctx)
    recipe, run_dir, resume = resolve(options)
    if recipe.model.norm == "syncbn" and not threads_given and cpu_contexts(options.ctx) > 1:
        # The trainer joins them into one context, to which all cores belong.
        _settle_environment({"OMP_NUM_THREADS": str(available_cores() or os.cpu_count())}, argv)
    if recipe.deterministic:
        _settle_environment(DETERMINISTIC, argv)

    from mxnetseg.train.run import train
    from mxnetseg.train.signals import Interrupted

    try:
        result = train(recipe, run_dir, options.ctx, resume, options.wandb, options.quiet)
    except Interrupted as stop:
        print(stop, file=sys.stderr)
        return stop.status
    best = result["best"]
    score = (
        f"best mIoU {100 * best['miou']:.2f}% at iteration {best['iteration']}"
        if best["miou"] is not None
        else "no validation"
    )
    # A run shorter than its logging interval has no numbers.
    written = "weights, numbers and report.html" if (run_dir / "report.html").exists() else "weights"
    print(f"{score}; {written} are in {run_dir}")
    return 0


def resolve(options):
    """(recipe, run folder, whether to resume) of parsed arguments."""
    from mxnetseg import run_files as files

    given = shorthand(options)
    if options.resume and options.resume != "auto":
        if options.recipe:
            raise ConfigError(
                "--resume RUN takes the recipe saved in the run: leave --recipe out, change it with --set"
            )
        return _resume(options.resume, options, given, files)
    recipe = find(options, given)
    run_dir = recipe.run_dir(_default_backbone(recipe))
    meta = files.read_meta(run_dir)
    if meta is not None and options.resume == "auto" and not meta.get("finished"):
        # The command that started it may be typed again: the run's own recipe is the same, resolved.
        return _resume(run_dir, options, given, files)
    if meta is not None and not options.overwrite:
        state = "a finished run" if meta.get("finished") else "an unfinished run (continue it with --resume)"
        raise CheckpointError(
            f"{run_dir}: holds {state}: give another folder with --output, or --overwrite it"
        )
    return recipe, run_dir, False


def _resume(run, options, given, files):
    from mxnetseg.recipe import load_recipe

    run_dir = Path(run)
    run_dir = run_dir if run_dir.is_dir() else run_dir.parent
    for name in ("model.name", "data.name", "model.backbone"):
        given.pop(name, None)
    recipe_file = run_dir / files.RECIPE
    if not recipe_file.is_file() or not (run_dir / files.STATE).is_file():
        raise CheckpointError(
            f"{run}: no training state to resume from; expected the folder of a "
            f"run, with {files.STATE} and {files.RECIPE}"
        )
    recipe = load_recipe(recipe_file, given)
    if files.read_meta(run_dir).get("finished") and not _longer(options, given):
        raise CheckpointError(f"{run_dir}: this run is finished; to train on, give more --epochs")
    return recipe, run_dir, True


def _longer(options, given):
    return any(key in given for key in ("schedule.epochs", "schedule.iterations"))


def find(options, given):
    """The recipe that the arguments mean."""
    from mxnetseg.recipe import find_recipe, load_recipe

    if options.recipe:
        return load_recipe(options.recipe, given)
    if not options.model:
        raise ConfigError("give --model (such as sfnet or fcn) or --recipe FILE; --help shows examples")
    file, overrides, notes = find_recipe(options.model, options.backbone, options.data or "cityscapes")
    recipe = load_recipe(file, {**overrides, **given})
    recipe.notes[:0] = notes
    return recipe


def shorthand(options):
    """Dotted recipe keys that the arguments give; `--set` wins over the shorthands."""
    from mxnetseg.recipe import parse_overrides

    pairs = {
        "model.name": options.model,
        "model.backbone": options.backbone,
        "data.name": options.data,
        "data.root": options.root,
        "data.batch_size": options.batch_size,
        "data.workers": options.workers,
        "schedule.epochs": options.epochs,
        "optimizer.lr": options.lr,
        "augment.crop": _crop(options.crop),
        "seed": options.seed,
        "deterministic": options.deterministic,
        "init_from": options.init_from,
        "output_dir": options.output,
    }
    given = {key: value for key, value in pairs.items() if value is not None}
    return {**given, **parse_overrides(options.settings)}


def _crop(values):
    if values is None:
        return None
    if len(values) > 2:
        raise ConfigError(f"--crop {' '.join(map(str, values))}: expected one side, or height and width")
    return values[0] if len(values) == 1 else values


def _default_backbone(recipe):
    from mxnetseg.models import model_info

    return model_info(recipe.model.name).get("backbone") or ""


def _settle_environment(needed, argv):
    """Settings that only the recipe tells, but that MXNet reads when loaded: it is loaded anew."""
    if all(os.environ.get(key) == value for key, value in needed.items()):
        return
    os.environ.update(needed)
    if "mxnet" in sys.modules:
        package_root = str(Path(__file__).resolve().parents[2])
        paths = [package_root, os.environ.get("PYTHONPATH")]
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        sys.stdout.flush()
        sys.stderr.flush()
        os.execv(sys.executable, [sys.executable, "-m", "mxnetseg.cli.train", *argv])


def describe_fields():
    """All fields of a recipe as text: dotted key, default, meaning."""
    from mxnetseg.recipe import Group, Recipe

    lines = []

    def walk(kind, prefix):
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

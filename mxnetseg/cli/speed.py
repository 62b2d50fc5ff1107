"""`python -m mxnetseg.speed`, and `eval.py --mode speed`: how fast a network predicts."""

from __future__ import annotations

import argparse
import sys
from typing import Any, Dict, List, Optional

from mxnetseg.cli.common import Parser, add_compute_arguments, add_context_argument, add_engine_argument, run
from mxnetseg.environment import prepare
from mxnetseg.errors import ConfigError
from mxnetseg.facts import default_backbone

SIZE = (512, 1024)

_EXAMPLES = """
examples:
  python -m mxnetseg.speed --model sfnet --backbone resnet18 --size 1024 2048
  python -m mxnetseg.speed --checkpoint weights/runs/sfnet_resnet18_camvid --ctx 0 --batch 4
"""


def parser() -> Parser:
    """Arguments of `python -m mxnetseg.speed`."""
    p = Parser(
        "python -m mxnetseg.speed",
        description="Time the forward pass of a network on random input, and say what the number depends on.",
        epilog=_EXAMPLES,
    )
    p.add_argument("--checkpoint", metavar="FILE", help=".params file, or the folder of a run")
    p.add_argument("--model", help="architecture with random weights, where there is no checkpoint")
    p.add_argument("--backbone", help="its backbone")
    p.add_argument("--data", help="data set whose number of classes it has; default: cityscapes")
    p.add_argument("--size", type=int, nargs=2, metavar=("H", "W"), help="of the input (default 512 1024)")
    p.add_argument("--batch", type=int, metavar="N", help="images per forward pass (default 1)")
    p.add_argument("--json", metavar="FILE", help="write the numbers to this file")
    add_context_argument(p)
    add_engine_argument(p, ("mxnet", "torch", "onnxruntime", "openvino"))
    add_compute_arguments(p)
    return p


def main(argv: Optional[List[str]] = None) -> int:
    """Entry point; exits with status 2 and one line on bad input."""
    return run(_speed, argv)


def _speed(argv: Optional[List[str]]) -> None:
    options = parser().parse_args(argv)
    if not options.checkpoint and not options.model:
        raise ConfigError("give --checkpoint FILE, or --model for random weights")
    measure(options)


def chosen_engine(options: argparse.Namespace) -> Any:
    """The engine that `--engine`, `--ctx`, `--amp`, `--compile` and the checkpoint ask for.

    ConfigError where it has no mixed precision or compilation and they ask for it.
    """
    from mxnetseg.compute.choice import PRECISIONS, choose_engine

    amp = options.amp or "none"
    asked = [f"--amp {amp}"] if amp != "none" else []
    asked += ["--compile"] if options.compile else []
    choice = choose_engine(options.engine, options.ctx, options.checkpoint, asked)
    if amp != "none" and amp not in PRECISIONS.get(choice.engine, ()):
        able = " or ".join(name for name, kinds in PRECISIONS.items() if amp in kinds)
        raise ConfigError(f"--amp {amp}: the {choice.engine} engine has no {amp}: use --engine {able}")
    if options.compile and choice.engine != "torch":
        raise ConfigError(f"--compile: the {choice.engine} engine compiles nothing: use --engine torch")
    return choice


def compute_settings(options: argparse.Namespace) -> Dict[str, Any]:
    """Overrides of a checkpoint's recipe: its precision unless `--amp` is given, compiled by `--compile`."""
    given = {"compute.compile": bool(options.compile)}
    return {**given, "compute.amp": options.amp} if options.amp else given


def measure(options: argparse.Namespace) -> None:
    """Measure what `parser`'s options ask for, and print it. `eval.py` has options of the same names."""
    if options.size and min(options.size) < 32:
        raise ConfigError("--size takes height and width of at least 32 pixels")
    if options.batch is not None and options.batch < 1:
        raise ConfigError(f"--batch {options.batch} must be at least 1")
    prepare(options.ctx)
    from mxnetseg.compute.devices import contexts
    from mxnetseg.compute.inference import open_network
    from mxnetseg.compute.mxnet_inference import MxnetInference
    from mxnetseg.data import dataset_info
    from mxnetseg.models import create_model
    from mxnetseg.predict.session import recipe_of
    from mxnetseg.predict.speed import describe_speed, measure_speed
    from mxnetseg.report.tracking import write_json
    from mxnetseg.weights.checkpoint import load_network

    choice = chosen_engine(options)
    if choice.note:
        print(f"note: {choice.note}", file=sys.stderr)
    if options.checkpoint:
        recipe = recipe_of(
            options.checkpoint, options.model, options.backbone, options.data, compute_settings(options)
        )
        name, channels = recipe.model.name, recipe.model.in_channels
        backbone = recipe.model.backbone or default_backbone(name, recipe.model.form)
        weights = f"from {options.checkpoint}"
    elif choice.engine == "mxnet":
        name, channels, weights = options.model, 3, "random weights"
        backbone = options.backbone or default_backbone(name)
        nclass = dataset_info(options.data or "cityscapes")["nclass"] or 19
    else:
        raise ConfigError(f"the {choice.engine} engine is timed with a checkpoint: give --checkpoint FILE")
    if choice.engine != "mxnet":
        inference = open_network(options.checkpoint, recipe, None, options.ctx, choice.engine)
    elif options.checkpoint:
        net, _ = load_network(options.checkpoint, recipe)
        inference = MxnetInference(net, contexts(options.ctx)[:1], static_shape=True)
    else:
        net = create_model(name, nclass, backbone=backbone)
        inference = MxnetInference(net, contexts(options.ctx)[:1], static_shape=True)
    print(f"{name} {backbone}, {weights}")
    result = measure_speed(inference, tuple(options.size or SIZE), options.batch or 1, in_channels=channels)
    print("\n".join(describe_speed(result)))
    if options.json:
        write_json(options.json, {"model": name, "backbone": backbone, **result})
        print(f"wrote {options.json}")

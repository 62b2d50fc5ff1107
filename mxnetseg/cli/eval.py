"""`eval.py`: score a checkpoint, or predict with it. `mxnetseg.predict` does the work."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from typing import Any, List, Optional

from mxnetseg.cli.common import EXIT_USER_ERROR, run
from mxnetseg.cli.eval_options import check, kinds, parser
from mxnetseg.cli.speed import chosen_engine, compute_settings, measure
from mxnetseg.compute.workers import (
    ALONE,
    OtherWorkerFailed,
    Workers,
    check_engine,
    join_workers,
    started_by_torchrun,
)
from mxnetseg.environment import prepare
from mxnetseg.errors import ConfigError, DatasetError, MxnetsegError
from mxnetseg.recipe import Recipe, parse_settings

# What messages of other rooms advise, and the flag for it.
FLAGS = {
    "model": "--model",
    "data set": "--data",
    "data.root": "--root",
    "compute.amp": "--amp",
    "output folder": "--output",
    "recipe file": "--model and --data",
}


def main(argv: Optional[List[str]] = None) -> int:
    """Entry point; exits with status 2 and one line on bad input."""
    return run(_evaluate, argv, FLAGS)


def _evaluate(argv: Optional[List[str]]) -> Optional[int]:
    options = parser().parse_args(argv)
    try:
        check(options)
        if options.mode == "speed":
            return measure(options)
        choice = chosen_engine(options)
        check_engine(choice.engine)
    except MxnetsegError:
        if int(os.environ.get("LOCAL_RANK", 0)):  # the first worker of this machine has the same to say
            return EXIT_USER_ERROR
        raise
    if choice.note and not options.quiet:
        print(f"note: {choice.note}", file=sys.stderr)
    prepare(options.ctx)
    try:
        joined = join_workers(choice.engine) if started_by_torchrun() else ALONE
        with contextlib.closing(joined) as workers:
            _predict(options, choice.engine, workers)
    except OtherWorkerFailed as failure:
        if str(failure):
            raise
        return EXIT_USER_ERROR
    return 0


def _predict(options: argparse.Namespace, engine: str, workers: Workers) -> None:
    """Collective: one evaluation, its lines and its files."""
    from mxnetseg.predict.evaluation import run as predict
    from mxnetseg.predict.session import trained_on
    from mxnetseg.report.outcome import lines_of, title_of, write_outcome

    with workers.together():
        session = _session(options, engine, workers)
        recipe, dataset = session.recipe, session.dataset
        if options.tune_threshold:
            _tune(options, session.predictor, dataset, recipe.data.timeout)
    scored = not options.image and options.mode != "test"
    folder = _output_folder(options, dataset)
    writer = None
    if folder:
        from mxnetseg.report.pictures import PictureWriter

        count = min(options.limit or len(dataset), len(dataset))
        writer = PictureWriter(folder, dataset, kinds(options), options.submission, count=count)
    try:
        result = predict(
            session.predictor,
            dataset,
            on_image=writer.add if writer else None,
            limit=options.limit,
            score=scored,
            progress=not options.quiet and workers.first,
            timeout=recipe.data.timeout,
            workers=workers,
        )
        result = {**session.names(), "checkpoint": options.checkpoint, **result}
        if scored:
            result["trained_on"] = trained_on(recipe, dataset)
        written = writer.finish(title_of(result), f"Protocol: {result['protocol']}") if writer else []
    finally:
        if writer:
            writer.close()

    def report() -> None:
        print("\n".join(lines_of(result, scored)))
        for path in [*written, *write_outcome(result, folder, scored, options.json)]:
            print(f"wrote {path}")

    workers.by_first(report)


def _session(options: argparse.Namespace, engine: str, workers: Workers) -> Any:
    """The checkpoint over the pictures that the options name."""
    from mxnetseg.predict.session import dataset_of, open_session, pictures_of

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
    protocol = _protocol(options, recipe, dataset)
    return open_session(options.checkpoint, dataset, recipe, protocol, options.ctx, engine, workers)


def _tune(options: argparse.Namespace, predictor: Any, dataset: Any, timeout: Optional[float]) -> None:
    from mxnetseg.predict.threshold import keep, recipe_beside, tune

    beside = recipe_beside(options.checkpoint)
    threshold, miou = tune(predictor, dataset, options.limit, not options.quiet, timeout)
    keep(beside, threshold)
    print(f"threshold {threshold:g} gives {100 * miou:.2f}% mIoU; kept in {beside}")


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

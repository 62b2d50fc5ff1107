"""One call from a recipe to a trained run."""

from __future__ import annotations

import contextlib
from typing import Any, Dict, Optional, Sequence

from mxnetseg import run_files as files
from mxnetseg.compute.choice import choose_engine
from mxnetseg.compute.workers import join_workers
from mxnetseg.recipe import Recipe
from mxnetseg.train.progress import log
from mxnetseg.train.setup import prepare
from mxnetseg.train.trainer import Trainer


def train(
    recipe: Recipe,
    run_dir: Any,
    device_names: Optional[Sequence[str]] = None,
    resume: bool = False,
    wandb: Optional[str] = None,
    quiet: bool = False,
    engine: str = "auto",
    kvstore: Optional[str] = None,
) -> Dict[str, Any]:
    """Train what the recipe says in the folder `run_dir`; arguments and result as `Trainer` has them.

    engine   one of `mxnetseg.compute.list_engines`, or `auto` (see `choose_engine`).
    kvstore  of MXNet, where this process is one of several that it joins: see `mxnetseg.compute.kvstore`.

    Called by each of several workers (`mxnetseg.compute.workers`), it is collective.

    Raises CheckpointError where another process is training there.
    """
    engine = "mxnet" if kvstore and engine == "auto" else engine
    choice = choose_engine(engine, device_names, asked=recipe.compute.asked())
    workers = join_workers(choice.engine, kvstore)
    quiet = quiet or not workers.first
    if choice.note and not quiet:
        log(f"note: {choice.note}")
    with contextlib.ExitStack() as stack:
        stack.callback(workers.close)
        workers.check_equal("recipe", recipe.to_yaml())
        workers.check_equal("run to resume", str(resume))

        def take_folder() -> None:
            files.make_folder(run_dir)
            stack.enter_context(files.locked(run_dir))
            stack.callback(files.remove_empty, run_dir)  # where it does not come to training
            files.remove_leftovers(run_dir)

        workers.by_first(take_folder)
        with workers.one_first():
            setup = prepare(recipe, device_names, choice.engine, resume, quiet, workers)
            stack.callback(setup.loader.close)
        result = Trainer(setup, run_dir, resume, wandb, quiet).fit()
        workers.barrier()  # the first may still send numbers to wandb, for longer than one who leaves waits
        return result

"""Run folders: which there are, and which one a command writes to or goes on with. Nothing imports MXNet.

`python -m mxnetseg.runs` lists them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

from mxnetseg import run_files
from mxnetseg.errors import CheckpointError, MxnetsegError
from mxnetseg.facts import default_backbone
from mxnetseg.recipe import Recipe, load_recipe

FOLDER = Path("weights", "runs")
# What a resumed run keeps of its own, whatever the command line says again.
_FIXED = ("model.name", "model.backbone", "data.name")


@dataclass(frozen=True)
class Run:
    """A folder with a recipe. `state` is what training saved last (see `run_files`), None where nothing was:
    a checkpoint that was imported or copied. `problem` is why the folder cannot be read, if it cannot."""

    folder: Path
    recipe: Optional[Recipe] = None
    state: Optional[Dict[str, Any]] = None
    problem: Optional[str] = None

    @property
    def best(self) -> Optional[float]:
        """mIoU, 0 to 1, of the best validation."""
        return (self.state or {}).get("best_miou")


def list_runs(folder: Any = FOLDER) -> List[Run]:
    """The runs below a folder, sorted by path; [] where the folder does not exist."""
    found = []
    for where, folders, names in os.walk(folder):
        folders.sort()
        if run_files.RECIPE in names:
            found.append(_read(Path(where)))
    return found


def _read(folder: Path) -> Run:
    try:
        return Run(folder, load_recipe(folder / run_files.RECIPE), run_files.read_meta(folder))
    except MxnetsegError as error:
        return Run(folder, problem=str(error))


def run_folder(recipe: Recipe) -> Path:
    """The recipe's `output_dir`, by default weights/runs/<model>_<backbone>_<data>."""
    if recipe.output_dir:
        return Path(recipe.output_dir)
    backbone = recipe.model.backbone or default_backbone(recipe.model.name, recipe.model.form)
    return FOLDER / "_".join([recipe.model.name, backbone, recipe.data.name])


def is_unfinished(folder: Path) -> bool:
    """Whether a run that can go on is in the folder; CheckpointError for a damaged state."""
    state = run_files.read_meta(folder)
    return state is not None and not state.get("finished")


def check_free(folder: Path) -> None:
    """CheckpointError where training would destroy a run."""
    state = run_files.read_meta(folder)
    if state is not None:
        what = "a finished run" if state.get("finished") else "an unfinished run, which can be resumed"
        raise CheckpointError(f"{folder}: holds {what}: give another output_dir, or let it be overwritten")


def resumed(run: Any, overrides: Mapping[str, Any]) -> Tuple[Recipe, Path]:
    """The run's own recipe with `overrides`, and its folder. `run`: the folder, or any file in it.

    CheckpointError where nothing can be resumed: no state, or finished and not made longer.
    """
    folder = Path(run)
    folder = folder if folder.is_dir() else folder.parent
    if not (folder / run_files.RECIPE).is_file() or not (folder / run_files.STATE).is_file():
        raise CheckpointError(
            f"{run}: no training state to resume from; expected the folder of a run, with {run_files.STATE} "
            f"and {run_files.RECIPE}"
        )
    recipe = load_recipe(
        folder / run_files.RECIPE, {key: value for key, value in overrides.items() if key not in _FIXED}
    )
    longer = any(key in overrides for key in ("schedule.epochs", "schedule.iterations"))
    if not is_unfinished(folder) and not longer:
        length = "schedule.iterations" if recipe.schedule.iterations else "schedule.epochs"
        raise CheckpointError(f"{folder}: this run is finished; to train on, give more {length}")
    return recipe, folder

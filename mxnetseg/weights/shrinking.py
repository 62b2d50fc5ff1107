"""Trained networks made small enough to pass on: half precision, or 8-bit integers with a scale per channel.

Loading widens them to float32 again; only the file is small, not the arithmetic (for that see
`mxnetseg.export`). Auxiliary heads, which only training needs, are left out.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from mxnetseg.errors import CheckpointError
from mxnetseg.recipe.fields import ComputeGroup
from mxnetseg.run_files import BEST, METRICS, REPORT, make_folder, save_params, save_recipe
from mxnetseg.weights.checkpoint import load_network, network_arrays
from mxnetseg.weights.integers import half, narrow, widen


class Shrunk(NamedTuple):
    """The file, its bytes, and the largest change of a number over the largest number of its tensor."""

    path: Path
    size: int
    change: float


def shrink(checkpoint: Any, folder: Any, bits: Literal[8, 16] = 16, force: bool = False) -> Shrunk:
    """Write the network of a `.params` file or run folder to `folder`, with its recipe, and with the curves
    and report of a run folder that has them.

    bits : 16 for float16; 8 for int8 tensors of convolutions and dense layers, float16 for the rest.
    force : replace what is there.

    Raises CheckpointError where the folder holds a network already or numbers are too large for float16.
    """
    folder = Path(folder)
    if (folder / BEST).exists() and not force:
        raise CheckpointError(f"{folder / BEST} exists: give another output folder, or let it be replaced")
    net, recipe = load_network(checkpoint)
    arrays = network_arrays(net.deploy())
    stored = narrow(arrays) if bits == 8 else {name: half(name, a) for name, a in arrays.items()}
    make_folder(folder)
    save_params(folder / BEST, stored)
    widened = widen(stored)
    change = max(_change(array, widened[name]) for name, array in arrays.items())
    # What belongs to the machine that trained stays behind.
    left = {"data": recipe.data.model_copy(update={"root": None}), "compute": ComputeGroup()}
    save_recipe(folder, recipe.model_copy(update={**left, "output_dir": None, "init_from": None}))
    source = Path(checkpoint)
    for name in (METRICS, REPORT):
        if source.is_dir() and (source / name).is_file() and source.resolve() != folder.resolve():
            shutil.copy(source / name, folder / name)
    return Shrunk(folder / BEST, (folder / BEST).stat().st_size, change)


def _change(before: np.ndarray, after: np.ndarray) -> float:
    largest = float(np.abs(before).max(initial=0))
    return float(np.abs(before - after).max()) / largest if largest else 0.0

"""Trained networks made small enough to pass on: half precision, or 8-bit integers with a scale per channel.

Loading widens them to float32 again; only the file is small, not the arithmetic (for that see
`mxnetseg.export`). Auxiliary heads, which only training needs, are left out.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Dict, Literal, Mapping, NamedTuple

import numpy as np

from mxnetseg.errors import CheckpointError
from mxnetseg.recipe.fields import ComputeGroup
from mxnetseg.run_files import BEST, METRICS, REPORT, make_folder, save_params, save_recipe

SCALE = ":scale"  # after the name of a tensor of integers: what one of them stands for, per first axis
_SMALL = 1024  # a tensor of fewer numbers is worth no scales


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
    from mxnetseg.weights.checkpoint import load_network, network_arrays

    folder = Path(folder)
    if (folder / BEST).exists() and not force:
        raise CheckpointError(f"{folder / BEST} exists: give another output folder, or let it be replaced")
    net, recipe = load_network(checkpoint)
    arrays = network_arrays(net.deploy())
    stored = narrow(arrays) if bits == 8 else {name: _half(name, a) for name, a in arrays.items()}
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


def narrow(arrays: Mapping[str, np.ndarray]) -> Dict[str, np.ndarray]:
    """Large tensors of two dimensions and more as int8 and, under the name with `SCALE`, float32 scales of
    their first axis; the others as float16."""
    found: Dict[str, np.ndarray] = {}
    for name, array in arrays.items():
        if array.ndim < 2 or array.size < _SMALL:
            found[name] = _half(name, array)
            continue
        rows = array.reshape(len(array), -1)
        scale = np.maximum(np.abs(rows).max(axis=1), 1e-30) / 127
        if not np.isfinite(scale).all():
            raise CheckpointError(f"{name}: holds numbers that are not finite")
        found[name] = np.round(rows / scale[:, None]).astype(np.int8).reshape(array.shape)
        found[name + SCALE] = scale.astype(np.float32)
    return found


def widen(arrays: Mapping[str, np.ndarray]) -> Dict[str, np.ndarray]:
    """`arrays` with integers multiplied by their scales, and without the scales. ValueError for scales that
    do not fit."""
    found = {name: array for name, array in arrays.items() if not name.endswith(SCALE)}
    for name, scale in arrays.items():
        if not name.endswith(SCALE):
            continue
        tensor = name[: -len(SCALE)]
        array = found.get(tensor)
        if array is None or array.ndim < 1 or scale.shape != array.shape[:1]:
            raise ValueError(f"its scales {name!r} belong to no tensor of that length")
        found[tensor] = array.astype(np.float32) * scale.reshape(-1, *[1] * (array.ndim - 1))
    return found


def _half(name: str, array: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    if not np.isfinite(half).all():
        raise CheckpointError(f"{name}: holds numbers beyond float16's, up to {np.abs(array).max():.3g}")
    return half


def _change(before: np.ndarray, after: np.ndarray) -> float:
    largest = float(np.abs(before).max(initial=0))
    return float(np.abs(before - after).max()) / largest if largest else 0.0

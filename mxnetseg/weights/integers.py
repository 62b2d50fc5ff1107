"""Tensors stored as 8-bit integers with a scale for each channel, and in half precision."""

from __future__ import annotations

from typing import Dict, Mapping

import numpy as np

from mxnetseg.errors import CheckpointError

SCALE = ":scale"  # after the name of a tensor of integers: what one of them stands for, per first axis
_SMALL = 1024  # a tensor of fewer numbers is worth no scales


def narrow(arrays: Mapping[str, np.ndarray]) -> Dict[str, np.ndarray]:
    """Large tensors of two dimensions and more as int8 and, under the name with `SCALE`, float32 scales of
    their first axis; the others as float16."""
    found: Dict[str, np.ndarray] = {}
    for name, array in arrays.items():
        if array.ndim < 2 or array.size < _SMALL:
            found[name] = half(name, array)
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


def half(name: str, array: np.ndarray) -> np.ndarray:
    """`array` in float16; CheckpointError, which names it, for numbers beyond that."""
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    if not np.isfinite(half).all():
        raise CheckpointError(f"{name}: holds numbers beyond float16's, up to {np.abs(array).max():.3g}")
    return half

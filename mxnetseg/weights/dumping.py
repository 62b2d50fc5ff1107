"""The inverse of loading: a network's values or gradients under the names that its reference gives them.

The rename tables go one way, from theirs to ours, so a dump walks through the names of the reference's file
(`layouts`) and looks up where each leads. Where a table rearranges tensors first (splits a projection, turns
an embedding into a map), arrays of counted elements go through the same function and show where each element
went.
"""

from __future__ import annotations

import re
from typing import Any, Dict, Literal, Tuple

import numpy as np

from mxnetseg.errors import CheckpointError, ConfigError
from mxnetseg.nn.surgery import named_parameters
from mxnetseg.weights.layouts import Layout, layout
from mxnetseg.weights.rename import Reference, reference_info, translate

# Counted elements begin here; whatever lies below is a constant that the table made up.
_FIRST = 4096


def dump(reference_id: str, net: Any, of: Literal["data", "grad"] = "data") -> Dict[str, np.ndarray]:
    """{the reference's name: array} in the order of its file, float32 or what the network computes in.

    `of` "data": parameters and running statistics. Tensors that the reference stores and never runs are those
    of the file that `net` was loaded from; where it was not loaded, constants have their published values and
    the rest is zero. `of` "grad": gradients, of those that have one; zeros where the published network reads
    a tensor and throws away what comes of it. A tensor stored under two names is under both. Raises
    CheckpointError where the network is not one of this reference.
    """
    if of not in ("data", "grad"):
        raise ConfigError(f"a dump is of data or of grad, not {of!r}")
    entry, names = reference_info(reference_id), layout(reference_id)
    parameters = named_parameters(net)
    # The first context's; gradients and trained parameters are the same on all.
    values = {
        name: parameter.list_data()[0].asnumpy() if of == "data" else parameter.list_grad()[0].asnumpy()
        for name, parameter in parameters.items()
        if of == "data" or parameter.grad_req != "null"
    }
    found = _untouched(entry, names, parameters, values)
    stored = getattr(net, "unused_tensors", {})
    found.update(_rearranged(entry, names, parameters, values, stored if of == "data" else {}))
    for name, other in names.aliases.items():
        if name not in found and other in found:
            found[name] = found[other]
        elif other not in found and name in found:
            found[other] = found[name]
    result = {}
    for name, shape in names.shapes.items():
        if name in found:
            result[name] = found[name]
        elif any(re.search(pattern, name) for pattern in entry.unused):
            if of == "data":
                result[name] = np.asarray(stored[name]) if name in stored else _constant(entry, name, shape)
            elif any(re.search(pattern, name) for pattern in entry.discarded):
                result[name] = np.zeros(shape, next(iter(values.values())).dtype)
        elif of == "data":
            raise CheckpointError(f"this network has nothing for {name} of reference {reference_id!r}")
    return result


def _constant(entry: Reference, name: str, shape: Tuple[int, ...]) -> np.ndarray:
    for pattern, values in entry.constants.items():
        if re.search(pattern, name):
            return np.asarray(values, np.float32).reshape(shape)
    return np.zeros(shape, np.float32)


def _untouched(entry, names, parameters, values) -> Dict[str, np.ndarray]:
    """Arrays of the tensors that are only renamed."""
    found = {}
    for name in _passed(entry, names):
        if any(re.search(pattern, name) for pattern in entry.unused):
            continue
        ours = translate(name, entry.rules, parameters)
        if ours in values:
            found[name] = _shaped(values[ours], names.shapes[name])
            _check_shape(name, found[name].shape, names)
    return found


def _check_shape(name, shape, names):
    """CheckpointError unless a shape differs from the reference's in what follows the classes alone."""
    stored = names.shapes[name]
    same = len(shape) == len(stored) and all(
        ours == theirs or theirs % names.nclass == 0 for ours, theirs in zip(shape, stored)
    )
    if not same:
        raise CheckpointError(
            f"{name} is {tuple(shape)} in this network and {stored} in the reference's: that is of another "
            f"backbone or other options"
        )


def _passed(entry: Reference, names: Layout):
    """Names of tensors that `prepare` hands on as they are."""
    if entry.prepare is None:
        return list(names.shapes)
    # Views of one number take no memory, and identity tells which were handed on.
    views = {name: np.broadcast_to(np.float32(0), shape) for name, shape in names.shapes.items()}
    prepared = entry.prepare(dict(views))
    return [name for name, view in views.items() if prepared.get(name) is view]


def _rearranged(entry, names, parameters, values, unused) -> Dict[str, np.ndarray]:
    """Arrays of the tensors that `prepare` takes apart, by where their counted elements go. `unused`: arrays
    of rearranged tensors that the network never runs; zero where it has none."""
    passed = set(_passed(entry, names))
    partners = {**names.aliases, **{other: name for name, other in names.aliases.items()}}
    taken = [name for name in names.shapes if name not in passed and partners.get(name) not in passed]
    if not taken:
        return {}
    others = {name: np.broadcast_to(0, shape) for name, shape in names.shapes.items() if name not in taken}
    counted: Dict[str, np.ndarray] = {}
    start = _FIRST
    for name in taken:
        shape = _resized(entry, names, name, values)
        size = int(np.prod(shape, dtype=np.int64))
        counted[name] = np.arange(start, start + size).reshape(shape)
        start += size
    total = np.full(start, np.nan)
    for name, places in entry.prepare({**others, **counted}).items():
        if name in others:
            continue
        places = np.asarray(places).astype(np.int64).ravel()
        if places.min() < _FIRST:
            continue  # a constant that the table made up
        if any(re.search(pattern, name) for pattern in entry.unused):
            total[places] = np.ravel(unused.get(name, 0.0))
            continue
        ours = translate(name, entry.rules, parameters)
        if ours in values:
            total[places] = values[ours].ravel()
    dtype = next(iter(values.values())).dtype
    found = {name: total[places] for name, places in counted.items()}
    return {name: array.astype(dtype) for name, array in found.items() if not np.isnan(array).any()}


def _resized(entry, names, name, values):
    """The shape of a tensor; of a position embedding `(1, tokens, channels)` for the grid of this network."""
    shape, ours = names.shapes[name], values.get("backbone.pos_embed")
    if ours is None or len(shape) != 3 or not name.endswith("pos_embed"):
        return shape
    views = {other: np.broadcast_to(0, size) for other, size in names.shapes.items()}
    grid = np.shape(entry.prepare(views)["backbone.pos_embed"])[2:]
    return (1, shape[1] - int(np.prod(grid)) + int(np.prod(ours.shape[2:])), shape[2])


def _shaped(array: np.ndarray, shape: Tuple[int, ...]) -> np.ndarray:
    """`array` with the axes of length 1 that `shape` has; sizes are the array's own (another number of
    classes)."""
    if array.ndim == len(shape):
        return array
    sizes = [n for n in array.shape if n != 1]
    kept = sum(n != 1 for n in shape)
    if len(sizes) != kept:
        return array.reshape(shape)
    rest = iter(sizes)
    return array.reshape([1 if n == 1 else next(rest) for n in shape])

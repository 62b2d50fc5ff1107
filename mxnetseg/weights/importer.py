"""A published file becomes a checkpoint of this library that describes itself."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Tuple, Union

import numpy as np

from mxnetseg import params_file
from mxnetseg.errors import CheckpointError, ConfigError
from mxnetseg.models.create import create_model
from mxnetseg.nn.surgery import named_parameters
from mxnetseg.run_files import BEST, LAST, METRICS, RECIPE, STATE, TEMPORARY, atomic_file, make_folder
from mxnetseg.weights.checkpoint import network_arrays
from mxnetseg.weights.loading import fill
from mxnetseg.weights.published import USUAL_DATA, published_evaluation, published_input
from mxnetseg.weights.reading import read_tensors
from mxnetseg.weights.rename import BOOKKEEPING, Reference, reference_info, translate

# A class count no checkpoint has, to see which dimensions follow it.
PROBE = 7
BUILD_KEYS = ("form", "backbone", "aux", "output_stride", "backbone_options", "in_channels")


def import_checkpoint(
    reference: str,
    file: Union[str, Path],
    out: Union[str, Path],
    nclass: Optional[int] = None,
    data: Optional[str] = None,
    options: Optional[Dict[str, Any]] = None,
    force: bool = False,
) -> Tuple[Path, int]:
    """Read `file` as published network `reference` and write `<out>/best.params` with its `recipe.yaml`.

    `nclass`: None reads it off the tensors. `data`: registered data set it is for (None: by class count).
    `options`: `create_model` keywords over the reference's own. Returns (path of the params, nclass).
    `force`: replaces these two files where an earlier import wrote them, and nothing else (`check_target`).
    Raises CheckpointError (left-over or missing tensors are listed) and writes nothing then.
    """
    from mxnetseg.data import dataset_info

    out = Path(out)
    entry = reference_info(reference)
    check_target(out, force)
    tensors = entry.turned(read_tensors(file))
    keywords = entry.options_for(tensors, **(options or {}))
    nclass = nclass or class_count(entry, keywords, tensors, file)
    data = data or USUAL_DATA.get(nclass)
    if data is None:
        raise ConfigError(f"{file} has {nclass} classes, which no usual data set has: name the data set")
    dataset_info(data)
    net = create_model(entry.model, nclass, **keywords)
    fill(net, entry, tensors, reference)
    build = {k: keywords.pop(k) for k in BUILD_KEYS if k in keywords}
    build["backbone"] = net.backbone.registered_name
    model = {"name": entry.model, "nclass": nclass, **build, "options": keywords}
    recipe = {
        "model": model,
        "data": {"name": data},
        "input": published_input(reference),
        "evaluation": published_evaluation(reference, data, os.path.basename(file)),
        "schedule": {"iterations": 1},
    }
    _write(net, recipe, out)
    return out / BEST, nclass


def class_count(
    entry: Reference, keywords: Dict[str, Any], tensors: Mapping[str, Any], file: Union[str, Path]
) -> int:
    """Number of classes of a checkpoint, read off the shapes that follow it."""
    probe = named_parameters(create_model(entry.model, PROBE, **keywords))
    tensors = entry.arranged(tensors)
    counts = set()
    for name, tensor in tensors.items():
        ours = None if BOOKKEEPING.search(name) else translate(name, entry.rules, probe)
        if ours is not None:
            shape, found = probe[ours].shape, np.shape(tensor)
            if len(shape) == len(found) and shape[0] == PROBE and shape[1:] == found[1:]:
                counts.add(found[0])
    if len(counts) != 1:
        raise CheckpointError(f"cannot read the number of classes off {file}: give the number of classes")
    return int(counts.pop())


def check_target(out: Union[str, Path], force: bool) -> None:
    """CheckpointError unless an import may write to the folder `out`: it is new or empty, or with `force`
    what an import left there.

    Runs have files of these names too, and more, which took days: they are kept.
    """
    out = Path(out)
    if out.is_file():
        raise CheckpointError(f"{out} is a file: give an output folder")
    inside = {path.name for path in out.iterdir()} if out.exists() else set()
    if not inside:
        return
    if not force:
        raise CheckpointError(
            f"{out} exists: give another output folder, or let the import in it be replaced"
        )
    trained = inside & {LAST, STATE, METRICS}
    if trained:
        raise CheckpointError(
            f"{out} is a training run's, it holds {min(trained)}: give another output folder"
        )
    others = inside - {BEST, RECIPE, BEST + TEMPORARY, RECIPE + TEMPORARY}
    if others and not {BEST, RECIPE} <= inside:
        raise CheckpointError(f"{out} is no import's, it holds {min(others)}: give another output folder")


def _write(net, recipe, out):
    """Both files or none, and never the recipe of one import beside the weights of another."""
    from mxnetseg.recipe import make_recipe

    recipe = make_recipe(recipe, source="the imported checkpoint")
    made = [folder for folder in (out, *out.parents) if not folder.exists()]
    make_folder(out)
    try:
        with atomic_file(out / RECIPE) as text, atomic_file(out / BEST) as weights:
            text.write(recipe.to_yaml().encode())
            params_file.write(weights, network_arrays(net))
            for file in (text, weights):
                file.flush()
                os.fsync(file.fileno())
            # All is on the disk. The weights get their name before the recipe, and meanwhile there is none.
            with contextlib.suppress(FileNotFoundError):
                (out / RECIPE).unlink()
    except BaseException:
        with contextlib.suppress(OSError):  # only folders that are empty go
            for folder in made:
                folder.rmdir()
        raise

"""A published file becomes a checkpoint of this library that describes itself."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np

from mxnetseg.errors import CheckpointError, ConfigError
from mxnetseg.models.create import create_model
from mxnetseg.nn.surgery import named_parameters
from mxnetseg.weights.loading import fill
from mxnetseg.weights.reading import read_tensors
from mxnetseg.weights.rename import BOOKKEEPING, reference_info, translate

# A class count no checkpoint has, to see which dimensions follow it.
PROBE = 7
USUAL_DATA = {19: "cityscapes", 150: "ade20k", 21: "voc2012"}
BUILD_KEYS = ("form", "backbone", "aux", "output_stride", "backbone_options", "in_channels")


def import_checkpoint(reference, file, out, nclass=None, data=None, options=None, force=False):
    """Read `file` as published network `reference` and write `<out>/best.params` with its `recipe.yaml`.

    `nclass`: None reads it off the tensors. `data`: registered data set it is for (None: by class count).
    `options`: `create_model` keywords over the reference's own. Returns (path of the params, nclass).
    Raises CheckpointError (left-over or missing tensors are listed) and writes nothing then.
    """
    from mxnetseg.data import dataset_info

    out = Path(out)
    entry = reference_info(reference)
    if out.exists() and not force:
        raise CheckpointError(f"{out} exists: give another --out, or --force to replace it")
    tensors = read_tensors(file)
    keywords = entry.options_for(tensors, **(options or {}))
    nclass = nclass or class_count(entry, keywords, tensors, file)
    data = data or USUAL_DATA.get(nclass)
    if data is None:
        raise ConfigError(f"{file} has {nclass} classes, which no usual data set has: name it with --data")
    dataset_info(data)
    net = create_model(entry.model, nclass, **keywords)
    fill(net, entry, tensors, reference)
    build = {k: keywords.pop(k) for k in BUILD_KEYS if k in keywords}
    build["backbone"] = net.backbone.registered_name
    model = {"name": entry.model, "nclass": nclass, **build, "options": keywords}
    _write(net, {"model": model, "data": {"name": data}, "schedule": {"iterations": 1}}, out)
    return out / "best.params", nclass


def class_count(entry, keywords, tensors, file):
    """Number of classes of a checkpoint, read off the shapes that follow it."""
    probe = named_parameters(create_model(entry.model, PROBE, **keywords))
    if entry.prepare is not None:
        tensors = entry.prepare(tensors)
    counts = set()
    for name, tensor in tensors.items():
        ours = None if BOOKKEEPING.search(name) else translate(name, entry.rules, probe)
        if ours is not None:
            shape, found = probe[ours].shape, np.shape(tensor)
            if len(shape) == len(found) and shape[0] == PROBE and shape[1:] == found[1:]:
                counts.add(found[0])
    if len(counts) != 1:
        raise CheckpointError(f"cannot read the number of classes off {file}: give it with --nclass")
    return int(counts.pop())


def _write(net, recipe, out):
    from mxnetseg.recipe import make_recipe

    part = out.with_name(f"{out.name}.part{os.getpid()}")
    try:
        part.mkdir(parents=True)
        net.save_parameters(str(part / "best.params"))
        make_recipe(recipe, source="the imported checkpoint").dump(part / "recipe.yaml")
        if out.exists():
            shutil.rmtree(out)
        os.replace(part, out)
    except OSError as error:
        raise CheckpointError(f"cannot write {out}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)

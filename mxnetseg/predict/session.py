"""A checkpoint ready to predict: its recipe, its data set, its network and its protocol, put together once.

`eval.py`, the picture demo and the web page open one and use it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

from mxnetseg.compute.choice import ONNX
from mxnetseg.compute.inference import open_network
from mxnetseg.compute.workers import ALONE, Workers
from mxnetseg.data import create_dataset, dataset_info
from mxnetseg.data.datasets.base import Dataset
from mxnetseg.data.datasets.loose import LoosePictures
from mxnetseg.errors import CheckpointError
from mxnetseg.facts import default_backbone
from mxnetseg.predict.evaluation import make_predictor, make_protocol
from mxnetseg.predict.predictor import Predictor
from mxnetseg.recipe import Recipe, find_recipe, load_recipe
from mxnetseg.recipe.fields import check_channels
from mxnetseg.recipe.protocol import SCALES, Protocol
from mxnetseg.run_files import RECIPE, missing_checkpoint, run_weights


class Session(NamedTuple):
    """What a checkpoint predicts with, and on."""

    recipe: Recipe
    dataset: Dataset
    predictor: Predictor

    def names(self) -> Dict[str, str]:
        """Model and backbone, as they are printed."""
        group = self.recipe.model
        return {"model": group.name, "backbone": group.backbone or default_backbone(group.name, group.form)}


def open_session(
    checkpoint: Any,
    dataset: Dataset,
    recipe: Recipe,
    protocol: Optional[Protocol] = None,
    devices: Optional[Sequence[str]] = None,
    engine: str = "mxnet",
    workers: Workers = ALONE,
) -> Session:
    """The network of a checkpoint over a data set.

    recipe : of the checkpoint, see `recipe_of`
    protocol : default the recipe's
    devices : names as `--ctx` takes them; None: every GPU there is, else the CPU
    workers : of several, each takes the device at its place among them
    """
    if workers.world_size > 1:
        from mxnetseg.compute.torch.devices import name_of_worker_device

        devices = [name_of_worker_device(devices, workers)]
    nclass = None
    if recipe.model.nclass is None and dataset.name == recipe.data.name:
        nclass = len(dataset.classes) or None
    check_channels(recipe, dataset)
    inference = open_network(checkpoint, recipe, nclass, devices, engine)
    predictor = make_predictor(inference, dataset, protocol or recipe.evaluation, recipe.input)
    return Session(recipe, dataset, predictor)


def recipe_of(
    checkpoint: Any,
    model: Optional[str] = None,
    backbone: Optional[str] = None,
    data: Optional[str] = None,
    settings: Any = None,
) -> Recipe:
    """The recipe beside a checkpoint, or the one of `model`, `backbone` and `data` where there is none.

    settings : overrides as `load_recipe` takes them. What is given must agree with the recipe beside.
    Raises CheckpointError for a checkpoint that is not there or does not say what it is.
    """
    path = os.fspath(checkpoint)
    if path.endswith(ONNX):
        if not os.path.isfile(path):
            raise missing_checkpoint(Path(path))
        from mxnetseg.export.description import read_description

        return _agreeing(read_description(path, settings).recipe, path, model, backbone)
    if os.path.isdir(path):
        path = os.fspath(run_weights(Path(path)))
    elif not os.path.isfile(path):
        raise missing_checkpoint(Path(path))
    beside = os.path.join(os.path.dirname(path), RECIPE)
    if os.path.isfile(beside):
        return _agreeing(load_recipe(beside, settings), path, model, backbone)
    if not model or not data:
        raise CheckpointError(
            f"{path}: no {RECIPE} beside it to say what it is: give its model and data set (and backbone)"
        )
    return find_recipe(model, backbone, data, settings)


def _agreeing(recipe: Recipe, path: str, model: Optional[str], backbone: Optional[str]) -> Recipe:
    """The recipe that comes with a checkpoint, unless something else was given for it."""
    stated = {"model": (model, recipe.model.name), "backbone": (backbone, recipe.model.backbone)}
    for what, (given, found) in stated.items():
        if given and found and given != found:
            raise CheckpointError(f"{path}: is a {found} {what} by its {RECIPE}, not {given}")
    return recipe


def dataset_of(
    recipe: Recipe,
    name: Optional[str] = None,
    root: Optional[str] = None,
    split: Optional[str] = None,
) -> Dataset:
    """A split of the recipe's data set, or of the data set `name`; default the one validated on.

    Of another data set that is `val`, or `test` where it has no `val` and labels its test pictures.
    """
    group = recipe.data
    same = name in (None, group.name)
    split = split or (group.val_split if same else None) or _scored_split(name or group.name)
    return create_dataset(
        name or group.name, root or (group.root if same else None), split, **(group.options if same else {})
    )


def trained_on(recipe: Recipe, dataset: Dataset) -> List[str]:
    """The parts of a data set's split that the recipe trains on: a score there says nothing of others."""
    group = recipe.data
    seen = group.train_split.split("+") if dataset.name == group.name else []
    return [part for part in dataset.split.split("+") if part in seen]


def _scored_split(name: str) -> str:
    facts = dataset_info(name)
    labelled = [split for split in facts["splits"] if split not in facts["unlabelled_splits"]]
    return "test" if "val" not in labelled and "test" in labelled else "val"


def pictures_of(recipe: Recipe, paths: Sequence[str] = (), name: Optional[str] = None) -> LoosePictures:
    """Picture files, or folders of them, in the classes and colours of the recipe's data set or of `name`."""
    return LoosePictures(paths, name or recipe.data.name, recipe.data.options)


def multi_scale(protocol: Protocol, dataset: Dataset) -> Protocol:
    """The same protocol with several scales (its own list, else the data set's) and mirrored copies."""
    scales = list(SCALES.get(protocol.protocol, dataset.scales))
    return protocol.model_copy(update={"scales": scales, "flip": True})


def changed(protocol: Protocol, **fields: Any) -> Protocol:
    """The protocol with other values in these fields; ConfigError in one line for one that is not allowed."""
    return make_protocol(**{**{name: getattr(protocol, name) for name in Protocol.model_fields}, **fields})

"""Finding the recipe of a model on a data set under configs/, and composing one where there is no file.

configs/<model>/<data>.yaml                the model's recipe on a data set
configs/<model>/<backbone>_<data>.yaml     the same with another backbone
configs/_base_/<data>.yaml                 the data set's part of a recipe (see `compose`)
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from mxnetseg.data import DATASETS, list_datasets
from mxnetseg.errors import ConfigError, nearest
from mxnetseg.facts import default_backbone, model_info
from mxnetseg.places import configs_folders
from mxnetseg.recipe.compose import compose, model_part, replaces_optimizer, with_backbone
from mxnetseg.recipe.fields import Recipe
from mxnetseg.recipe.load import Overrides, make_recipe, merge, parse_overrides, read_values

# Whose recipe on another data set is a model's usual training, best first.
_USUAL = ("cityscapes", "ade20k")
# The optimizer of an architecture that has no recipe at all.
_GENERAL = "_base_/mmsegmentation.yaml"


class Found(NamedTuple):
    """A recipe file of a model: its data set, its backbone, and the values in it, bases included."""

    file: Path
    data: str
    backbone: str
    values: Dict[str, Any]

    @property
    def is_default(self) -> bool:
        return self.file.stem == self.data


def find_recipe(
    model: str, backbone: Optional[str] = None, dataset: str = "cityscapes", overrides: Overrides = None
) -> Recipe:
    """The recipe for a model on a data set, with `overrides` on top; its `notes` explain how it came about.

    There is one for every registered model and data set: the file of that name; else the model's recipe on
    that data set with the backbone replaced; else the model's part of its usual recipe with the data set's
    part. RegistryError with the nearest names for a model or data set that there is not.
    """
    model_info(model)
    if dataset not in list_datasets():
        close = nearest(dataset, list_datasets()) or list_datasets()
        raise ConfigError(f"no data set is named {dataset!r}; did you mean {' or '.join(close)}?")
    given = parse_overrides(overrides)
    found = _recipes_of(model)
    values, source, notes = _values(model, backbone, dataset, found)
    recipe = make_recipe(values, given, source=source)
    recipe.notes[:0] = notes
    return recipe


def _values(
    model: str, backbone: Optional[str], dataset: str, found: List[Found]
) -> Tuple[Dict[str, Any], str, List[str]]:
    chosen = _pick([one for one in found if one.data == dataset], backbone)
    notes: List[str] = []
    if chosen:
        values, source = chosen.values, str(chosen.file)
        if backbone and backbone != chosen.backbone:
            notes.append(
                f"no recipe {model}/{backbone}_{dataset}.yaml: {chosen.file.name} with another backbone"
            )
    else:
        part = _data_part(dataset)
        chosen = _pick(_usual(found), backbone)
        if chosen:
            own, origin = model_part(chosen.values), f"{model}/{chosen.file.name}"
        else:
            own, origin = model_part(read_values(_file(_GENERAL))), _GENERAL
            own["model"]["name"] = model
        values, notes = compose(own, chosen.values if chosen else {}, read_values(part))
        source = f"{origin} with {part.parent.name}/{part.name}"
        rest = f"the rest as in {part.parent.name}/{part.name}"
        notes.insert(0, f"no recipe of {model} for {dataset}: model and training as in {origin}, {rest}")
    if backbone and chosen and backbone != chosen.backbone:
        values, left_out = with_backbone(values, backbone, same_family(backbone, chosen.backbone))
        notes += left_out
    elif backbone:
        values = merge(values, {"model": {"backbone": backbone}})
    return values, source, notes


def recipe_file(name: str) -> Path:
    """The file that `--recipe` names: a path, or a published row (configs/<model>/<source>/<row>.yaml).

    ConfigError with the nearest rows for a bare name that no file and no row has.
    """
    path = Path(name)
    if path.suffix in (".yaml", ".yml") or len(path.parts) > 1 or path.exists():
        return path
    rows = {file.stem: file for folder in reversed(configs_folders()) for file in folder.glob("*/*/*.yaml")}
    rows = {row: file for row, file in rows.items() if not row.startswith("_") and _is_model(file)}
    if name not in rows:
        if path.suffix:  # names of rows may hold dots too
            return path
        close = nearest(name, rows)
        raise ConfigError(
            f"{name}: no recipe file and no published row; nearest: {', '.join(close)}"
            if close
            else f"{name}: no recipe file and no published row (python -m mxnetseg.recipes list)"
        )
    return rows[name]


def check_classes(recipe: Recipe, file: Path) -> None:
    """ConfigError where class weights of a recipe are for other classes than its data set has, with what
    trains that architecture on these."""
    classes = len(getattr(DATASETS.get(recipe.data.name), "classes", ()) or ())
    losses = [recipe.loss, *(one for output in recipe.loss.outputs or () for one in output or ())]
    for loss in losses:
        if classes and isinstance(loss.class_weights, list) and len(loss.class_weights) != classes:
            raise ConfigError(
                f"{file}: loss.class_weights are of {len(loss.class_weights)} classes, data set "
                f"{recipe.data.name!r} has {classes}: take the recipe that {recipe.model.name} has for "
                f"{recipe.data.name}, or set loss.class_weights to auto"
            )


def _is_model(file: Path) -> bool:
    return not file.parent.parent.name.startswith("_")


def same_family(one: str, other: str) -> bool:
    """Whether two backbones have one name but for depth and variant: resnet18 and resnet101_v1s."""
    # A name that is none (`ResNet50`, `50`) is of no family; the registry refuses it, with the nearest ones.
    return re.match(r"[a-z]*", one)[0] == re.match(r"[a-z]*", other)[0]


def _pick(found: List[Found], backbone: Optional[str]) -> Optional[Found]:
    """The recipe with that backbone, else the nearest: of its family, the default one before others."""
    ordered = sorted(found, key=lambda one: (not one.is_default, one.file.name))
    if backbone:
        for fits in (lambda one: one.backbone == backbone, lambda one: same_family(one.backbone, backbone)):
            near = [one for one in ordered if fits(one)]
            if near:
                return near[0]
    return ordered[0] if ordered else None


def _usual(found: List[Found]) -> List[Found]:
    """The model's recipes on the data set whose training is its usual one: not a short run from scratch."""
    for data in (*_USUAL, *sorted({one.data for one in found})):
        chosen = [one for one in found if one.data == data]
        if chosen and not replaces_optimizer(read_values(_data_part(data))):
            return chosen
    return []


def _recipes_of(model: str) -> List[Found]:
    """The recipes of a model whose names state data set and backbone; variants, which `train.py` takes by
    their file's name only, are left out."""
    files: Dict[str, Path] = {}
    for folder in configs_folders():
        for file in sorted((folder / model).glob("*.yaml")):
            files.setdefault(file.stem, file)
    found = []
    for stem, file in files.items():
        values = read_values(file)
        data = (values.get("data") or {}).get("name")
        group = values.get("model") or {}
        backbone = group.get("backbone") or default_backbone(model, group.get("form") or "paper")
        if stem in (data, f"{backbone}_{data}"):
            found.append(Found(file, data, backbone, values))
    return found


def _data_part(dataset: str) -> Path:
    return _file(f"_base_/{dataset}.yaml")


def _file(name: str) -> Path:
    for folder in configs_folders():
        if (folder / name).is_file():
            return folder / name
    where = ", ".join(str(folder) for folder in configs_folders()) or "a folder configs"
    raise ConfigError(f"{name} is not in {where}: give a recipe file")

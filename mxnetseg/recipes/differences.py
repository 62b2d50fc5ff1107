"""What differs between a recipe and the published run of a row."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator, List, Optional, Tuple

from mxnetseg.errors import ConfigError, nearest
from mxnetseg.facts import default_backbone
from mxnetseg.recipe import Recipe, make_recipe
from mxnetseg.recipes.rows import Row, all_rows, find_row
from mxnetseg.recipes.translate import published

# Keys that change no result: where things lie, how they are loaded, how often is looked.
_INDIFFERENT = {
    "model.nclass",
    "data.root",
    "data.workers",
    "data.worker_mode",
    "data.prefetch",
    "data.timeout",
    "data.skip_bad_samples",
    "data.sampler_options.workers",
    "optimizer.accumulate",
    "optimizer.scale_lr_with_batch",
    "evaluation.every",
    "evaluation.limit",
    "evaluation.batch",
    "evaluation.pixel_budget",
}
_GROUPS = ("model", "data", "input", "augment", "loss", "optimizer", "schedule", "evaluation", "init_from")


def differences(recipe: Recipe, row: Row) -> List[str]:
    """A line for each field that the recipe states otherwise than the row was published: its dotted key, both
    values. Empty where there is none; `published(row)` has what no field can say."""
    here = dict(_flat(recipe.model_dump(mode="json")))
    there = dict(_flat(make_recipe(published(row)[0], source=row.name).model_dump(mode="json")))
    keys = [key for key in {**there, **here} if key.split(".")[0] in _GROUPS and key not in _INDIFFERENT]
    return [
        f"{key}: {_shown(here.get(key))} here, {_shown(there.get(key))} published"
        for key in keys
        if here.get(key) != there.get(key)
    ]


def row_of(recipe: Recipe, file: Path, name: Optional[str] = None) -> Row:
    """The row that a recipe stands for: the one named, else of the file's name, else of its network on its
    data with the fewest differences. ConfigError with the nearest names where there is none."""
    if name is not None or find_row(file.stem):
        row = find_row(name or file.stem)
        if row is None:
            close = nearest(name, [one.name for one in all_rows()])
            raise ConfigError(f"no published row is named {name!r}; nearest: {', '.join(close) or 'none'}")
        return row
    alike = [row for row in all_rows() if row.data == recipe.data.name and _same_network(row, recipe)]
    if not alike:
        model = recipe.model
        raise ConfigError(
            f"{file}: no published row has {model.name} in form {model.form!r} on "
            f"{model.backbone or 'its own backbone'} and {recipe.data.name}; "
            f"name a row{_nearest_rows(recipe)}"
        )
    return min(alike, key=lambda row: len(differences(recipe, row)))


def _same_network(row: Row, recipe: Recipe) -> bool:
    name, form = row.model["name"], row.model["form"]
    if (name, form) != (recipe.model.name, recipe.model.form):
        return False
    usual = default_backbone(name, form)
    return row.model.get("backbone", usual) == (recipe.model.backbone or usual)


def _nearest_rows(recipe: Recipe) -> str:
    same = [row.name for row in all_rows() if row.model["name"] == recipe.model.name]
    here = [row.name for row in all_rows() if row.name in same and row.data == recipe.data.name]
    return f", such as {(here or same)[0]}" if same else ""


def _flat(value: Any, prefix: str = "") -> Iterator[Tuple[str, Any]]:
    """Dotted keys to values; dictionaries of options are taken apart too."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _flat(item, f"{prefix}.{key}" if prefix else str(key))
    elif value not in ({}, None):
        yield prefix, value


def _shown(value: Any) -> str:
    text = "not stated" if value is None else str(value)
    return text if len(text) <= 120 else text[:117] + "..."

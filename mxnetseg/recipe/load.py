"""Reading recipes: YAML files with `_base_`, and what the command line puts on top.

`_base_` in a file names another (or a list of them, later ones win), relative to the file itself, whose keys
it takes over and may replace. A base need not be a whole recipe. What the command line gives wins over all.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, Tuple, Union

import yaml
from pydantic import ValidationError

from mxnetseg.errors import ConfigError, nearest
from mxnetseg.opening import only_files
from mxnetseg.recipe.explain import explain
from mxnetseg.recipe.fields import Recipe
from mxnetseg.recipe.values import parse_settings, plain

# Mapping of dotted keys to values (`{"data.batch_size": 8}`), or strings `data.batch_size=8`, values in YAML.
Overrides = Union[None, Mapping[str, Any], Iterable[str]]
# What errors call them.
OVERRIDES = "command line:"


# Keys that state one thing in two ways: the length of a run, the size of an image at scale 1.
_EITHER = {"epochs": "iterations", "iterations": "epochs", "base": "resize", "resize": "base"}


def load_recipe(path: Union[str, os.PathLike], overrides: Overrides = None) -> Recipe:
    """The recipe of a YAML file with `overrides` on top.

    Raises ConfigError, in one line that names the file and the key.
    """
    return _resolve(read_values(path), parse_overrides(overrides), str(path))


def read_values(path: Union[str, os.PathLike]) -> Dict[str, Any]:
    """What a file and its bases state, merged; not checked against the fields of a recipe."""
    return _read(Path(path), ())


def make_recipe(values: Mapping[str, Any], overrides: Overrides = None, source: str = "recipe") -> Recipe:
    """The recipe of a nested mapping, as `load_recipe` makes it of a file; `source` is what errors name."""
    return _resolve(plain(values, source), parse_overrides(overrides), source)


def parse_overrides(overrides: Overrides) -> Dict[str, Any]:
    """Dotted keys to values, from a mapping or from strings `key=value` (value in YAML)."""
    if overrides is None:
        return {}
    if isinstance(overrides, Mapping):
        return {key: plain(value, f"{OVERRIDES} {key}") for key, value in overrides.items()}
    return parse_settings(overrides, OVERRIDES)


def _read(path: Path, chain: Tuple[Path, ...]) -> Dict[str, Any]:
    values = plain(_yaml_of(path), str(path))
    bases = values.pop("_base_", None)
    merged: Dict[str, Any] = {}
    if bases is not None:
        here = _resolved(path)
        for base in bases if isinstance(bases, list) else [bases]:
            if not isinstance(base, str) or not base or "\0" in base:
                raise ConfigError(
                    f"{path}: _base_ is {base!r}; expected the name of a file, or a list of names"
                )
            file = path.parent / base
            if _resolved(file) in (*chain, here):
                raise ConfigError(f"{path}: _base_ {base} leads back to itself")
            if not file.is_file():
                raise ConfigError(f"{path}: _base_ {base} {_absent(file)}")
            merged = merge(merged, _read(file, (*chain, here)))
    return merge(merged, values)


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, ValueError, RuntimeError) as error:  # a NUL in the name, links that lead in a circle
        raise ConfigError(f"{str(path)!r}: not the name of a file ({error})") from None


def _yaml_of(path: Path) -> Dict[Any, Any]:
    try:
        with open(path, encoding="utf-8", opener=only_files) as handle:
            text = handle.read()
    except FileNotFoundError:
        raise ConfigError(f"{path}: recipe {_absent(path)}") from None
    except OSError as error:
        raise ConfigError(f"{path}: recipe cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: recipe is not in UTF-8 (byte {error.start})") from None
    except ValueError as error:  # a NUL in the name
        raise ConfigError(f"{str(path)!r}: recipe cannot be read: {error}") from None
    try:
        values = yaml.load(text, Loader=_UniqueKeys)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        raise ConfigError(
            f"{path}{where}: not valid YAML: {getattr(error, 'problem', None) or error}"
        ) from None
    except RecursionError:
        raise ConfigError(f"{path}: nested too deeply for a recipe") from None
    except ValueError as error:  # a date that no calendar has, a number of too many digits
        raise ConfigError(f"{path}: not valid YAML: {error}") from None
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: a recipe is a mapping of groups, found {type(values).__name__}")
    return values


def _absent(path: Path) -> str:
    names = [p.name for p in path.parent.glob("*.yaml")] if path.parent.is_dir() else []
    near = nearest(path.name, names)
    return "not found" + (f"; in that folder: {', '.join(near)}" if near else "")


class _UniqueKeys(yaml.SafeLoader):
    """YAML lets a later key silently replace an earlier one; here that is an error, as is a key that is a
    list or a mapping."""

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, (list, dict)):
                raise yaml.constructor.ConstructorError(
                    None, None, "a key must be a word", key_node.start_mark
                )
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} is given twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def merge(base: Dict[str, Any], top: Dict[str, Any]) -> Dict[str, Any]:
    """`top` over `base`; mappings merge key by key. What can be stated in two ways (see `_EITHER`) replaces
    the other way."""
    merged = dict(base)
    for key, value in top.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = value
    for key, other in _EITHER.items():
        if top.get(key) is not None and other not in top:
            merged.pop(other, None)
    return merged


def _resolve(values: Dict[str, Any], overrides: Dict[str, Any], source: str) -> Recipe:
    notes: List[str] = []
    old_batch = _get(values, "data", "batch_size")
    # Checked before the overrides, so that an error of the file is not blamed on the command line.
    for key, value in overrides.items():
        _put(values, key, value)
    recipe = _validate(values, source, overrides)
    optimizer = recipe.optimizer
    if "data.batch_size" in overrides and "optimizer.lr" not in overrides and isinstance(old_batch, int):
        new_batch = recipe.data.batch_size
        if new_batch != old_batch and optimizer.scale_lr_with_batch:
            old_lr = optimizer.lr
            optimizer.lr = old_lr * new_batch / old_batch
            notes.append(
                f"batch size {old_batch} -> {new_batch}: learning rate {old_lr:g} -> {optimizer.lr:g} "
                f"(optimizer.scale_lr_with_batch: false keeps it)"
            )
    recipe._notes.extend(notes)
    return recipe


def _get(values, *keys):
    for key in keys:
        values = values.get(key) if isinstance(values, dict) else None
    return values


def _put(values: Dict[str, Any], dotted: str, value: Any) -> None:
    *groups, last = dotted.split(".")
    for group in groups:
        if values.get(group) is None:
            values[group] = {}
        values = values[group]
        if not isinstance(values, dict):
            raise ConfigError(f"{OVERRIDES} {dotted}: {group} is a single value, not a group of keys")
    values[last] = value
    if last in _EITHER and value is not None:
        values.pop(_EITHER[last], None)


def _validate(values, source, overrides) -> Recipe:
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise ConfigError(explain(error, source, overrides)) from None

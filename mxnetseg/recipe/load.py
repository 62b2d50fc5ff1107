"""Reading recipes: YAML files with `_base_`, and what the command line puts on top.

`_base_` in a file names another (or a list of them, later ones win), relative to the file itself, whose keys
it takes over and may replace. What the command line gives (`--set data.batch_size=8` and the shorthands) wins
over both.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Tuple

import yaml
from pydantic import ValidationError

from mxnetseg.errors import ConfigError, nearest
from mxnetseg.recipe.explain import explain
from mxnetseg.recipe.fields import Recipe


def load_recipe(path, overrides=None) -> Recipe:
    """The recipe of a YAML file with `overrides` on top.

    `overrides`: mapping of dotted keys to values (`{"data.batch_size": 8}`) or a list of texts
    `data.batch_size=8`, whose value is read as YAML. ConfigError in one line names the file and the key.
    """
    path = Path(path)
    return _resolve(_read(path, ()), parse_overrides(overrides), str(path))


def make_recipe(values: Dict[str, Any], overrides=None, source: str = "recipe") -> Recipe:
    """The recipe of a nested mapping, as `load_recipe` makes it of a file; `source` is what errors name."""
    return _resolve(_copy(values), parse_overrides(overrides), source)


def parse_overrides(overrides, flag: str = "--set") -> Dict[str, Any]:
    """Dotted keys to values, from a mapping or from texts `key=value` (value in YAML) that follow `flag`."""
    if overrides is None:
        return {}
    if isinstance(overrides, dict):
        return dict(overrides)
    result = {}
    for text in overrides:
        key, separator, value = text.partition("=")
        if not separator or not key.strip():
            raise ConfigError(f"{flag} {text}: expected key=value")
        try:
            result[key.strip()] = _numbers(yaml.safe_load(value))
        except yaml.YAMLError:
            raise ConfigError(f"{flag} {text}: the value is not valid YAML") from None
    return result


def _read(path: Path, chain: Tuple[Path, ...]) -> Dict[str, Any]:
    if path.resolve() in chain:
        raise ConfigError(f"{path}: _base_ leads back to itself")
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        near = (
            nearest(path.name, [p.name for p in path.parent.glob("*.yaml")]) if path.parent.is_dir() else []
        )
        hint = f"; in that folder: {', '.join(near)}" if near else ""
        raise ConfigError(f"{path}: recipe not found{hint}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: recipe cannot be read: {error}") from None
    try:
        values = yaml.load(text, Loader=_UniqueKeys)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        raise ConfigError(
            f"{path}{where}: not valid YAML: {getattr(error, 'problem', None) or error}"
        ) from None
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: a recipe is a mapping of groups, found {type(values).__name__}")
    values = _numbers(values)
    bases = values.pop("_base_", None)
    merged: Dict[str, Any] = {}
    for base in [bases] if isinstance(bases, str) else bases or []:
        if not isinstance(base, str):
            raise ConfigError(f"{path}: _base_ must be a file name or a list of them")
        merged = _merge(merged, _read(path.parent / base, chain + (path.resolve(),)))
    return _merge(merged, values)


class _UniqueKeys(yaml.SafeLoader):
    """YAML lets a later key silently replace an earlier one; here that is an error."""

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=deep)
            if isinstance(key, str) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} is given twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def _numbers(value):
    """YAML 1.1 reads `1e-4` (no dot) as text; people mean the number."""
    if isinstance(value, dict):
        return {key: _numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_numbers(item) for item in value]
    if isinstance(value, str) and value[:1] in "+-.0123456789" and "e" in value.lower():
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _merge(base: Dict[str, Any], top: Dict[str, Any]) -> Dict[str, Any]:
    """`top` over `base`; mappings merge key by key. A schedule length replaces the other kind of length."""
    merged = dict(base)
    for key, value in top.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = _merge(merged[key], value)
        else:
            merged[key] = value
    for key, other in (("epochs", "iterations"), ("iterations", "epochs")):
        if top.get(key) is not None and other not in top:
            merged.pop(other, None)
    return merged


def _copy(values):
    if isinstance(values, dict):
        return {key: _copy(item) for key, item in values.items()}
    return list(values) if isinstance(values, list) else values


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
                f"(off with --set optimizer.scale_lr_with_batch=false)"
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
            raise ConfigError(f"--set {dotted}: {group} is a single value, not a group of keys")
    values[last] = value
    if last in ("epochs", "iterations") and value is not None:
        values.pop("iterations" if last == "epochs" else "epochs", None)


def _validate(values, source, overrides) -> Recipe:
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise ConfigError(explain(error, source, overrides)) from None

"""Values as people write them, in YAML files and as `key=value` on a command line."""

from __future__ import annotations

import math
from typing import Any, Dict, Iterable, List

import yaml

from mxnetseg.errors import ConfigError

MAX_DEPTH, MAX_VALUES = 32, 100_000


def parse_settings(settings: Iterable[str], source: str = "setting") -> Dict[str, Any]:
    """{key: value} of strings `key=value`, the value in YAML. `source` is what errors call one."""
    result = {}
    for text in settings:
        key, separator, value = text.partition("=")
        key = key.strip()
        if not separator or not key:
            raise ConfigError(f"{source} {text}: expected key=value")
        try:
            result[key] = plain(yaml.safe_load(value), f"{source} {key}")
        except (yaml.YAMLError, RecursionError):
            raise ConfigError(f"{source} {text}: the value is not valid YAML") from None
    return result


def plain(value: Any, where: str) -> Any:
    """The value with numbers as people mean them: YAML 1.1 reads `1e-4` (no dot) as text.

    ConfigError, which names `where`, for what no recipe can hold: numbers that are not finite, structures
    that contain themselves or are nested or repeated beyond all need, keys that are not text or numbers.
    """
    return _Plain(where).of(value, [])


class _Plain:
    def __init__(self, where: str):
        self.where = where
        self.left = MAX_VALUES

    def of(self, value: Any, keys: List[str]) -> Any:
        self.left -= 1
        if len(keys) > MAX_DEPTH or self.left < 0:
            raise ConfigError(
                f"{self.where}: {'.'.join(keys[:4])} is nested or repeated too deeply; a recipe has at most "
                f"{MAX_DEPTH} levels and {MAX_VALUES} values"
            )
        if isinstance(value, dict):
            return {key: self.of(item, [*keys, str(key)]) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.of(item, [*keys, str(k)]) for k, item in enumerate(value)]
        if isinstance(value, str) and value[:1] in "+-.0123456789" and "e" in value.lower():
            try:
                value = float(value)
            except ValueError:
                return value
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(
                f"{self.where}: {'.'.join(keys) or 'the value'} is {value}, not a finite number"
            )
        return value

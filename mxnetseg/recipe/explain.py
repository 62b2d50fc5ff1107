"""What is wrong with a recipe, in one line for the person who wrote it."""

from __future__ import annotations

from typing import Any, Dict, List

from pydantic import ValidationError

from mxnetseg.errors import nearest
from mxnetseg.recipe.fields import Group, Recipe


def explain(error: ValidationError, source: str, overrides: Dict[str, Any]) -> str:
    """The first problem in one line, with how many more there are."""
    problems = error.errors()
    # A misspelt required key gives two problems; the misspelling is the one that helps.
    problems.sort(key=lambda p: p["type"] != "extra_forbidden")
    first = problems[0]
    location = tuple(part for part in first["loc"] if not _is_union_tag(part))
    key = _dotted(location)
    # What a setting gives may be wrong deep inside.
    typed = any(_dotted(location[:length]) in overrides for length in range(1, len(location) + 1))
    where = "command line:" if typed else f"{source}:"
    if first["type"] == "extra_forbidden":
        known = _keys_at(first["loc"][:-1])
        close = _deep_matches(first["loc"][-1], exact=True) or nearest(first["loc"][-1], known)
        close = close or _deep_matches(first["loc"][-1]) or known
        text = f"{where} unknown key {key!r}; nearest: {', '.join(close)}"
    elif first["type"] == "invalid_key":
        text = f"{where} key {first['input']!r} is no word"
    elif first["type"] == "missing":
        text = f"{where} key {key!r} is missing"
    else:
        message = first["msg"].replace("Value error, ", "")
        shown = repr(first["input"])
        shown = shown if len(shown) <= 60 else shown[:57] + "..."
        joiner = "" if isinstance(first["input"], dict) else f" {shown}:"
        text = f"{where} {key}{joiner if key else ''} {message[:1].lower()}{message[1:]}"
    others = {_dotted(p["loc"][:2]) for p in problems[1:]} - {_dotted(first["loc"][:2])}
    return text + (f" (and {len(others)} more)" if others else "")


def _dotted(location) -> str:
    return ".".join(str(part) for part in location)


def _is_union_tag(part) -> bool:
    """pydantic adds the tried alternative of a Union to the location; users never wrote it."""
    return isinstance(part, str) and (not part.isidentifier() or part in ("int", "float", "str", "bool"))


def _keys_at(location) -> List[str]:
    kind = Recipe
    for part in location:
        field = kind.model_fields.get(part) if isinstance(part, str) else None
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, Group)):
            return list(kind.model_fields)
        kind = field.annotation
    return list(kind.model_fields)


def _deep_matches(name, exact: bool = False) -> List[str]:
    """Dotted keys anywhere in the recipe whose last part is (near) `name`: a key in the wrong group."""
    table = {}
    for group, field in Recipe.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Group):
            for key in field.annotation.model_fields:
                table.setdefault(key, f"{group}.{key}")
    if exact:
        return [table[name]] if name in table else []
    return [table[key] for key in nearest(name, table)]

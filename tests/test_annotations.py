"""Public signatures of networks and of weights have types."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import mxnetseg

PACKAGE = Path(mxnetseg.__file__).parent
ROOMS = ("nn", "backbones", "models", "weights", "weights/tables")
FILES = sorted(file for room in ROOMS for file in (PACKAGE / room).glob("*.py"))
# What Gluon calls: (F, x, ...), the same everywhere.
GIVEN = ("hybrid_forward", "begin", "proceed", "first_part", "second_part", "__call__", "_init_weight")


def unannotated(tree):
    """Names of functions and constructors with a parameter or a result that has no type."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef) or node.name in GIVEN:
            continue
        if node.name.startswith("_") and node.name != "__init__":
            continue
        parameters = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        if any(p.annotation is None and p.arg not in ("self", "cls") for p in parameters):
            found.append(node.name)
        elif node.returns is None:
            found.append(node.name)
    return found


def test_a_function_without_annotations_is_found():
    assert unannotated(ast.parse("def f(x) -> int: ...\ndef g(x: int): ...\ndef h(x: int) -> int: ...")) == [
        "f",
        "g",
    ]


@pytest.mark.parametrize("file", FILES, ids=[f"{file.parent.name}/{file.stem}" for file in FILES])
def test_public_signatures_are_annotated(file):
    assert unannotated(ast.parse(file.read_text(encoding="utf-8"))) == []

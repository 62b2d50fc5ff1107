"""Which rooms may know MXNet."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "mxnetseg"

# Networks and what fills them, the engine, and what explains or repairs the installation.
ALLOWED = {
    "nn",
    "backbones",
    "models",
    "losses/criterion.py",
    "losses/mining.py",
    "weights",
    "compute/mxnet.py",
    "compute/mxnet_average.py",
    "compute/mxnet_inference.py",
    "compute/mxnet_optimizer.py",
    "compute/mxnet_step.py",
    "compute/devices.py",
    "compat.py",
    "complexity.py",
    "symbols.py",
    "doctor.py",
    "export",
    "compute/torch/training.py",
    "compute/mxnet_workers.py",
}


def rooms(path):
    parts = path.relative_to(PACKAGE).as_posix()
    return {parts, parts.split("/")[0]}


def imported(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module


def test_only_the_networks_and_the_engine_import_mxnet():
    found = [
        str(path.relative_to(PACKAGE))
        for path in sorted(PACKAGE.rglob("*.py"))
        if not rooms(path) & ALLOWED and any(name.split(".")[0] == "mxnet" for name in imported(path))
    ]
    assert not found, f"only {', '.join(sorted(ALLOWED))} may import mxnet"


@pytest.mark.parametrize("room", ["train", "predict", "recipe", "report", "cli"])
def test_the_rooms_above_the_engine_are_looked_at(room):
    assert [p for p in PACKAGE.rglob("*.py") if room in rooms(p)]

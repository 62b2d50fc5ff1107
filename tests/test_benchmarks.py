"""Benchmarks run, and their tables say what was measured."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys

import pytest

from mxnetseg.models import create_model

RIVAL = """
import torch

def networks():
    return {"swiftnet:resnet18": torch.nn.Conv2d(3, 19, 3, padding=1)}
"""


def test_the_bytes_of_a_step_are_those_of_the_trained_parameters(repository):
    done = subprocess.run(
        [sys.executable, "benchmarks/scaling.py", "--paper", "--models", "fastscnn"],
        cwd=repository,
        env={**os.environ, "PYTHONPATH": str(repository)},
        capture_output=True,
        text=True,
        check=True,
    )
    name, millions, size, ring, _, _, slow, *_ = done.stdout.splitlines()[-1].split()
    net = create_model("fastscnn", 19)
    count = sum(p.data().size for p in net.collect_params().values() if p.grad_req != "null")
    assert name == "fastscnn" and float(millions) == pytest.approx(count / 1e6, abs=0.01)
    assert float(size) == pytest.approx(4 * count / 1e6, abs=0.06)
    assert float(ring) == pytest.approx(4 * count / 1e6 * 2 * 63 / 64, abs=0.06)
    # Seven eighths of them, twice, at 80 % of 1.25 GB/s.
    assert float(slow) == pytest.approx(1e3 * 4 * count * 1.75 / 1e9, abs=0.02)


@pytest.mark.slow
def test_engines_and_a_rival_take_turns_on_a_network(repository, tmp_path):
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    pytest.importorskip("onnx", reason="onnx is not installed")
    words = ["--models", "swiftnet:resnet18", "--sizes", "64x128", "--engines", "mxnet", "onnxruntime"]
    words += ["--rounds", "2", "--threads", "1", "--whole", "--json", str(tmp_path / "found.json")]
    rival = importlib.util.find_spec("torch") is not None
    if rival:
        (tmp_path / "rival.py").write_text(RIVAL)
        words += ["--rivals", str(tmp_path / "rival.py")]
    done = subprocess.run(
        [sys.executable, "benchmarks/inference.py", *words],
        cwd=repository,
        env={**os.environ, "PYTHONPATH": str(repository)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (table,) = json.loads((tmp_path / "found.json").read_text())["tables"]
    sides = {row["side"]: row for row in table["sides"]}
    assert table["absent"] == {} and table["size"] == [64, 128]
    assert set(sides) == {"mxnet", "onnxruntime"} | ({"rival-eager", "rival-traced"} if rival else set())
    assert sides["mxnet"]["engine"].startswith("MXNet") and "ONNX" in sides["onnxruntime"]["engine"]
    for side, row in sides.items():
        assert len(row["forward_ms"]) == 2 and min(row["forward_ms"]) == row["least_ms"] <= row["median_ms"]
        assert ("whole_ms" in row) == (not side.startswith("rival"))
        assert 0 < row.get("outside", 0.5) < 1
    if rival:
        best = min(sides[side]["median_ms"] for side in ("rival-eager", "rival-traced"))
        assert sides["mxnet"]["times_as_quick"] == pytest.approx(best / sides["mxnet"]["median_ms"])
    assert all(side in done.stdout for side in sides)

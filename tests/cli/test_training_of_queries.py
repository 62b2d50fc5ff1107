"""Networks of queries and kernels, trained by train.py on a picture of their own: the loss falls, on both
engines."""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml

from mxnetseg import run_files as files
from mxnetseg.cli.train import main
from mxnetseg.weights.checkpoint import read_params

# The smallest of each; what follows the name are keywords of the constructor.
NETWORKS = {
    "maskformer": {"width": 32, "queries": 20, "layers": 1, "dropout": 0.0},
    "mask2former": {"width": 32, "queries": 20, "layers": 1},
    "eomt": {"queries": 20, "blocks": 1},
    "knet": {"width": 256, "stages": 1},
}
BACKBONES = {"eomt": ("dinov2_small", {"taps": [0, 0, 0, 1], "grid": [4, 4], "patch": 16})}
STEPS = 12


def recipe(name):
    backbone, options = BACKBONES.get(name, ("mobilenetv2_0.25", {}))
    return {
        "model": {
            "name": name,
            "backbone": backbone,
            "backbone_options": options,
            "options": NETWORKS[name],
        },
        "data": {
            "name": "synthetic",
            "batch_size": 2,
            "workers": 1,
            "val_split": None,
            "options": {"size": [64, 64], "length": 2},
        },
        "augment": {"crop": 64, "flip": 0.0, "scale_min": 1.0, "scale_max": 1.0},
        "loss": {"aux_weights": 1.0},
        "optimizer": {"name": "adamw", "lr": 0.0005 if name == "eomt" else 0.001},
        "schedule": {"iterations": STEPS, "warmup_iterations": 0},
        "log_every": 1,
    }


@pytest.mark.parametrize("engine", ["mxnet", "torch"])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_loss_of_a_network_of_queries_falls(name, engine, tmp_path):
    if engine == "torch":
        pytest.importorskip("torch")
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(recipe(name)))
    run = tmp_path / "run"
    arguments = ["--recipe", tmp_path / "tiny.yaml", "--output", run, "--engine", engine, "--ctx", "cpu"]
    assert main([*map(str, arguments), "--quiet"]) == 0
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    losses = [record["loss"] for record in records if record["kind"] == "train"]
    assert len(losses) == STEPS
    assert max(losses[-3:]) < 0.9 * losses[0]
    if name == "eomt":  # attention began masked and ends whole
        np.testing.assert_array_equal(read_params(run / files.LAST)["head.masked"], [0])

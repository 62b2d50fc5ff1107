"""One training step of published networks: losses, every gradient, statistics, and the loss after a step."""

from __future__ import annotations

import pytest

from tests.conftest import shared_folder
from tests.goldens.training import Golden, cases

FOLDER = shared_folder() / "golden" / "training"


# On the torch engine: `python -m tests.goldens.check_training FOLDER --engine torch` goes through all.
FEW = ("sfnet_resnet18", "mmseg_segformer_mit-b0", "mmseg_pidnet-s", "emanet")


@pytest.mark.golden
@pytest.mark.slow
@pytest.mark.parametrize("name", FEW)
def test_a_training_step_of_the_torch_engine_is_that_of_the_published_network(golden_dir, name):
    pytest.importorskip("torch", reason="PyTorch (requirements-torch.txt) is not installed")
    found = Golden(FOLDER, name, "torch").differences()
    assert {what: d for what, (d, limit) in found.items() if not d <= limit} == {}


@pytest.mark.golden
@pytest.mark.slow
@pytest.mark.parametrize("name", cases(FOLDER) or ["no reference data"])
def test_a_training_step_is_that_of_the_published_network(golden_dir, name):
    if not (FOLDER / f"{name}.json").exists():
        pytest.skip("no training goldens among the reference data")
    found = Golden(FOLDER, name).differences()
    assert {what: d for what, (d, limit) in found.items() if not d <= limit} == {}

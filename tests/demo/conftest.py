"""A network that has learned nothing, a picture, and the modules of demo/."""

from __future__ import annotations

import sys

import cv2
import numpy as np
import pytest

from mxnetseg.models import create_model
from mxnetseg.recipe import load_recipe
from tests.runs import save_checkpoint


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory, repository):
    """A run folder with an untrained network of the smallest kind."""
    folder = tmp_path_factory.mktemp("run")
    recipe = load_recipe(
        repository / "configs" / "sfnet" / "synthetic.yaml",
        {"model.backbone": "mobilenetv2_0.25", "model.options": {"width": 16}},
    )
    net = create_model("sfnet", 19, backbone="mobilenetv2_0.25", width=16)
    save_checkpoint(folder, net, recipe=recipe)
    return folder


@pytest.fixture
def picture(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
    path = tmp_path / "street.png"
    cv2.imwrite(str(path), pixels)
    return path


@pytest.fixture(scope="module")
def segmenter(repository):
    """The module demo/segmenter.py; demo/web.py can be imported beside it."""
    sys.path.insert(0, str(repository / "demo"))
    import segmenter

    yield segmenter
    sys.path.remove(str(repository / "demo"))

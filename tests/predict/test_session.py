"""A checkpoint with its recipe, data set, network and protocol."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest

from mxnetseg.compute import inference
from mxnetseg.errors import CheckpointError
from mxnetseg.predict.session import changed, dataset_of, multi_scale, open_session, pictures_of, recipe_of
from mxnetseg.recipe import make_recipe
from mxnetseg.recipe.protocol import Protocol
from tests.compute.test_inference import OnePixel
from tests.predict.stand_ins import Drawn


def recipe(**groups):
    values = {
        "model": {"name": "fcn", "backbone": "resnet18"},
        "data": {"name": "camvid"},
        "schedule": {"epochs": 1},
    }
    return make_recipe({**values, **groups})


@pytest.fixture
def engine(monkeypatch):
    """An engine whose network gives each pixel's normalized colour, and keeps what it was opened with."""
    opened = []

    def open_network(checkpoint, recipe, nclass, devices):
        opened.append((checkpoint, nclass, devices))
        return OnePixel(np.eye(3, dtype=np.float32)[:, :, None, None], np.zeros(3, np.float32))

    module = types.ModuleType("engine_of_a_test")
    module.open_network = open_network
    monkeypatch.setitem(sys.modules, "engine_of_a_test", module)
    monkeypatch.setitem(inference.ENGINES, "test", "engine_of_a_test")
    return opened


def test_pictures_are_normalized_with_the_statistics_that_the_checkpoint_states(engine):
    image = np.full((8, 8, 3), (255, 128, 0), np.uint8)
    own = recipe(input={"mean": [10, 20, 30], "std": [1, 2, 4], "range": 255})
    session = open_session("x.params", Drawn(1, nclass=3), own, Protocol(average="logits"), engine="test")
    np.testing.assert_allclose(session.predictor.scores(image)[:, 0, 0], [245, 54, -7.5], rtol=1e-5)
    plain = open_session("x.params", Drawn(1, nclass=3), recipe(), Protocol(average="logits"), engine="test")
    expected = (np.array([1, 128 / 255, 0]) - Drawn.mean) / Drawn.std
    np.testing.assert_allclose(plain.predictor.scores(image)[:, 0, 0], expected, rtol=1e-5)


def test_the_protocol_is_the_recipes_unless_another_is_given(engine):
    own = recipe(evaluation={"protocol": "mmseg", "resize": [64, 32]})
    session = open_session("x.params", Drawn(1), own, devices=["cpu"], engine="test")
    assert "fitted into 64 x 32" in session.predictor.describe()
    assert session.names() == {"model": "fcn", "backbone": "resnet18"}
    assert engine == [("x.params", None, ["cpu"])]


def test_classes_of_the_data_set_count_where_the_recipe_has_none(engine):
    open_session("x.params", pictures_of(recipe()), recipe(), engine="test")
    camvid = pictures_of(recipe())
    camvid.name = "camvid"
    open_session("x.params", camvid, recipe(), engine="test")
    assert [nclass for _, nclass, _ in engine] == [None, 11]


def test_several_scales_are_the_protocols_own_where_it_has_a_list():
    assert multi_scale(Protocol(), Drawn(1)).scales == [0.5, 1.0, 1.5]
    several = multi_scale(Protocol(protocol="sfsegnets"), Drawn(1))
    assert several.scales[-1] == 2.0 and several.flip
    assert changed(several, flip=False, base=64).base == 64


def test_the_recipe_beside_a_checkpoint_must_agree_with_what_is_asked_for(tmp_path):
    (tmp_path / "best.params").write_bytes(b"")
    recipe().dump(tmp_path / "recipe.yaml")
    assert recipe_of(tmp_path, "fcn", settings=["evaluation.flip=true"]).evaluation.flip
    assert recipe_of(tmp_path / "best.params").data.name == "camvid"
    with pytest.raises(CheckpointError, match=r"is a fcn model by its recipe\.yaml, not sfnet"):
        recipe_of(tmp_path, "sfnet")
    (tmp_path / "recipe.yaml").unlink()
    with pytest.raises(CheckpointError, match="give its model and data set"):
        recipe_of(tmp_path, "fcn")
    assert recipe_of(tmp_path, "fcn", "resnet18", "camvid").model.name == "fcn"
    with pytest.raises(CheckpointError, match=r"checkpoint not found; in that folder: best\.params"):
        recipe_of(tmp_path / "last.params")


def test_another_data_set_is_scored_on_val_or_on_the_test_pictures_that_it_labels(monkeypatch):
    made = []
    monkeypatch.setattr("mxnetseg.predict.session.create_dataset", lambda *a, **k: made.append((a, k)))
    dataset_of(recipe(), "sunrgbd", "there")
    dataset_of(recipe(), "cityscapes")
    dataset_of(recipe(data={"name": "camvid", "val_split": "test", "root": "here"}))
    dataset_of(recipe(), "cityscapes", split="train")
    assert [arguments for arguments, _ in made] == [
        ("sunrgbd", "there", "test"),
        ("cityscapes", None, "val"),
        ("camvid", "here", "test"),
        ("cityscapes", None, "train"),
    ]

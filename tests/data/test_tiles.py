"""Large pictures cut into tiles, and predicted whole again by windows that lie where tiles would."""

from __future__ import annotations

import importlib
import os

import numpy as np
import pytest

from mxnetseg.cli.data import main
from mxnetseg.data import DATASETS, create_dataset
from mxnetseg.data.prepare import prepare
from mxnetseg.data.prepare.aerial import colour_ids
from mxnetseg.data.prepare.tiles import Tiling
from mxnetseg.data.tiles import flush_spans
from mxnetseg.errors import ConfigError, DatasetError
from tests.data import miniatures
from tests.predict.stand_ins import network, predictor


def prepared(tmp_path, tiling=Tiling(16, 12)):
    """Potsdam in miniature, scenes of 24 x 32 cut as told."""
    made = miniatures.write("potsdam", tmp_path / "archives")
    prepare("potsdam", str(tmp_path / "root"), made.sources, log=lambda text: None, tiling=tiling)
    return made, str(tmp_path / "root")


def samples_of(root, split):
    dataset = create_dataset("potsdam", root, split)
    return [dataset[i] for i in range(len(dataset))]


@pytest.mark.parametrize(("name", "count"), [("potsdam", 38), ("vaihingen", 33)])
def test_every_scene_of_the_isprs_is_in_one_split(name, count):
    module = importlib.import_module(f"mxnetseg.data.datasets.{name}")
    sizes = DATASETS.get(name).sizes
    assert (len(module.TRAIN), len(module.VAL)) == (sizes["train_scenes"], sizes["val_scenes"])
    assert len({*module.TRAIN, *module.VAL}) == count


@pytest.mark.parametrize(
    ("side", "window", "step", "starts"),
    [
        (6000, 512, 512, [*range(0, 5632, 512), 5488]),
        (24, 16, 12, [0, 8]),
        (10, 16, 12, [0]),
        (16, 16, 4, [0]),
    ],
)
def test_the_last_tile_ends_at_the_border(side, window, step, starts):
    assert [span[0] for span in flush_spans(side, window, step)] == starts
    assert flush_spans(side, window, step)[-1][1] == side


def test_tiles_of_potsdam_are_as_many_as_published():
    count = len(flush_spans(6000, 512, 512)) ** 2
    sizes = DATASETS.get("potsdam").sizes
    assert (24 * count, 14 * count) == (sizes["train"], sizes["val"]) == (3456, 2016)


def test_tiles_hold_the_pixels_and_labels_of_their_place(tmp_path):
    _, root = prepared(tmp_path)
    scenes = {s.name: s for s in samples_of(root, "train_scenes")}
    tiles = samples_of(root, "train")
    assert len(tiles) == 2 * (2 * 3)
    for tile in tiles:
        *scene, left, top, right, bottom = tile.name.split("_")
        place = (slice(int(top), int(bottom)), slice(int(left), int(right)))
        assert tile.label.shape == (16, 16)
        np.testing.assert_array_equal(tile.label, scenes["_".join(scene)].label[place])
        np.testing.assert_array_equal(tile.image, scenes["_".join(scene)].image[place])


def test_a_scene_predicted_by_windows_is_the_mean_of_its_tiles(tmp_path):
    _, root = prepared(tmp_path)
    scene = samples_of(root, "val_scenes")[0]
    net = network()
    by_windows = predictor(net, mode="slide", crop=16, stride=12.0)
    alone = predictor(net, mode="whole")
    total, visits = 0.0, np.zeros(scene.label.shape, np.float32)
    for tile in samples_of(root, "val"):
        left, top, right, bottom = (int(word) for word in tile.name.split("_")[2:])
        one = np.zeros((5, *scene.label.shape), np.float32)
        one[:, top:bottom, left:right] = alone.scores(tile.image)
        visits[top:bottom, left:right] += 1
        total = total + one
    assert visits.max() > 1
    np.testing.assert_allclose(by_windows.scores(scene.image), total / visits, rtol=1e-5, atol=1e-6)


def test_cutting_again_continues_and_another_size_is_refused(tmp_path):
    made, root = prepared(tmp_path)
    lost = os.path.join(root, "tiles", "val", "cut", "7_13.txt")
    os.unlink(lost)
    prepare("potsdam", root, made.sources, log=lambda text: None, tiling=Tiling(16, 12))
    assert os.path.exists(lost)
    with pytest.raises(DatasetError, match=r"tiles: holds tiles of another size or stride than 16 every 16"):
        prepare("potsdam", root, made.sources, log=lambda text: None, tiling=Tiling(16, 16))


def test_tiles_are_refused_where_nothing_is_cut(tmp_path):
    with pytest.raises(ConfigError, match="'camvid' is not cut into tiles; those that are: isaid, potsdam"):
        prepare("camvid", str(tmp_path), tiling=Tiling(16, 16))


@pytest.mark.parametrize("given", [["--tile", "0"], ["--stride", "8"], ["--tile", "8", "--stride", "9"]])
def test_a_tiling_that_would_leave_gaps_is_refused(given, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["prepare", "potsdam", "--to", str(tmp_path), *given])
    assert "expected the side of a tile and a stride of at most that" in capsys.readouterr().err


def test_a_colour_of_no_class_is_named():
    with pytest.raises(DatasetError, match=r"x\.png: label holds colours of no class: \(1, 2, 3\)"):
        colour_ids(np.array([[[0, 0, 0], [1, 2, 3]]], np.uint8), {(0, 0, 0): 0}, "x.png")

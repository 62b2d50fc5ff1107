"""The drawn scenes: the same for ever, at any size, with every class, never trained and scored alike."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import cv2
import numpy as np
import pytest

from mxnetseg.data import create_dataset
from mxnetseg.errors import DatasetError
from tests.conftest import REPOSITORY


def scenes(split="train", size=(64, 128), **options):
    return create_dataset("synthetic", split=split, size=size, **options)


def digest(dataset, count=3):
    hashed = hashlib.sha256()
    for index in range(count):
        sample = dataset[index]
        hashed.update(sample.image.tobytes())
        hashed.update(sample.label.tobytes())
    return hashed.hexdigest()


def test_samples_keep_the_contract():
    dataset = scenes(length=5)
    assert len(dataset) == 5
    sample = dataset[4]
    assert sample.image.shape == (64, 128, 3)
    assert sample.image.dtype == np.uint8
    assert sample.label.shape == (64, 128)
    assert sample.label.dtype == np.int32
    assert set(np.unique(sample.label)) <= {*range(19), 255}
    with pytest.raises(IndexError):
        dataset[5]


def test_a_scene_is_the_same_in_another_process():
    code = "from tests.scenes.test_synthetic import *; print(digest(scenes()))"
    other = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert other.stdout.strip() == digest(scenes())


def test_scenes_differ_by_index_seed_and_split():
    worlds = (scenes(), scenes(seed=1), scenes("val"), scenes("test"))
    made = {digest(world, 1) for world in worlds}
    assert len(made) == 4
    dataset = scenes()
    assert not np.array_equal(dataset[0].image, dataset[1].image)


def test_drawing_one_scene_does_not_change_the_next():
    dataset = scenes()
    alone = dataset[7].image
    for index in range(4):
        dataset[index]
    assert np.array_equal(dataset[7].image, alone)


def test_the_same_scene_is_drawn_at_every_size():
    small, large = scenes(size=(128, 256)), scenes(size=(256, 512))
    for index in range(6):
        reduced = cv2.resize(
            large[index].label.astype(np.uint8), (256, 128), interpolation=cv2.INTER_NEAREST_EXACT
        )
        assert np.mean(reduced == small[index].label) > 0.93


@pytest.mark.parametrize("size", [(16, 16), (31, 77), (90, 40), (200, 200), (70, 700), (600, 90)])
def test_any_size_can_be_drawn(size):
    for index in range(4):
        sample = scenes(size=size)[index]
        assert sample.image.shape == (*size, 3)
        assert sample.image.std() > 5


def test_every_class_is_common_enough_to_be_learned():
    dataset = scenes(size=(128, 256), length=60)
    pixels, present = np.zeros(256, np.int64), np.zeros(19)
    for index in range(len(dataset)):
        counts = np.bincount(dataset[index].label.ravel(), minlength=256)
        pixels += counts
        present += counts[:19] > 20
    assert (present / len(dataset) > 0.3).all(), dict(zip(dataset.classes, present))
    assert (pixels[:19] / pixels.sum() > 0.003).all(), dict(zip(dataset.classes, pixels))
    assert 0 < pixels[255] / pixels.sum() < 0.05


def test_colour_alone_does_not_tell_the_class():
    # The best guess from a pixel's colour (16 levels per channel), scored on other scenes.
    dataset = scenes(size=(96, 192), length=60)
    table = np.zeros((4096, 19), np.int64)
    confusion = np.zeros((19, 19), np.int64)
    for index in range(60):
        sample = dataset[index]
        levels = sample.image.astype(np.int64) >> 4
        codes = levels[:, :, 0] << 8 | levels[:, :, 1] << 4 | levels[:, :, 2]
        valid = sample.label < 255
        if index < 40:
            np.add.at(table, (codes[valid], sample.label[valid]), 1)
        else:
            np.add.at(confusion, (sample.label[valid], table.argmax(axis=1)[codes[valid]]), 1)
    hits = np.diag(confusion)
    iou = hits / np.maximum(confusion.sum(axis=0) + confusion.sum(axis=1) - hits, 1)
    assert iou.mean() < 0.25


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"split": "vall"}, "train, val, test"),
        ({"size": (8, 64)}, "height, width"),
        ({"size": [64]}, "height, width"),
        ({"length": 0}, "length"),
        ({"seed": -1}, "seed"),
    ],
)
def test_senseless_options_are_named(options, word):
    with pytest.raises(DatasetError, match=word):
        scenes(**options)


def test_splits_can_be_joined():
    joined = scenes("train+val", length=3)
    assert len(joined) == 6
    assert joined[4].name == "val_000001"
    assert np.array_equal(joined[4].image, scenes("val", length=3)[1].image)

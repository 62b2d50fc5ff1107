"""Class-uniform sampling, coarse boost, weighted concatenation, photometric distortion."""

from __future__ import annotations

import os
import time
from collections import Counter

import cv2
import numpy as np
import pytest

from mxnetseg.data import create_dataset
from mxnetseg.data.datasets.base import Dataset, Sample
from mxnetseg.data.datasets.concat import ConcatDataset
from mxnetseg.data.loading.loader import TrainLoader
from mxnetseg.data.photometric import PhotometricDistortion
from mxnetseg.data.prepare import prepare
from mxnetseg.data.samplers.class_uniform import ClassUniformSampler, cached_centroids, centroids
from mxnetseg.data.samplers.weighted import WeightedSampler
from mxnetseg.data.transforms import TrainTransform
from mxnetseg.errors import ConfigError, DatasetError, MxnetsegError
from mxnetseg.recipe.fields import DataGroup
from mxnetseg.train.setup import make_sampler
from tests.data import miniatures


class Squares(Dataset):
    """Class 0 everywhere; class k >= 1 a 4 x 4 square in every (k * 5)th picture; 255 in a corner."""

    name = "squares"
    classes = ("ground", "often", "rare", "never")
    palette = np.zeros((4, 3), np.uint8)

    def __init__(self, count=40, size=(24, 32), name="squares"):
        super().__init__("memory", "train")
        self.count, self.size, self.name = count, size, name

    def __len__(self):
        return self.count

    def read_label_file(self, index):
        label = np.zeros(self.size, np.int32)
        label[:2, :2] = 255
        for k in (1, 2):
            if index % (k * 5) == 0:
                label[8 * k : 8 * k + 4, 12 * k : 12 * k + 4] = k
        return label

    def __getitem__(self, index):
        label = self.read_label_file(index)
        return Sample(np.zeros((*self.size, 3), np.uint8), label, f"{self.name}{index}")


def _plain_centroids(label, nclass, tile):
    found = []
    for top in range(0, label.shape[0] // tile * tile, tile):
        for left in range(0, label.shape[1] // tile * tile, tile):
            for k in range(nclass):
                ys, xs = np.nonzero(label[top : top + tile, left : left + tile] == k)
                if len(ys):
                    found.append((k, top + int(ys.mean()), left + int(xs.mean())))
    return found


@pytest.mark.parametrize("size, tile", [((24, 32), 12), ((25, 40), 8), ((10, 10), 16), ((17, 9), 4)])
def test_centroids_are_the_mean_positions_in_each_full_tile(size, tile):
    rng = np.random.default_rng(0)
    label = rng.choice([0, 1, 2, 5, 255, -1], size).astype(np.int32)
    assert centroids(label, 6, tile) == _plain_centroids(label, 6, tile)


def test_an_epoch_has_as_many_visits_as_samples_and_equal_parts_by_class(tmp_path):
    sampler = ClassUniformSampler(Squares(), percent=0.5, tile=8, cache=str(tmp_path))
    visits = sampler(0, 7)
    assert len(visits) == len(sampler) == 40
    hinted = Counter(int(Squares().read_label_file(i)[hint]) for i, hint in visits if hint is not None)
    # 40 * 0.5 / 4 = 5 for each class that occurs; class 3 never does.
    assert hinted[1] == hinted[2] == 5
    assert sum(hint is not None for _, hint in visits) == 15
    plain = [i for i, hint in visits if hint is None]
    assert len(plain) == len(set(plain)) == 25


def test_order_depends_on_epoch_and_seed_only(tmp_path):
    def make():
        return ClassUniformSampler(Squares(), tile=8, cache=str(tmp_path))

    assert make()(3, 5) == make()(3, 5)
    assert make()(3, 5) != make()(4, 5) and make()(3, 5) != make()(3, 6)


def test_the_crop_contains_the_centroid_of_its_class(tmp_path):
    dataset = Squares(size=(48, 64))
    sampler = ClassUniformSampler(dataset, percent=1.0, tile=8, cache=str(tmp_path))
    rare = [(i, h) for i, h in sampler(0, 0) if h is not None and dataset.read_label_file(i)[h] == 2]
    assert rare
    transform = TrainTransform(16, scale_min=0.8, scale_max=2.0)
    for place, (index, hint) in enumerate(rare * 10):
        _, label = transform(dataset[index], np.random.default_rng(place), hint=hint)
        assert (label == 2).any()


def test_a_loader_visits_the_samples_that_the_sampler_names(tmp_path):
    dataset = Squares()
    sampler = ClassUniformSampler(dataset, tile=8, cache=str(tmp_path))
    with TrainLoader(dataset, TrainTransform(8), 4, seed=1, mode="none", sampler=sampler) as loader:
        names = [name for batch in loader.epoch(2) for name in batch.names]
    assert names == [f"squares{i}" for i, _ in sampler(2, 1)]


def test_centroids_are_computed_once_and_again_when_labels_change(tmp_path):
    made = miniatures.write("kitti", tmp_path / "archives")
    root, cache = str(tmp_path / "root"), str(tmp_path / "cache")
    prepare("kitti", root, made.sources, log=lambda text: None)
    dataset = create_dataset("kitti", root, "train")
    first = cached_centroids(dataset, 8, cache)
    assert len(os.listdir(cache)) == 1
    dataset.read_label_file = None  # reading would fail
    np.testing.assert_array_equal(cached_centroids(dataset, 8, cache), first)
    label = os.path.join(root, "training", "semantic", "000000_10.png")
    cv2.imwrite(label, np.full((24, 32), 7, np.uint8))
    os.utime(label, (time.time() + 5, time.time() + 5))
    dataset = create_dataset("kitti", root, "train")
    assert not np.array_equal(cached_centroids(dataset, 8, cache), first)
    assert len(os.listdir(cache)) == 2


def test_a_damaged_cache_is_computed_again(tmp_path):
    first = cached_centroids(Squares(), 8, str(tmp_path))
    (path,) = tmp_path.iterdir()
    for spoilt in (b"", b"junk", path.read_bytes()[:-40]):
        path.write_bytes(spoilt)
        np.testing.assert_array_equal(cached_centroids(Squares(), 8, str(tmp_path)), first)


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert len(cached_centroids(Squares(), 8, str(tmp_path / "file" / "cache")))


def test_a_tile_larger_than_every_picture_says_what_to_do(tmp_path):
    with pytest.raises(DatasetError, match=r"no picture holds a tile of 1024.*sampler_options\.tile"):
        ClassUniformSampler(Squares(), cache=str(tmp_path))


def test_coarse_pictures_give_only_centroids_of_the_boosted_classes(tmp_path):
    both = ConcatDataset([Squares(20), Squares(30, name="coarse")])
    sampler = ClassUniformSampler(
        both, 1.0, 8, boost_from="coarse", boost_classes=["rare"], cache=str(tmp_path)
    )
    assert len(sampler) == 20
    seen = set()
    for epoch in range(20):
        for index, hint in sampler(epoch, 0):
            if index >= 20:
                assert hint is not None
                seen.add(int(both.read_label_file(index)[hint]))
    assert seen == {2}


@pytest.mark.parametrize(
    "keywords, message",
    [
        (dict(percent=1.5), "percent"),
        (dict(tile=0), "tile"),
        (dict(boost_classes=["rare"]), "needs boost_from"),
        (dict(boost_from="coarse"), "which has no parts"),
    ],
)
def test_sampling_options_that_make_no_sense_are_refused(keywords, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        ClassUniformSampler(Squares(), **{"tile": 8, "cache": str(tmp_path), **keywords})


@pytest.mark.parametrize(
    "sampler, options, message",
    [
        ("class_uniform", {"precent": 0.5}, r"data\.sampler class_uniform has no option 'precent'"),
        ("class_uniform", {"dataset": 1}, "no option 'dataset'"),
        ("class_uniform", {"tile": "large"}, "option tile is 'large'; expected a whole number"),
        ("sequential", {"percent": 0.5}, "the sequential sampler has none"),
    ],
)
def test_options_that_a_recipes_sampler_does_not_take_are_named(sampler, options, message):
    group = DataGroup(name="squares", sampler=sampler, sampler_options=options)
    with pytest.raises(MxnetsegError, match=message):
        make_sampler(group, Squares())


def test_an_unknown_class_to_boost_is_named(tmp_path):
    both = ConcatDataset([Squares(20), Squares(30, name="coarse")])
    with pytest.raises(ConfigError, match="no class 'tram'"):
        ClassUniformSampler(both, tile=8, boost_from="coarse", boost_classes=["tram"], cache=str(tmp_path))


# --- concatenation --------------------------------------------------------------------------------


def test_weights_are_shares_of_an_epoch_whatever_the_sizes():
    sampler = WeightedSampler([100, 10], [1, 1])
    counts = Counter(i >= 100 for i, _ in sampler(0, 0))
    assert counts == {False: 55, True: 55} and len(sampler) == 110
    small = Counter(i for i, _ in sampler(0, 0) if i >= 100)
    assert set(small.values()) <= {5, 6} and len(small) == 10


def test_without_weights_every_sample_comes_once():
    visits = WeightedSampler([7, 5])(3, 1)
    assert sorted(i for i, _ in visits) == list(range(12))
    assert [i for i, _ in visits] != list(range(12))


@pytest.mark.parametrize(
    "lengths, weights", [([3, 4], [1]), ([3, 4], [0, 0]), ([3, 0], [1, 1]), ([3, 4], [1, -1])]
)
def test_weights_that_make_no_sense_are_refused(lengths, weights):
    with pytest.raises(ConfigError):
        WeightedSampler(lengths, weights)


def test_a_concatenation_gives_the_samples_of_its_parts_in_order():
    both = ConcatDataset([Squares(3, name="a"), Squares(2, name="b")])
    assert [both[i].name for i in range(5)] == ["a_a0", "a_a1", "a_a2", "b_b0", "b_b1"]
    assert both[-1].name == "b_b1"
    np.testing.assert_array_equal(both.read_label_file(3), Squares().read_label_file(0))
    with pytest.raises(IndexError):
        both[5]


def test_data_sets_of_different_classes_are_not_joined():
    other = Squares()
    other.classes = ("ground", "often")
    with pytest.raises(ConfigError, match="their classes differ"):
        ConcatDataset([Squares(), other])


def test_a_recipe_names_the_parts_of_a_concatenation(tmp_path):
    parts = []
    for name in ("kitti", "bdd100k"):
        made = miniatures.write(name, tmp_path / name)
        prepare(name, str(tmp_path / f"{name}_root"), made.sources, log=lambda text: None)
        parts.append({"name": name, "root": str(tmp_path / f"{name}_root"), "weight": 1})
    joined = create_dataset("concat", split="train", parts=parts)
    assert len(joined) == 13 and len(joined.items) == 13
    counts = Counter(i >= 11 for i, _ in joined.default_sampler()(0, 0))
    assert abs(counts[True] - counts[False]) <= 1
    assert len(create_dataset("concat", split="val", parts=parts)) == 2
    only = [parts[0], {**parts[1], "split": {"train": "train"}}]
    assert len(create_dataset("concat", split="train", parts=only)) == 13
    assert len(create_dataset("concat", split="val", parts=only)) == 1
    with pytest.raises(ConfigError, match="expected keys"):
        create_dataset("concat", parts=[{"nam": "kitti"}])
    with pytest.raises(DatasetError, match="no root of its own"):
        create_dataset("concat", root="x", parts=parts)
    with pytest.raises(ConfigError, match="at least one"):
        create_dataset("concat")


def test_unified_driving_without_one_of_its_parts_names_it(tmp_path):
    (tmp_path / "idd").mkdir()
    with pytest.raises(DatasetError, match="lacks mapillary, cityscapes, bdd100k"):
        create_dataset("uds", str(tmp_path), "train")


# --- photometric distortion -----------------------------------------------------------------------


def _image(seed=0):
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return cv2.resize(small, (32, 24), interpolation=cv2.INTER_CUBIC)


def test_without_chance_the_picture_stays_as_it_is():
    image = _image()
    out = PhotometricDistortion(chance=0.0)(image, np.random.default_rng(0))
    np.testing.assert_array_equal(out, image)


def test_each_change_stays_within_its_limits():
    grey = np.full((4, 4, 3), 128, np.uint8)
    values = set()
    for seed in range(300):
        out = PhotometricDistortion(chance=1.0)(grey, np.random.default_rng(seed))
        values.add(int(out[0, 0, 0]))
    # (128 +- 32) x 0.5..1.5; grey has no hue or saturation to change.
    assert min(values) >= 47 and max(values) <= 240 and len(values) > 50


def test_the_order_of_changes_is_that_of_mmsegmentation():
    """Against its description, step by step in floating point."""
    image = _image()
    for seed in range(40):
        rng = np.random.default_rng(seed)
        brighten, stretch, colour, turn, early = rng.random(5) < 0.5
        shift, contrast = rng.uniform(-32, 32), rng.uniform(0.5, 1.5)
        saturation, hue = rng.uniform(0.5, 1.5), int(rng.integers(-18, 18))

        def cut(values):
            return np.clip(values, 0, 255).astype(np.uint8)

        want = image
        if brighten:
            want = cut(want.astype(np.float32) + np.float32(shift))
        if stretch and early:
            want = cut(want.astype(np.float32) * np.float32(contrast))
        if colour:
            hsv = cv2.cvtColor(want, cv2.COLOR_RGB2HSV)
            hsv[..., 1] = cut(hsv[..., 1].astype(np.float32) * np.float32(saturation))
            want = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
        if turn:
            hsv = cv2.cvtColor(want, cv2.COLOR_RGB2HSV)
            hsv[..., 0] = (hsv[..., 0].astype(int) + hue) % 180
            want = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
        if stretch and not early:
            want = cut(want.astype(np.float32) * np.float32(contrast))
        got = PhotometricDistortion()(image, np.random.default_rng(seed))
        np.testing.assert_array_equal(got, want)


def test_it_takes_the_same_numbers_from_the_stream_whatever_happens():
    for seed in range(5):
        first, second = (np.random.default_rng(seed) for _ in range(2))
        PhotometricDistortion(chance=0.0)(_image(), first)
        PhotometricDistortion(chance=1.0)(_image(), second)
        assert first.random() == second.random()

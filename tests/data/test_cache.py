"""A loader with a cache makes the same batches and reads what it keeps once."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from mxnetseg.data.loading.cache import CachedSamples
from mxnetseg.errors import DatasetError
from tests.data import loading
from tests.data.test_loader import MODES, copies, loader, same

SAMPLE = 24 * 32 * 4  # bytes of a cached sample of `Numbers`: RGB and a label of one byte


def readings(dataset):
    with open(dataset.log) as file:
        return Counter(int(line) for line in file)


@pytest.mark.parametrize(("mode", "workers"), MODES)
def test_batches_are_those_without_a_cache_and_every_file_is_read_once(mode, workers, tmp_path):
    with loader(loading.Numbers(), "none", 0, seed=5) as plain:
        expected = [copies(plain.epoch(e)) for e in range(3)]
    dataset = loading.Logged(str(tmp_path / "log"))
    with loader(dataset, mode, workers, seed=5, cache=30 * SAMPLE) as made:
        for epoch in range(3):
            assert same(copies(made.epoch(epoch)), expected[epoch])
    assert readings(dataset) == dict.fromkeys(range(20), 1)


def test_no_more_is_kept_than_fits_and_the_rest_is_read_each_time(tmp_path):
    dataset = loading.Logged(str(tmp_path / "log"))
    kept = CachedSamples(dataset, 6 * SAMPLE + 10)
    for _ in range(3):
        for index in range(20):
            kept[index]
    assert kept.held == 6 * SAMPLE
    assert readings(dataset) == {**dict.fromkeys(range(6), 1), **dict.fromkeys(range(6, 20), 3)}


def test_a_kept_sample_is_equal_to_the_first_and_cannot_be_written_to():
    kept = CachedSamples(loading.Numbers(), 10 * SAMPLE)
    first, again = kept[3], kept[3]
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.label, again.label)
    assert again.label.dtype == np.int32 and again.name == "n3"
    with pytest.raises(ValueError, match="read-only"):
        again.image[0, 0] = 0


def test_damaged_samples_are_not_kept_and_facts_are_those_of_the_data_set():
    kept = CachedSamples(loading.Damaged(), 10 * SAMPLE)
    for _ in range(2):
        with pytest.raises(DatasetError, match=r"file3\.png"):
            kept[3]
    assert kept.held == 0 and len(kept) == 20 and kept.split == "train"

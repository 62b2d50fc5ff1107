"""How often classes occur, and the weights that follow."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from mxnetseg.data.statistics import ClassCounts, count_classes, count_pixels
from mxnetseg.errors import DatasetError


class Labels:
    """A data set of label maps."""

    def __init__(self, maps):
        self.maps = maps

    def __len__(self):
        return len(self.maps)

    def __getitem__(self, index):
        if self.maps[index] is None:
            raise DatasetError("label 3 is damaged")
        return SimpleNamespace(label=self.maps[index])


MAPS = [
    np.array([[0, 0, 0, 1], [0, 0, 255, 1]]),
    np.array([[0, 0, 0, 0], [0, 0, 2, 2]]),
    np.array([[0, 0, 0, 0], [0, 0, 0, -1]]),
]


def test_the_frequency_of_a_class_is_its_share_of_the_images_that_hold_it():
    counts = count_classes(Labels(MAPS), 4)
    assert counts.pixels.tolist() == [18, 2, 2, 0] and counts.pixels_where_present.tolist() == [22, 7, 8, 0]
    share = np.array([18 / 22, 2 / 7, 2 / 8])
    np.testing.assert_allclose(counts.median_frequency_weights(), [*(2 / 7 / share).round(6), 0.0])
    np.testing.assert_allclose(counts.enet_weights()[:3], 1 / np.log(1.02 + np.array([18, 2, 2]) / 22))
    assert counts.enet_weights()[3] == 0


def test_several_processes_count_the_same():
    one, two = (count_classes(Labels(MAPS * 8), 4, workers) for workers in (1, 2))
    np.testing.assert_array_equal(one.pixels, two.pixels)
    np.testing.assert_array_equal(one.pixels_where_present, 8 * count_classes(Labels(MAPS), 4)[1])
    np.testing.assert_array_equal(one.pixels_where_present, two.pixels_where_present)


def test_a_damaged_label_stops_the_count():
    with pytest.raises(DatasetError, match="label 3 is damaged"):
        count_classes(Labels([MAPS[0], None]), 4)


def test_no_label_gives_no_weight_instead_of_a_division_by_zero():
    counts = ClassCounts.none(3)
    counts.add(count_pixels(np.full((2, 2), 255), 3))
    assert not counts.median_frequency_weights().any() and not counts.enet_weights().any()

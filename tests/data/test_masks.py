"""Run lengths and polygons of COCO, drawn by its definitions."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mxnetseg.data.prepare.masks import annotation_mask, as_ids, fill_polygon, run_length_mask
from mxnetseg.errors import DatasetError
from tests.data.miniatures import compressed, run_lengths


@pytest.mark.parametrize("seed", range(20))
def test_run_lengths_as_numbers_and_as_text_give_the_mask_back(seed):
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 90, 2)
    # From noise, with short runs, to blobs, with runs longer than a group of bits holds.
    noise = cv2.blur(rng.random((height, width)), (int(rng.integers(1, 9)),) * 2)
    mask = noise > np.median(noise)
    counts = run_lengths(mask)
    for form in (counts, compressed(counts), compressed(counts).encode()):
        got = run_length_mask({"size": [int(height), int(width)], "counts": form}, "x")
        assert got.dtype == bool
        np.testing.assert_array_equal(got, mask)


def test_a_published_example_of_compressed_run_lengths_is_read():
    # 3 x 3, the middle column set: runs 3, 3, 3.
    got = run_length_mask({"size": [3, 3], "counts": "333"}, "x")
    np.testing.assert_array_equal(got, [[0, 1, 0]] * 3)


@pytest.mark.parametrize(
    "encoded",
    [
        {},
        {"size": [3, 3]},
        {"size": [3, 3], "counts": [9, 1]},
        {"size": [3, 3], "counts": [-1, 10]},
        {"size": [3], "counts": [9]},
        {"size": [3, 3], "counts": "\x7f\x7f"},
        {"size": [3, 3], "counts": "é"},
        {"size": [3, 3], "counts": "o"},
        {"size": ["a", 3], "counts": [9]},
        {"size": [3, 3], "counts": None},
    ],
)
def test_damaged_run_lengths_are_refused_with_the_file(encoded):
    with pytest.raises(DatasetError, match=r"^file\.json: a mask's run lengths are damaged"):
        run_length_mask(encoded, "file.json")


@pytest.mark.parametrize("size", [(1 << 20, 1 << 20), (0, 0), (-3, -3)])
def test_sizes_that_no_picture_has_are_refused_before_anything_is_drawn(size):
    with pytest.raises(DatasetError, match=r"^file\.json: states an image of"):
        run_length_mask({"size": list(size), "counts": [size[0] * size[1]]}, "file.json")


@pytest.mark.parametrize("seed", range(10))
def test_polygons_cover_the_pixels_whose_centres_they_hold(seed):
    rng = np.random.default_rng(seed)
    points = rng.uniform(-5, 35, (int(rng.integers(3, 9)), 2))
    mask = np.zeros((24, 30), bool)
    fill_polygon(mask, points.ravel())
    for y in range(24):
        for x in range(30):
            crossings = 0
            for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0)):
                if (y0 <= y + 0.5) != (y1 <= y + 0.5):
                    crossings += x + 0.5 >= x0 + (y + 0.5 - y0) / (y1 - y0) * (x1 - x0)
            assert mask[y, x] == crossings % 2


def test_two_polygons_of_an_object_that_overlap_are_joined():
    square = [2, 2, 8, 2, 8, 8, 2, 8]
    mask = annotation_mask([square, [5, 5, 11, 5, 11, 11, 5, 11]], (12, 12), "x")
    assert mask.sum() == 36 + 36 - 9 and mask[6, 6]


def test_outlines_that_are_no_area_are_left_out():
    assert not annotation_mask([[1, 1, 5, 5], []], (8, 8), "x").any()


@pytest.mark.parametrize("segmentation", [[["a"] * 6], 5, [[None] * 6], [5]])
def test_damaged_outlines_are_refused_with_the_file(segmentation):
    with pytest.raises(DatasetError, match=r"^file\.json: an object's outline is damaged"):
        annotation_mask(segmentation, (8, 8), "file.json")


def test_a_mask_of_another_size_than_its_image_is_refused():
    with pytest.raises(DatasetError, match="3x2 but its image 8x8"):
        annotation_mask({"size": [2, 3], "counts": [6]}, (8, 8), "x")


@pytest.mark.parametrize("values", [[[0.5]], [[-1]], [[256]], [1, 2], [[]], [["a"]]])
def test_what_is_no_matrix_of_ids_is_refused(values):
    with pytest.raises(DatasetError, match="label matrix"):
        as_ids(values, "x.mat")

"""Colours, overlays, error maps and sheets."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mxnetseg.data.palettes import default_palette
from mxnetseg.errors import MxnetsegError
from mxnetseg.report.visualize import (
    RIGHT,
    WRONG,
    colourize,
    contact_sheet,
    error_map,
    legend,
    overlay,
    save_picture,
)

PALETTE = np.array([[10, 20, 30], [200, 0, 0]], np.uint8)


def test_every_pixel_has_the_colour_of_its_class_and_the_ignore_value_is_black():
    colours = colourize(np.array([[0, 1, 255, -1]]), PALETTE)
    assert colours.tolist() == [[[10, 20, 30], [200, 0, 0], [0, 0, 0], [0, 0, 0]]]
    assert colours.dtype == np.uint8


def test_an_overlay_leaves_ignored_pixels_of_the_picture_untouched():
    image = np.full((4, 4, 3), 90, np.uint8)
    labels = np.full((4, 4), 255)
    labels[2:] = 1
    tinted = overlay(image, labels, PALETTE)
    assert (tinted[:2] == 90).all()
    assert tinted[3, 0, 0] > 90 > tinted[3, 0, 1]


def test_an_error_map_shows_wrong_pixels_red_right_ones_green_and_ignored_ones_dark():
    image = np.full((1, 3, 3), 128, np.uint8)
    red, green, dark = error_map(np.array([[0, 1, 0]]), np.array([[1, 1, 255]]), 255, image)[0].astype(int)
    assert abs(red - WRONG).max() < abs(red - RIGHT).max()
    assert green[1] > green[0] and green[1] > green[2]
    assert dark.max() < 64 and len(set(dark)) == 1


def test_default_colours_are_distinct_and_do_not_depend_on_how_many_are_asked_for():
    palette = default_palette(60)
    assert len({tuple(c) for c in palette}) == 60
    assert (default_palette(10) == palette[:10]).all()


def test_a_legend_names_every_class_in_as_many_rows_as_the_width_needs():
    names = [f"class {i}" for i in range(20)]
    wide, narrow = legend(names, default_palette(20), 2000), legend(names, default_palette(20), 300)
    assert narrow.shape[1] == 300 and narrow.shape[0] > 3 * wide.shape[0]


def test_a_sheet_holds_rows_of_pictures_of_different_sizes():
    rows = [
        ("one", [np.zeros((50, 100, 3), np.uint8)] * 3),
        ("two", [np.zeros((80, 60, 3), np.uint8)] * 3),
    ]
    sheet = contact_sheet(rows, ["a", "b", "c"], ["x", "y"], PALETTE, cell_width=64, heading="h", note="n")
    assert sheet.dtype == np.uint8 and sheet.shape[1] == 3 * 64 + 2 * 8 + 40
    assert sheet.shape[0] > 32 + 85


def test_a_picture_is_written_as_rgb_and_label_ids_unchanged(tmp_path):
    picture = np.zeros((3, 4, 3), np.uint8)
    picture[..., 0] = 250
    save_picture(str(tmp_path / "new" / "a.png"), picture)
    assert cv2.imread(str(tmp_path / "new" / "a.png"))[0, 0].tolist() == [0, 0, 250]
    ids = np.arange(300, dtype=np.uint16).reshape(3, 100)
    save_picture(str(tmp_path / "ids.png"), ids)
    assert (cv2.imread(str(tmp_path / "ids.png"), cv2.IMREAD_UNCHANGED) == ids).all()


def test_a_place_that_cannot_be_written_is_one_line_naming_it(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MxnetsegError, match="file: output folder cannot be made"):
        save_picture(str(tmp_path / "file" / "a.png"), np.zeros((2, 2, 3), np.uint8))


@pytest.mark.parametrize("name", ["picture", "picture.xyz"])
def test_a_picture_of_no_known_ending_is_one_line(name, tmp_path):
    with pytest.raises(MxnetsegError, match=r"use \.png or \.jpg"):
        save_picture(str(tmp_path / name), np.zeros((4, 4, 3), np.uint8))
    assert list(tmp_path.iterdir()) == []

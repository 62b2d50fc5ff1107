"""The fused scale-crop-flip against the plain one, alignment, padding, and the colour changes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mxnetseg.data import Sample
from mxnetseg.data.transforms import (
    ColorJitter,
    GaussianBlur,
    TrainTransform,
    normalize,
    scaled_label_window,
    scaled_window,
)
from tests.data.disk import picture

WINDOWS = [
    # (scaled size, corner, crop): inside, enlarged, reduced, hanging over each edge, larger than all.
    ((48, 80), (5, 9), (32, 32)),
    ((131, 203), (40, 77), (64, 48)),
    ((29, 41), (3, 2), (20, 30)),
    ((40, 60), (-7, 20), (32, 64)),
    ((40, 60), (21, -9), (32, 32)),
    ((24, 36), (-5, -11), (64, 64)),
    ((100, 170), (-6, -9), (48, 64)),
    ((100, 170), (60, 120), (48, 64)),
]
FILL = (11, 22, 33)


def plain(image, size, corner, crop, flip, fill, interpolation):
    """Scale the whole picture, pad it all around, cut the window out, mirror it."""
    scaled = cv2.resize(image, size[::-1], interpolation=interpolation)
    edge = 100
    value = fill if image.ndim == 3 else (fill, 0, 0, 0)
    padded = cv2.copyMakeBorder(scaled, edge, edge, edge, edge, cv2.BORDER_CONSTANT, value=value)
    top, left = corner[0] + edge, corner[1] + edge
    window = padded[top : top + crop[0], left : left + crop[1]]
    return window[:, ::-1] if flip else window


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize(("size", "corner", "crop"), WINDOWS)
def test_fused_image_equals_scale_then_crop_within_rounding(size, corner, crop, flip):
    image = picture((56, 90))
    fused = scaled_window(image, size, corner, crop, flip, FILL)
    expected = plain(image, size, corner, crop, flip, FILL, cv2.INTER_LINEAR)
    # warpAffine keeps positions in 1/32 of a pixel, resize in 1/2048.
    difference = np.abs(fused.astype(int) - expected)
    assert difference.max() <= 4
    assert difference.mean() < 0.5


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize(("size", "corner", "crop"), WINDOWS)
def test_fused_label_equals_nearest_scaling_then_crop(size, corner, crop, flip):
    label = np.random.default_rng(0).integers(0, 19, (56, 90)).astype(np.int32)
    fused = scaled_label_window(label, size, corner, crop, flip, 255)
    rows, columns = (
        np.floor((np.arange(target) + 0.5) * source / target).astype(int)
        for source, target in zip(label.shape, size)
    )
    scaled = label[rows][:, columns]
    edge = 100
    padded = np.pad(scaled, edge, constant_values=255)
    window = padded[corner[0] + edge :, corner[1] + edge :][: crop[0], : crop[1]]
    assert fused.dtype == np.int32
    assert np.array_equal(fused, window[:, ::-1] if flip else window)


@pytest.mark.parametrize("base", [None, 70])
@pytest.mark.parametrize("shape", [(64, 1), (1, 80)])
def test_image_and_label_stay_aligned(shape, base):
    # The picture shows its own label, in stripes: whatever is drawn, the colours must tell the classes.
    stripes = np.random.default_rng(1).integers(0, 2, max(shape) // 8).repeat(8)
    blocks = np.broadcast_to(stripes.reshape(shape), (64, 80)).astype(np.int32)
    image = np.repeat((blocks * 255).astype(np.uint8)[:, :, None], 3, axis=2)
    transform = TrainTransform(crop=(40, 56), base=base, ignore_index=255, fill=(128, 128, 128))
    for draw in range(40):
        cut, label = transform.augment(Sample(image, blocks, "x"), np.random.default_rng(draw))
        seen = cut[:, :, 0].astype(int)
        valid = label != 255
        # Where two blocks blend half and half either class is right.
        plain_to_see = valid & (abs(seen - 128) > 30)
        assert plain_to_see.sum() > 0.8 * valid.sum()
        assert np.array_equal(seen[plain_to_see] > 128, label[plain_to_see] == 1)
        assert (cut[~valid] == 128).all()


def test_everything_outside_the_image_is_ignored_and_zero_after_normalization():
    sample = Sample(picture((16, 16)), np.zeros((16, 16), np.int32), "x")
    transform = TrainTransform(crop=48, scale_min=1, scale_max=1, flip=0)
    image, label = transform(sample, np.random.default_rng(0))
    outside = label == 255
    assert outside.sum() == 48 * 48 - 16 * 16
    assert np.abs(image[:, outside]).max() < 0.01


def test_small_images_land_anywhere_in_the_crop():
    sample = Sample(picture((16, 16)), np.zeros((16, 16), np.int32), "x")
    transform = TrainTransform(crop=32, scale_min=1, scale_max=1)
    corners = set()
    for draw in range(60):
        _, label = transform(sample, np.random.default_rng(draw))
        corners.add(tuple(np.argwhere(label == 0)[0]))
    assert len(corners) > 20


def test_base_draws_the_long_side_and_factors_draw_the_scale():
    rng = np.random.default_rng(0)
    sides = [TrainTransform(8, base=100)._draw_size((30, 60), rng) for _ in range(2000)]
    assert min(w for _, w in sides) >= 50
    assert max(w for _, w in sides) <= 200
    assert {w for _, w in sides} >= set(range(90, 110))
    assert all(abs(h - w / 2) <= 1 for h, w in sides)
    factors = [TrainTransform(8)._draw_size((100, 200), rng)[1] / 200 for _ in range(500)]
    assert 0.5 <= min(factors) < 0.55
    assert 1.95 < max(factors) <= 2.0


@pytest.mark.parametrize("point", [(0, 0), (55, 89), (30, 2), (20, 60)])
def test_a_hinted_pixel_is_always_inside_the_crop(point):
    label = np.zeros((56, 90), np.int32)
    label[max(0, point[0] - 1) : point[0] + 2, max(0, point[1] - 1) : point[1] + 2] = 7
    sample = Sample(picture((56, 90)), label, "x")
    for draw in range(50):
        _, cut = TrainTransform(32).augment(sample, np.random.default_rng(draw), hint=point)
        assert (cut == 7).any()


def test_crops_of_nearly_one_class_are_drawn_again():
    label = np.zeros((64, 256), np.int32)
    label[:, 200:] = 1
    sample = Sample(picture((64, 256)), label, "x")

    def mixed(ratio):
        transform = TrainTransform(48, scale_min=1, scale_max=1, max_class_ratio=ratio)
        cuts = [transform.augment(sample, np.random.default_rng(d))[1] for d in range(60)]
        return sum(len(np.unique(cut)) > 1 for cut in cuts)

    assert mixed(0.9) > 2 * mixed(1.0)


def test_the_generator_decides_everything():
    sample = Sample(picture((40, 40)), np.zeros((40, 40), np.int32), "x")
    changes = (ColorJitter(0.3, 0.3, 0.3, 0.2), GaussianBlur(0.5, (0.2, 1.0)))
    transform = TrainTransform(24, photometric=changes)
    first = transform(sample, np.random.default_rng(5))
    again = transform(sample, np.random.default_rng(5))
    other = transform(sample, np.random.default_rng(6))
    assert np.array_equal(first[0], again[0])
    assert not np.array_equal(first[0], other[0])


def test_normalization_is_exact():
    image = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    out = np.empty((3, 16, 16), np.float32)
    given = normalize(image, mean, std, out)
    assert given is out
    expected = ((image / 255.0 - mean) / std).transpose(2, 0, 1)
    assert np.abs(out - expected).max() < 1e-6


def test_color_jitter_of_zero_changes_nothing():
    image = picture()
    assert np.array_equal(ColorJitter()(image, np.random.default_rng(0)), image)


@pytest.mark.parametrize("which", ["brightness", "contrast", "saturation", "hue"])
def test_each_colour_change_does_what_it_says(which):
    image = picture((64, 64), seed=3)
    changed = [ColorJitter(**{which: 0.4})(image, np.random.default_rng(d)) for d in range(12)]
    grey = [cv2.cvtColor(c, cv2.COLOR_RGB2GRAY).astype(float) for c in changed]
    colourful = [np.ptp(c.astype(int), axis=2).mean() for c in changed]
    if which == "brightness":
        assert np.ptp([g.mean() for g in grey]) > 30
    elif which == "contrast":
        assert np.ptp([g.std() for g in grey]) > 5
        assert np.ptp([g.mean() for g in grey]) < 3
    elif which == "saturation":
        assert np.ptp(colourful) > 8
        assert np.ptp([g.mean() for g in grey]) < 3
    else:
        assert np.ptp([c[:, :, 0].astype(float).mean() for c in changed]) > 1
        assert np.ptp(colourful) < 3


def test_blur_smooths_as_often_as_asked():
    image = picture((32, 32))
    rng = np.random.default_rng(0)
    blurred = sum(not np.array_equal(GaussianBlur(0.5, (0.5, 1.0))(image, rng), image) for _ in range(200))
    assert 70 < blurred < 130
    assert np.array_equal(GaussianBlur(0.0, (0.5, 1.0))(image, rng), image)


def test_outside_the_picture_is_the_colour_and_the_class_that_the_recipe_says():
    label = np.ones((20, 24), np.int32)
    sample = Sample(np.full((20, 24, 3), 200, np.uint8), label, "small")
    for fill, label_fill, colour, outside in (
        (None, None, (124, 116, 104), 255),
        ([7, 8, 9], 0, (7, 8, 9), 0),
    ):
        transform = TrainTransform(
            40, scale_min=1, scale_max=1, flip=0, fill=fill, label_fill=label_fill, ignore_index=255
        )
        image, labels = transform.augment(sample, np.random.default_rng(0))
        assert (labels == 1).sum() == 480 and (labels == outside).sum() == 1600 - 480
        assert (image[labels == outside] == colour).all()


def test_the_short_side_counts_where_the_picture_is_fitted_into_a_box():
    transform = TrainTransform(16, scale_min=1, scale_max=1, resize=(2048, 512))
    assert transform._draw_size((333, 500), np.random.default_rng(0)) == (512, 769)
    assert transform._draw_size((500, 333), np.random.default_rng(0)) == (769, 512)
    assert transform._draw_size((100, 4000), np.random.default_rng(0)) == (51, 2048)
    several = TrainTransform(16, scale_min=0.5, scale_max=2.0, resize=(2048, 512))
    sizes = [several._draw_size((333, 500), np.random.default_rng(k))[0] for k in range(200)]
    assert 256 <= min(sizes) < 300 and 900 < max(sizes) <= 1024

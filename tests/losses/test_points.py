"""Points of maps: which are chosen, what is read there, and PointRend's loss of them."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest

from mxnetseg.errors import ConfigError
from mxnetseg.losses.base import nearest_points
from mxnetseg.losses.criterion import Criterion
from mxnetseg.models import create_model
from mxnetseg.nn.points import sample_points, uncertain_points
from mxnetseg.recipe.loss import LossGroup
from tests.losses.scores import IGNORE, Scores

SIZE = (12, 20)


def read(plane, x, y):
    """A plane (H, W) at x, y in [0, 1] of its outer edges: bilinear between pixel centres, zero outside."""
    height, width = plane.shape
    column, row = x * width - 0.5, y * height - 0.5
    left, top = int(np.floor(column)), int(np.floor(row))
    total = 0.0
    for r in (top, top + 1):
        for c in (left, left + 1):
            if 0 <= r < height and 0 <= c < width:
                total += (1 - abs(row - r)) * (1 - abs(column - c)) * plane[r, c]
    return total


def points(count, seed=0):
    return np.random.default_rng(seed).uniform(size=(2, 2, 1, count))


def test_points_are_read_bilinearly_and_zero_outside():
    x, places = np.random.default_rng(1).normal(size=(2, 3, *SIZE)), points(40)
    places[0, :, 0, 0], places[0, :, 0, 1] = 0.0, 1.0
    found = sample_points(mx.nd, mx.nd.array(x), mx.nd.array(places)).asnumpy()
    expected = [[[read(c, *at) for at in one[:, 0].T] for c in image] for image, one in zip(x, places)]
    np.testing.assert_allclose(found[:, :, 0], expected, atol=1e-5)


def test_the_nearest_pixel_is_the_one_that_a_point_lies_in():
    labels, places = np.random.default_rng(2).integers(0, 256, (2, 1, *SIZE)), points(200)
    places[0, :, 0, 0], places[0, :, 0, 1] = 0.0, 1.0
    found = nearest_points(mx.nd, mx.nd.array(labels), mx.nd.array(places)).asnumpy()
    columns = np.minimum(places[:, 0, 0] * SIZE[1], SIZE[1] - 1).astype(int)
    rows = np.minimum(places[:, 1, 0] * SIZE[0], SIZE[0] - 1).astype(int)
    for image in range(2):
        np.testing.assert_array_equal(found[image, 0, 0], labels[image, 0, rows[image], columns[image]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_three_quarters_of_the_points_are_where_two_classes_are_close(dtype):
    # Classes 0 and 1 of three are equal along one column of each image, and far apart elsewhere.
    scores = np.zeros((2, 3, *SIZE))
    for image, column in enumerate((4, 15)):
        scores[image, 0] = np.arange(SIZE[1]) - column
        scores[image, 2] = -100
    mx.random.seed(0)
    found = uncertain_points(mx.nd, mx.nd.array(scores, dtype=dtype), 80).asnumpy()
    assert found.dtype == dtype
    assert found.shape == (2, 2, 1, 80) and found.min() >= 0 and found.max() <= 1
    for image, column in enumerate((4, 15)):
        away = abs(found[image, 0, 0] * SIZE[1] - 0.5 - column)
        # A quarter of 240 random points at the most lies within a quarter of the width.
        assert away[:60].max() < SIZE[1] / 4 < away[60:].max()


def held(net, settings, images, labels):
    criterion = Criterion(net, LossGroup(**settings), 3, IGNORE)
    reported = criterion.read(criterion.backward(images, labels, [mx.cpu()], dtype="float64"))
    return reported, net.gradients()


class AtPoints(Scores):
    """Its auxiliary output is not resized."""

    def hybrid_forward(self, F, x):
        return [head(x) for head in (self.head, *self.aux_heads)]


@pytest.mark.parametrize("over_all", [False, True])
def test_the_loss_is_the_mean_over_the_points_that_count_and_its_gradient_the_slope(over_all):
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 3, (2, *SIZE))
    labels[0, :5] = IGNORE
    logits, places = rng.normal(size=(2, 3, 1, 50)), points(50)
    columns, rows = (places[:, k, 0] * SIZE[1 - k] for k in (0, 1))
    classes = np.stack([labels[i, rows[i].astype(int), columns[i].astype(int)] for i in range(2)])

    def value(logits):
        log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        picked = np.take_along_axis(log_p[:, :, 0], np.where(classes == IGNORE, 0, classes)[:, None], 1)[:, 0]
        return -picked[classes != IGNORE].sum() / (classes.size if over_all else (classes != IGNORE).sum())

    net = AtPoints(
        [np.zeros((2, 3, *SIZE)), np.concatenate([logits, places], axis=1)], ["pixels", "points"], "float64"
    )
    images = np.zeros((2, 1, *SIZE))
    loss = dict(name="point_cross_entropy", options=dict(over_all=over_all), weight=2.0, label="aux_1")
    losses, (_, gradient) = held(net, dict(outputs=[[], [loss]]), images, labels)
    assert 5 < (classes == IGNORE).sum() < 50
    assert losses["aux_1"] == pytest.approx(2 * value(logits), rel=1e-6)
    step = rng.normal(size=logits.shape)
    slope = (value(logits + 1e-6 * step) - value(logits - 1e-6 * step)) / 2e-6
    assert (gradient[:, :3] * step).sum() == pytest.approx(2 * slope, rel=1e-5)
    assert not gradient[:, 3:].any()


def test_fapn_trains_with_points_and_predicts_without_them():
    net = create_model("fapn", 3, backbone="resnet18", width=16, branch_width=8, points=32)
    images = np.random.default_rng(4).normal(size=(2, 3, 64, 64)).astype(np.float32)
    labels = np.random.default_rng(5).integers(0, 3, (2, 64, 64))
    criterion = Criterion(net, LossGroup(aux_weights=1.0), 3, IGNORE)
    criterion.graph.hybridize()
    for _ in range(2):
        losses = criterion.read(criterion.backward(images, labels, [mx.cpu()]))
    assert list(losses) == ["main", "aux_1"] and losses["aux_1"] == pytest.approx(np.log(3), rel=0.1)
    for parameter in net.aux_heads.collect_params().values():
        assert np.abs(parameter.grad().asnumpy()).max() > 0, parameter.name
    (logits,) = net.deploy()(mx.nd.array(images))
    assert logits.shape == (2, 3, 64, 64)


def test_points_of_one_class_or_another_variant_are_refused():
    for keywords in (dict(nclass=1), dict(nclass=3, variant="mxnetseg")):
        with pytest.raises(ConfigError, match="points need"):
            create_model("fapn", backbone="resnet18", points=8, **keywords)

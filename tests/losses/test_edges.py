"""BiAlignNet's loss of edges and classes, as its authors' code has it: its target, and all of it in NumPy."""

from __future__ import annotations

import cv2
import mxnet as mx
import numpy as np
import pytest

from mxnetseg.errors import ConfigError
from mxnetseg.losses import TARGETS
from mxnetseg.models import create_model
from mxnetseg.recipe import find_recipe
from tests.losses.scores import IGNORE, loss_of

CLASSES = 5


def street(size=(60, 84)):
    """Labels of blocks, a disc, lines one pixel wide and an ignored area."""
    rng = np.random.default_rng(0)
    labels = np.kron(rng.integers(0, CLASSES, (size[0] // 12, size[1] // 12)), np.ones((12, 12), int))
    rows, columns = np.mgrid[: size[0], : size[1]]
    labels[(rows - 25) ** 2 + (columns - 40) ** 2 < 120] = 1
    labels[30, 5:60] = 2
    labels[abs(rows - columns) == 4] = 3
    labels[40:52, 50:70] = IGNORE
    return labels


def drawn(labels):
    """Outlines of every class, drawn with lines of width 2; 3 pixels along the border are cleared."""
    outlines = []
    for c in range(CLASSES):
        region = (labels == c).astype(np.uint8)
        outlines += cv2.findContours(region, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)[0]
    canvas = np.zeros(labels.shape, np.uint8)
    cv2.drawContours(canvas, outlines, -1, 1, 2)
    edges = np.zeros_like(canvas)
    edges[3:-3, 3:-3] = canvas[3:-3, 3:-3]
    return edges


def test_the_contour_target_is_what_opencv_draws():
    labels = np.stack([street(), street()[::-1, ::-1]])
    target, valid = TARGETS.build("contour")(mx.nd, mx.nd.array(labels), IGNORE)
    expected = np.stack([drawn(plane) for plane in labels])
    assert 0.2 < expected.mean() < 0.8 and valid.asnumpy().all()
    np.testing.assert_array_equal(target.asnumpy(), expected)


def test_a_contour_of_no_frame_is_refused():
    with pytest.raises(ConfigError, match="frame 1 or more"):
        TARGETS.build("contour", frame=0)


def mined(log_p, counts, kept, threshold=0.7):
    """Mean of -log p over the pixels that count and are hard."""
    p = np.exp(log_p[counts])
    limit = max(threshold, np.sort(p)[min(kept, p.size) - 1]) if p.size else threshold
    return -log_p[counts][p <= limit].mean()


def log_likelihood(scores, labels):
    log_p = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    return np.take_along_axis(log_p, np.where(labels == IGNORE, 0, labels)[:, None], 1)[:, 0]


def published(main, aux_1, aux_2, edges, labels, kept, kept_at_edges):
    """The four outputs' loss in NumPy; `edges` `(N, H, W)` are logits."""
    sigmoid = 1 / (1 + np.exp(-edges))
    counts = labels != IGNORE
    total = mined(log_likelihood(main, labels), counts, kept)
    total += mined(log_likelihood(main, labels), counts & (sigmoid > 0.8), kept_at_edges)
    for aux in (aux_1, aux_2):
        total += 0.3 * mined(log_likelihood(aux, labels), counts, kept)
    yes = np.stack([drawn(plane) for plane in labels]) == 1
    p = 1 / (1 + np.exp(-sigmoid))
    weights = np.where(yes, (~yes).mean(), yes.mean())
    return total + 25 * (weights * -np.log(np.where(yes, p, 1 - p))).mean()


def test_the_recipe_s_loss_is_the_published_one_and_its_gradient_the_slope():
    rng = np.random.default_rng(1)
    labels = np.stack([street(), street()[:, ::-1]])
    shape = (2, CLASSES, *labels.shape[1:])
    scores = [rng.normal(size=shape) * 2 for _ in range(3)] + [rng.normal(size=(2, 1, *shape[2:])) * 3]
    kept, at_edges = 6000, 1500
    outputs = [[loss.model_dump() for loss in losses] for losses in find_recipe("bialign").loss.outputs]
    for loss in (loss for losses in outputs for loss in losses):
        loss["ohem_min_kept"] = {10000: kept, 5000: at_edges, None: None}[loss["ohem_min_kept"]]
    predicts = create_model(
        "bialign", CLASSES, "paper", "dfnetv1", aux=True, boundary=True, init=False
    ).predicts
    losses, gradients = loss_of(scores, labels, predicts=predicts, outputs=outputs)

    def value(scores):
        return published(*scores[:3], scores[3][:, 0], labels, kept, at_edges)

    assert sum(losses.values()) == pytest.approx(value(scores), rel=1e-7)
    steps = [rng.normal(size=one.shape) for one in scores]
    before, after = ([one + sign * 1e-7 * step for one, step in zip(scores, steps)] for sign in (-1, 1))
    slope = (value(after) - value(before)) / 2e-7
    # The edges' gradient is of its own loss alone: that it chooses pixels of the main output moves nothing.
    assert sum((g * s).sum() for g, s in zip(gradients, steps)) == pytest.approx(slope, rel=1e-4)

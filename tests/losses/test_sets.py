"""The loss of a set of masks: matching, its value and gradient, the same in both engines."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest

from mxnetseg.losses import plan
from mxnetseg.losses.sets import MaskSet
from mxnetseg.recipe.loss import LossGroup

SIZE = (4, 6)


def drawn(seed=0, images=2, queries=5, names=4):
    random = np.random.RandomState(seed)
    joined = random.standard_normal((images, queries, names + SIZE[0] * SIZE[1]))
    labels = random.randint(-1, names - 1, (images, 4, 6)).repeat(3, 1).repeat(3, 2).astype(np.float32)
    return joined, labels


@pytest.mark.parametrize("options", [{}, {"points": None, "pixels": "focal", "pixel_weight": 20.0}])
def test_the_gradient_is_the_slope_of_the_loss(options):
    loss = MaskSet(**{"points": 40, "important": 0.0, **options})
    joined, labels = drawn()
    _, gradient = loss.of_arrays(joined, labels, SIZE)
    random = np.random.RandomState(1)
    for _ in range(5):
        way = random.standard_normal(joined.shape)
        step = 1e-6 * way
        above, below = (loss.of_arrays(joined + s * step, labels, SIZE)[0] for s in (1, -1))
        assert (above - below) / 2e-6 == pytest.approx(float((gradient * way).sum()), rel=1e-4)


def test_queries_that_name_and_cover_the_classes_cost_nothing_and_others_more():
    label = np.zeros((1, *SIZE), np.float32)
    label[:, :, 3:] = 2
    classes = np.full((1, 3, 4), -20.0)
    # The second query is the first class, the first the third, the last none.
    for query, name in ((0, 2), (1, 0), (2, 3)):
        classes[0, query, name] = 20.0
    masks = np.stack([label[0] == 2, label[0] == 0, label[0] == 9]) * 60.0 - 30.0
    joined = np.concatenate([classes, masks.reshape(1, 3, -1)], 2)
    right, _ = MaskSet(points=None).of_arrays(joined, label, SIZE)
    assert right < 1e-6
    label[:, 0, 0] = 1
    wrong, _ = MaskSet(points=None).of_arrays(joined, label, SIZE)
    assert wrong > 1


def test_ignored_pixels_are_no_class_and_a_picture_without_any_trains_the_classes_alone():
    joined, labels = drawn(images=1)
    labels[:] = -1
    _, gradient = MaskSet(points=50).of_arrays(joined, labels, SIZE)
    assert not gradient[:, :, 4:].any() and gradient[:, :, :4].any()


def test_a_map_summed_up_from_queries_has_no_loss_of_its_own():
    terms = plan(LossGroup(), ("pixels", "queries", "masks", "queries", "masks"), 4)
    assert [(term.output, term.loss.reads_before) for term in terms] == [(2, True), (4, True)]


def test_both_engines_report_the_same_loss_and_gradient():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from mxnetseg.compute.torch import arrays

    joined, labels = (x.astype(np.float32) for x in drawn())
    loss = MaskSet(points=60)
    ours = mx.nd.array(joined)
    ours.attach_grad()
    with mx.autograd.record():
        value = loss.value(mx.nd, ours, mx.nd.array(labels), mx.nd.zeros((2, *SIZE)))
    value.backward()
    theirs = arrays.array(torch.from_numpy(joined)).requires_grad_()
    other = loss.value(arrays, theirs, torch.from_numpy(labels), torch.zeros(2, *SIZE))
    other.sum().backward()
    assert float(other.sum()) == pytest.approx(float(value.asscalar()), rel=1e-5)
    np.testing.assert_allclose(theirs.grad.numpy(), ours.grad.asnumpy(), rtol=1e-5, atol=1e-7)
    expected, _ = loss.of_arrays(joined.astype(np.float64), labels, SIZE)
    assert float(value.asscalar()) == pytest.approx(expected, rel=1e-4)

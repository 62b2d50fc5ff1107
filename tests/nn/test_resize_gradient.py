"""What flows back through resizing to another map's size."""

from __future__ import annotations

import json

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd

from mxnetseg.nn.resize import for_training, nearest_like, resize_by, resize_like, resize_to
from tests.nn.test_operators import Call

WAYS = {
    "like": resize_like,
    "by": lambda F, x, corners: resize_by(F, x, 2, corners),
    "by half": lambda F, x, corners: resize_by(F, x, 0.5, corners),
    "to": lambda F, x, corners: resize_to(F, x, (9, 4), corners),
}


@pytest.mark.parametrize("size", [(5, 7), (10, 14), (11, 13)])
def test_nothing_flows_back_into_the_map_whose_size_is_taken(size):
    x = mx.nd.random.normal(shape=(2, 3, *size))
    like = mx.nd.random.normal(shape=(2, 3, 10, 14))
    for array in (x, like):
        array.attach_grad()
    for _ in range(4):
        # Memory given back, with numbers in it that nobody could overlook.
        waste = [mx.nd.full((2, 3, 10, 14), 1e20) for _ in range(20)]
        mx.nd.waitall()
        del waste
        with autograd.record():
            doubled = like * 2
            y = (doubled + resize_like(mx.nd, x * 3, doubled)).sum()
        y.backward()
        np.testing.assert_array_equal(like.grad.asnumpy(), 2)
        assert abs(float(x.grad.sum().asscalar()) - 3 * 2 * 3 * 10 * 14) < 1


@pytest.mark.parametrize("corners", [True, False])
@pytest.mark.parametrize("way", sorted(WAYS))
def test_the_form_for_training_has_the_values_and_the_gradient_of_the_operator(way, corners):
    found = {}
    for training in (False, True):
        inputs = [mx.nd.zeros((2, 1, 11, 13))] if way == "like" else []
        block = Call(lambda F, x, *like: WAYS[way](F, x, *like, corners))
        block.hybridize(static_alloc=True, static_shape=True)
        for size in ((5, 7), (6, 3)):  # one traced graph serves both
            x = mx.nd.array(np.random.default_rng(0).normal(size=(2, 3, *size)))
            x.attach_grad()
            with autograd.record():
                if training:
                    with for_training():
                        y = block(x, *inputs)
                else:
                    y = block(x, *inputs)
            y.backward(mx.nd.array(np.random.default_rng(1).normal(size=y.shape)))
            found.setdefault(size, []).append((y.asnumpy(), x.grad.asnumpy()))
    for (y, gradient), (trained, its_gradient) in found.values():
        np.testing.assert_allclose(trained, y, atol=2e-6)
        np.testing.assert_allclose(its_gradient, gradient, atol=1e-5)


def test_the_form_for_training_ends_with_its_block():
    def operators(make):
        return {node["op"] for node in json.loads(make().tojson())["nodes"]} - {"null"}

    with pytest.raises(KeyError), for_training():
        with for_training():
            pass
        assert "dot" in operators(lambda: resize_by(mx.sym, mx.sym.var("x"), 2))
        raise KeyError
    assert operators(lambda: resize_by(mx.sym, mx.sym.var("x"), 2)) == {"_contrib_BilinearResize2D"}
    with for_training():
        assert "dot" in operators(lambda: resize_like(mx.sym, mx.sym.var("x"), mx.sym.var("like")))


def test_nearest_reads_the_pixel_at_the_floor_of_the_ratio():
    x = mx.nd.arange(5).reshape((1, 1, 1, 5))
    found = nearest_like(mx.nd, x, mx.nd.zeros((1, 1, 2, 9)))
    np.testing.assert_array_equal(found.asnumpy()[0, 0], [[0, 0, 1, 1, 2, 2, 3, 3, 4]] * 2)

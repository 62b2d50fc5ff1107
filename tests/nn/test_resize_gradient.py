"""What flows back through resizing to another map's size."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd

from mxnetseg.nn.resize import nearest_like, resize_like


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


def test_nearest_reads_the_pixel_at_the_floor_of_the_ratio():
    x = mx.nd.arange(5).reshape((1, 1, 1, 5))
    found = nearest_like(mx.nd, x, mx.nd.zeros((1, 1, 2, 9)))
    np.testing.assert_array_equal(found.asnumpy()[0, 0], [[0, 0, 1, 1, 2, 2, 3, 3, 4]] * 2)

"""The learned slope gets its gradient, hybridized or not."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd
from mxnet.gluon import nn

from mxnetseg.nn.prelu import PReLU


@pytest.mark.parametrize("channels", [1, 8])
def test_the_gradient_of_the_slope_is_the_same_in_a_hybridized_network(channels):
    x = mx.nd.array(np.random.RandomState(0).standard_normal((2, 3, 9, 9)))
    found = []
    for hybridized in (False, True):
        mx.random.seed(0)
        net = nn.HybridSequential()
        net.add(nn.Conv2D(8, 3, in_channels=3), PReLU(channels), nn.Conv2D(2, 3, in_channels=8))
        net.initialize()
        net.hybridize(hybridized)
        with autograd.record():
            loss = (net(x) ** 2).sum()
        loss.backward()
        found.append(net[1].alpha.grad().asnumpy())
    np.testing.assert_allclose(found[1], found[0], rtol=1e-4, atol=1e-6)


def test_values_below_zero_are_multiplied_by_their_slope():
    layer = PReLU(2)
    layer.initialize()
    layer.alpha.set_data(mx.nd.array([0.5, 2.0]))
    x = mx.nd.array([-2.0, 3.0, -4.0, 0.0]).reshape((1, 2, 1, 2))
    assert layer(x).asnumpy().reshape(-1).tolist() == [-1, 3, -8, 0]

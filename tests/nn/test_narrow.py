"""Convolutions of few channels have another form in training, and the same values and gradients."""

from __future__ import annotations

import json

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd

from mxnetseg.errors import ConfigError
from mxnetseg.nn.narrow import NarrowConv2D
from mxnetseg.nn.resize import for_training


def narrow(channels=2):
    conv = NarrowConv2D(channels, 3, 5, padding=1)
    conv.initialize(mx.init.Normal(0.5))
    return conv


def value_and_gradients(conv, x):
    x.attach_grad()
    with autograd.record():
        y = conv(x)
        loss = (y * y * y).sum()
    loss.backward()
    return y, x.grad, conv.weight.grad()


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_values_and_gradients_in_training_are_those_of_the_plain_convolution(channels):
    conv = narrow(channels)
    x = mx.nd.array(np.random.default_rng(0).normal(size=(2, 5, 6, 7)))
    plain = [array.asnumpy() for array in value_and_gradients(conv, x)]
    with for_training():
        trained = [array.asnumpy() for array in value_and_gradients(conv, x)]
    assert plain[0].shape == (2, channels, 6, 7) and abs(plain[2]).min() > 0
    for one, two in zip(plain, trained):
        np.testing.assert_allclose(two, one, rtol=1e-4, atol=1e-4 * abs(one).max())


def test_the_wide_form_is_of_training_alone():
    conv = narrow()

    def filters():
        nodes = json.loads(conv(mx.sym.var("x")).tojson())["nodes"]
        return [int(node["attrs"]["num_filter"]) for node in nodes if node["op"] == "Convolution"]

    assert filters() == [2]
    with for_training():
        assert filters() == [16]


def test_channels_that_do_not_divide_sixteen_are_refused():
    with pytest.raises(ConfigError, match="divisor of 16 channels, not 3"):
        narrow(3)

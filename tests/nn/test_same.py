"""Convolutions padded as TensorFlow pads them."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest
from mxnet.gluon import nn

from mxnetseg.nn.same import pad_as_tensorflow
from mxnetseg.nn.surgery import named_parameters


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("size", [(12, 12), (13, 13), (12, 17)])
def test_a_strided_convolution_sees_what_tensorflow_pads(kernel, size):
    net = nn.HybridSequential()
    net.add(nn.Conv2D(4, kernel, 2, kernel // 2, in_channels=3))
    net.initialize(mx.init.Normal(1.0))
    names = list(named_parameters(net))
    pad_as_tensorflow(net)
    assert list(named_parameters(net)) == names
    x = mx.nd.random.normal(shape=(2, 3, *size))
    # As many outputs as every other pixel gives, and the smaller half of the padding in front.
    widths = [max((-(-side // 2) - 1) * 2 + kernel - side, 0) for side in size]
    before = [width // 2 for width in widths]
    padded = np.pad(x.asnumpy(), [(0, 0), (0, 0), *((b, w - b) for b, w in zip(before, widths))])
    weight, bias = (parameter.data() for parameter in named_parameters(net).values())
    expected = mx.nd.Convolution(
        mx.nd.array(padded), weight, bias, kernel=(kernel, kernel), stride=(2, 2), num_filter=4
    )
    np.testing.assert_allclose(net(x).asnumpy(), expected.asnumpy(), rtol=1e-4, atol=1e-4)

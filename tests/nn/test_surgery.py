"""Changing finished networks in place."""

from __future__ import annotations

import mxnet as mx
import pytest
from mxnet.gluon import nn

from mxnetseg.nn.surgery import configure, exchange, layers, named_parameters, set_dilation, set_stride


def chain():
    net = nn.HybridSequential()
    net.add(nn.Conv2D(4, 3, padding=1, in_channels=3), nn.BatchNorm(in_channels=4), nn.Activation("relu"))
    net.initialize()
    return net


def test_a_dilated_or_unstrided_convolution_keeps_its_parameters_and_the_size_of_the_map():
    net, x = chain(), mx.nd.ones((1, 3, 12, 12))
    before = net(x).asnumpy()
    set_stride(net[0], 2)
    assert net(x).shape == (1, 4, 6, 6)
    set_stride(net[0], 1)
    set_dilation(net[0], 3)
    assert net(x).shape == (1, 4, 12, 12)
    set_dilation(net[0], 1)
    assert (net(x).asnumpy() == before).all()


def test_a_change_reaches_a_network_that_was_hybridized_and_run():
    net, x = chain(), mx.nd.ones((1, 3, 12, 12))
    net[0].hybridize()
    net[0](x)
    set_stride(net[0], 2)
    assert net[0](x).shape == (1, 4, 6, 6)


def test_a_setting_that_the_layer_does_not_have_is_an_error():
    with pytest.raises(KeyError, match="BatchNorm has no setting stride"):
        configure(chain()[1], stride=(2, 2))


def test_layers_come_in_running_order_at_any_depth():
    outer = nn.HybridSequential()
    outer.add(chain(), nn.Conv2D(2, 1, in_channels=4))
    assert [conv._channels for conv in layers(outer, nn.Conv2D)] == [4, 2]


def test_an_exchanged_child_is_found_under_the_name_of_the_old_one():
    net = chain()
    exchange(net, "1", nn.BatchNorm(in_channels=4, scale=False))
    assert net[1] is next(layers(net, nn.BatchNorm))
    assert "1.gamma" in named_parameters(net)
    with pytest.raises(KeyError):
        exchange(net, "9", nn.Activation("relu"))

"""What dropout drops is a fact of the published form: whole channels, or single elements."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd
from mxnet.gluon import nn

from mxnetseg.models import create_model
from mxnetseg.nn.layers import FCNHead, dropout_layer
from mxnetseg.nn.surgery import layers


def dropped_shares(layer):
    """For each channel of ones its share of zeros after the layer, in training."""
    mx.random.seed(0)
    with autograd.train_mode():
        y = layer(mx.nd.ones((1, 64, 16, 16)))
    return (y.asnumpy() == 0).mean((0, 2, 3))


def test_channels_are_dropped_whole_and_elements_one_by_one():
    assert set(np.unique(dropped_shares(dropout_layer(0.5)))) == {0.0, 1.0}
    shares = dropped_shares(dropout_layer(0.5, "elements"))
    assert 0.3 < shares.min() < shares.max() < 0.7


def test_heads_drop_channels_and_those_of_gluoncv_mxnetseg_and_acecoooool_elements():
    def kinds(name, form):
        net = create_model(name, 3, form=form, backbone="resnet18", init=False)
        shares = [dropped_shares(layer) for layer in layers(net, nn.Dropout)]
        return {bool(set(np.unique(share)) <= {0.0, 1.0}) for share in shares if share.any()}

    assert kinds("pspnet", "paper") == kinds("pspnet", "mmseg") == {True}
    for form in ("gluoncv", "mxnetseg", "ace"):
        assert kinds("pspnet", form) == {False}
    assert kinds("gffnet", "mxnetseg") == kinds("swiftnet", "mxnetseg") == {False}
    # A rate below one half leaves channels that were not dropped at all: the plain head's is found at 0.5.
    assert set(np.unique(dropped_shares(next(layers(FCNHead(4, 2, 4, dropout=0.5), nn.Dropout))))) == {0, 1}


def test_a_transformer_skips_whole_branches_of_a_sample_and_the_last_block_the_most():
    net = create_model("segmenter", 3, form="paper", init=False)
    rates = [block.skip._rate for block in net.backbone.blocks]
    assert rates[0] == 0 and rates[-1] == pytest.approx(0.1)
    assert np.allclose(np.diff(rates), 0.1 / 11)
    block = net.backbone.blocks[-1]
    block.initialize()
    block.skip = nn.Dropout(0.5, axes=(1, 2))
    mx.random.seed(0)
    x = mx.nd.random.normal(shape=(32, 5, 192))
    with autograd.train_mode():
        y = block.skip(x).asnumpy()
    gone = (y == 0).reshape(32, -1)
    assert (gone.all(1) | ~gone.any(1)).all() and gone.all(1).any() and not gone.all()

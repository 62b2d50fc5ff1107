"""Exchanging normalization keeps names and parameters."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd, gluon

from mxnetseg.errors import ConfigError
from mxnetseg.models import create_model
from mxnetseg.nn.norm import convert_norm


def small():
    mx.random.seed(0)
    return create_model("sfnet", 4, backbone="resnet18")


def test_synchronized_norm_keeps_names_values_and_inference():
    net = small()
    x = mx.nd.random.normal(shape=(1, 3, 32, 64))
    expected = net(x)[0].asnumpy()
    names = list(net._collect_params_with_prefix())
    convert_norm(net, "syncbn", 2)
    assert any(isinstance(b, gluon.contrib.nn.SyncBatchNorm) for b in _blocks(net))
    assert list(net._collect_params_with_prefix()) == names
    convert_norm(net, "bn")
    assert not any(isinstance(b, gluon.contrib.nn.SyncBatchNorm) for b in _blocks(net))
    np.testing.assert_array_equal(net(x)[0].asnumpy(), expected)


def test_statistics_over_two_contexts_are_those_of_the_whole_batch():
    x = mx.nd.random.normal(3, 2, shape=(4, 3, 8, 8))
    whole = gluon.nn.HybridSequential()
    whole.add(gluon.nn.BatchNorm(in_channels=3))
    whole.initialize()
    with autograd.record():
        expected = whole(x)
    expected = expected.asnumpy()
    split = gluon.nn.HybridSequential()
    split.add(gluon.nn.BatchNorm(in_channels=3))
    convert_norm(split, "syncbn", 2)
    contexts = [mx.cpu(0), mx.cpu(1)]
    split.initialize(ctx=contexts)
    parts = gluon.utils.split_and_load(x, contexts)
    with autograd.record():
        found = [split(part) for part in parts]
    found = np.concatenate([y.asnumpy() for y in found])
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_group_norm_takes_the_place_of_every_batch_norm():
    net = create_model("fcn", 4, backbone="resnet18", norm="gn")
    assert not any(isinstance(b, gluon.nn.BatchNorm) for b in _blocks(net))
    x = mx.nd.random.normal(shape=(1, 3, 32, 64))
    with autograd.record():
        loss = net(x)[0].square().mean()
    loss.backward()
    assert np.isfinite(loss.asscalar())


def test_an_unknown_norm_is_a_config_error():
    with pytest.raises(ConfigError, match="bn, syncbn, gn"):
        convert_norm(small(), "ln")


def _blocks(net):
    yield net
    for child in net._children.values():
        yield from _blocks(child)

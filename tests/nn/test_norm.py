"""Exchanging normalization keeps names and parameters."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd, gluon

from mxnetseg.backbones import list_backbones
from mxnetseg.errors import ConfigError
from mxnetseg.models import create_model, list_models, model_info
from mxnetseg.nn.norm import ChannelGroupNorm, convert_norm, count_twice, tune_norm
from mxnetseg.nn.surgery import layers, named_parameters, settings
from mxnetseg.recipe.fields import ModelGroup
from mxnetseg.weights.checkpoint import build_network


def small():
    mx.random.seed(0)
    return create_model("sfnet", 4, backbone="resnet18")


def test_synchronized_norm_keeps_names_values_and_inference():
    net = small()
    x = mx.nd.random.normal(shape=(1, 3, 32, 64))
    expected = net(x)[0].asnumpy()
    names = list(named_parameters(net))
    convert_norm(net, "syncbn", 2)
    assert any(layers(net, gluon.contrib.nn.SyncBatchNorm))
    assert list(named_parameters(net)) == names
    convert_norm(net, "bn")
    assert not any(layers(net, gluon.contrib.nn.SyncBatchNorm))
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
    assert not _norms(net)
    x = mx.nd.random.normal(shape=(1, 3, 32, 64))
    with autograd.record():
        loss = net(x)[0].square().mean()
    loss.backward()
    assert np.isfinite(loss.asscalar())


@pytest.mark.parametrize("shape", [(2, 8), (2, 8, 5), (2, 8, 5, 3)])
def test_group_norm_takes_vectors_sequences_and_maps(shape):
    norm = ChannelGroupNorm(8, 2, 1e-5)
    norm.initialize()
    x = np.random.RandomState(0).standard_normal(shape).astype(np.float32)
    norm.gamma.set_data(mx.nd.arange(8))
    norm.beta.set_data(mx.nd.arange(8) - 3)
    grouped = x.reshape(2, 2, -1)
    expected = (grouped - grouped.mean(2, keepdims=True)) / np.sqrt(grouped.var(2, keepdims=True) + 1e-5)
    channels = np.arange(8).reshape(-1, *[1] * (len(shape) - 2))
    expected = expected.reshape(shape) * channels + channels - 3
    np.testing.assert_allclose(norm(mx.nd.array(x)).asnumpy(), expected, rtol=1e-4, atol=1e-5)


def test_group_norm_computes_in_double_precision_where_its_parameters_are():
    norm = ChannelGroupNorm(8, 2, 1e-5)
    norm.initialize()
    norm.cast("float64")
    assert norm(mx.nd.random.normal(shape=(2, 8, 3, 3), dtype="float64")).dtype == np.float64


def test_group_norm_tells_pooled_maps_apart_however_few_channels_they_have():
    net = gluon.nn.HybridSequential()
    net.add(gluon.nn.BatchNorm(in_channels=32))
    convert_norm(net, "gn")
    net.initialize()
    y = net(mx.nd.random.normal(shape=(2, 32, 1, 1))).asnumpy()
    assert np.abs(y[0] - y[1]).max() > 0.1


@pytest.mark.parametrize("name", ["dfnetv1", "hrnet_w18_small_v1", "densenet121", "mobilenetv3_small"])
def test_group_norm_fits_backbones_whose_shapes_gluoncv_leaves_open(name):
    net = create_model("fcn", 4, backbone=name, norm="gn", init=False)
    assert not list(layers(net, gluon.nn.BatchNorm))


@pytest.mark.slow
@pytest.mark.parametrize("name", list_models())
def test_group_norm_trains_in_every_architecture(name):
    backbone = model_info(name)["backbone"]
    for small in ("small", "tiny"):
        if backbone.replace("large", small) in list_backbones():
            backbone = backbone.replace("large", small)
    if backbone.startswith("resnet"):
        backbone = backbone.replace("101", "18").replace("50", "18")
    net = create_model(name, 4, backbone=backbone, norm="gn")
    assert not list(layers(net, gluon.nn.BatchNorm))
    x = mx.nd.random.normal(shape=(2, 3, 64, 96))
    with autograd.record():
        loss = sum(y.square().mean() for y in net(x))
    loss.backward()
    assert np.isfinite(loss.asscalar())


def test_momentum_epsilon_and_frozen_statistics_reach_every_batch_norm():
    net = convert_norm(small(), "syncbn")
    tune_norm(net, momentum=0.99, epsilon=1e-3, frozen=True)
    found = {(s["momentum"], s["eps"], s["use_global_stats"]) for s in map(settings, _norms(net))}
    assert found == {(0.99, 1e-3, True)}
    convert_norm(net, "bn")
    assert {settings(norm)["momentum"] for norm in _norms(net)} == {0.99}


def test_frozen_statistics_stay_and_normalize_in_training_too():
    net = small()
    x = mx.nd.random.normal(shape=(2, 3, 32, 64))
    expected = net.backbone(x)[3].asnumpy()
    tune_norm(net, frozen=True)
    before = {n: p.data().asnumpy() for n, p in named_parameters(net).items() if "running" in n}
    with autograd.record():
        found = net.backbone(x)[3]
    np.testing.assert_allclose(found.asnumpy(), expected, rtol=1e-4, atol=1e-5)
    for name, value in before.items():
        np.testing.assert_array_equal(named_parameters(net)[name].data().asnumpy(), value)


@pytest.mark.parametrize(
    "options, complaint",
    [
        ({"momentum": 1.5}, "momentum must be from 0 to 1"),
        ({"epsilon": 0}, "epsilon must be above 0"),
    ],
)
def test_settings_of_norms_out_of_range_are_config_errors(options, complaint):
    with pytest.raises(ConfigError, match=complaint):
        tune_norm(small(), **options)


def test_a_recipe_sets_what_norms_do_with_their_statistics():
    group = ModelGroup(
        name="fcn",
        backbone="resnet18",
        nclass=3,
        norm_momentum=0.99,
        norm_epsilon=1e-3,
        norm_frozen=True,
    )
    net = build_network(group, init=False)
    found = {(s["momentum"], s["eps"], s["use_global_stats"]) for s in map(settings, _norms(net))}
    assert found == {(0.99, 1e-3, True)}


def test_settings_of_batch_norm_are_refused_where_there_is_none():
    net = create_model("fcn", 4, backbone="resnet18", norm="gn", init=False)
    with pytest.raises(ConfigError, match="no batch norm"):
        tune_norm(net, momentum=0.99)


def test_an_unknown_norm_is_a_config_error():
    with pytest.raises(ConfigError, match="bn, syncbn, gn"):
        convert_norm(small(), "ln")


def _norms(net):
    return list(layers(net, gluon.nn.BatchNorm))


def test_statistics_counted_twice_move_in_one_pass_as_far_as_in_two():
    x = mx.nd.random.normal(3, 2, shape=(4, 3, 8, 8))
    once, twice = gluon.nn.BatchNorm(in_channels=3), gluon.nn.BatchNorm(in_channels=3)
    count_twice(once)
    for layer in (once, twice):
        layer.initialize()
    for layer in (once, twice, twice):
        with autograd.record():
            y = layer(x)
        y.backward()
    for name in ("running_mean", "running_var"):
        found, expected = (getattr(layer, name).data().asnumpy() for layer in (once, twice))
        np.testing.assert_allclose(found, expected, rtol=1e-5)

"""One step that is looked at: losses by name, gradients left behind, nothing dropped unless asked for."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest

from mxnetseg.errors import ConfigError
from mxnetseg.models import create_model
from mxnetseg.train import one_step
from tests.train.tiny import gradients, tiny


def batch(n=2, nclass=4, size=(32, 48)):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 3, *size)), rng.integers(0, nclass, (n, *size))


def test_losses_have_their_labels_and_gradients_are_those_of_their_sum():
    net = tiny()
    net.cast("float64")
    found = one_step(net, dict(aux_weights=0.5), *batch())
    assert list(found["losses"]) == ["main", "aux_1"] and found["total"] == sum(found["losses"].values())
    gradient, weight = gradients(net)["head.bias"], net.head.bias
    value, step = weight.data().copy(), 1e-6
    totals = []
    for sign in (1, -1):
        weight.set_data(value + sign * step * mx.nd.array([1, 0, 0, 0], dtype="float64"))
        totals.append(one_step(net, dict(aux_weights=0.5), *batch())["total"])
    assert gradient[0] == pytest.approx((totals[0] - totals[1]) / (2 * step), rel=1e-6)


def test_nothing_is_dropped_unless_asked_for_and_rates_stay():
    net = create_model("fcn", 4, backbone="mobilenetv2_0.25")
    one, two = (one_step(net, {}, *batch())["total"] for _ in range(2))
    assert one == two
    mx.random.seed(1)
    one, two = (one_step(net, {}, *batch(), dropout=True)["total"] for _ in range(2))
    assert one != two


def test_ignored_labels_count_nowhere():
    images, labels = batch()
    labels[0] = 7
    whole = one_step(tiny(), {}, images, labels, ignore_index=7)["total"]
    assert np.isfinite(whole)
    with pytest.raises(ConfigError, match="nam"):
        one_step(tiny(), dict(nam="focal"), images, labels)


def test_pytorch_finds_the_same_losses_gradients_and_statistics():
    pytest.importorskip("torch", reason="PyTorch (requirements-torch.txt) is not installed")
    found, arrays = [], []
    for engine in ("mxnet", "torch"):
        net = tiny()
        net.cast("float64")
        found.append(one_step(net, dict(aux_weights=0.5), *batch(), engine=engine))
        states = {n: p.data().asnumpy() for n, p in net._collect_params_with_prefix().items()}
        arrays.append({**{f"gradient of {n}": g for n, g in gradients(net).items()}, **states})
    assert found[0]["losses"] == pytest.approx(found[1]["losses"], rel=1e-9)
    for name, value in arrays[0].items():
        np.testing.assert_allclose(arrays[1][name], value, rtol=1e-5, atol=1e-8, err_msg=name)
    assert np.abs(arrays[1]["backbone.1.running_mean"]).max() > 0

"""Update rules against their formulas, groups of parameters, clipping."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd

from mxnetseg.compute.mxnet_optimizer import Updater
from mxnetseg.recipe.fields import OptimizerGroup
from tests.train.tiny import gradients, tiny


def compute_gradients(net, seed):
    x = mx.nd.array(np.random.default_rng(seed).normal(size=(2, 3, 8, 8)))
    with autograd.record():
        loss = sum((y**2).sum() for y in net(x))
    loss.backward()


def run(net, steps=4, **settings):
    settings = {"momentum": 0.9, **settings}
    updater = Updater(net, OptimizerGroup(**settings), [mx.cpu()])
    history = []
    for k in range(steps):
        compute_gradients(net, k)
        history.append(gradients(net))
        updater.step(settings.get("lr", 0.01) / (k + 1))
    return updater, history


def values(net):
    return {n: p.data().asnumpy() for n, p in net._collect_params_with_prefix().items()}


def norm(x):
    return np.sqrt((x**2).sum())


def expected(name, w, gradients, rates, decay):
    """The rules of `mxnetseg.compute.groups` in NumPy, float64."""
    w = w.astype(np.float64)
    m, v = np.zeros_like(w), np.zeros_like(w)
    for t, (g, r) in enumerate(zip(gradients, rates), 1):
        g = g.astype(np.float64)
        if name in ("sgd", "nag"):
            m = 0.9 * m - r * (g + decay * w)
            w = w + (m if name == "sgd" else 0.9 * m - r * (g + decay * w))
        elif name == "lars":
            q = 0.02 * norm(w) / (norm(g) + decay * norm(w)) if w.ndim > 1 else 1
            m = 0.9 * m - r * q * (g + decay * w)
            w = w + m
        else:
            g = g + (decay * w if name == "adam" else 0)
            m, v = 0.8 * m + 0.2 * g, 0.95 * v + 0.05 * g**2
            first, second = 1 - 0.8**t, 1 - 0.95**t
            if name == "adam":
                w = w - r * np.sqrt(second) / first * m / (np.sqrt(v) + 1e-3)
                continue
            u = (m / first) / (np.sqrt(v / second) + 1e-3) + decay * w
            w = w - r * (norm(w) / norm(u) if name == "lamb" and w.ndim > 1 else 1) * u
    return w


@pytest.mark.parametrize("name", ["sgd", "nag", "adam", "adamw", "lars", "lamb"])
def test_every_rule_moves_by_its_formula(name):
    net = tiny()
    before = values(net)
    settings = dict(beta1=0.8, beta2=0.95, epsilon=1e-3, trust=0.02, weight_decay=0.1)
    _, history = run(net, name=name, lr=0.01, **settings)
    rates = [0.01 / t for t in range(1, 5)]
    for parameter in ("head.weight", "backbone.0.weight", "head.bias", "backbone.1.gamma"):
        w = expected(name, before[parameter], [g[parameter] for g in history], rates, 0.1)
        moved = np.abs(w - before[parameter]).max()
        np.testing.assert_allclose(values(net)[parameter], w, atol=1e-5 * moved + 1e-7, err_msg=parameter)
        assert moved > 1e-4


@pytest.mark.parametrize("name", ["lars", "lamb"])
def test_a_weight_or_a_gradient_of_zeros_is_no_hindrance_to_layerwise_rates(name):
    net = tiny()
    net.head.weight.set_data(mx.nd.zeros(net.head.weight.shape))
    net.head.bias.set_data(mx.nd.ones(net.head.bias.shape))
    run(net, steps=2, name=name, lr=0.01)
    assert all(np.isfinite(value).all() for value in values(net).values())
    assert np.abs(values(net)["head.weight"]).max() > 0


def test_head_multiplier_reaches_all_but_the_backbone():
    moved = {}
    for factor in (1.0, 10.0):
        net = tiny()
        before = values(net)
        run(net, steps=1, name="sgd", lr=1e-4, weight_decay=0.0, head_lr_mult=factor)
        moved[factor] = {n: v - before[n] for n, v in values(net).items()}
    for name, step in moved[1.0].items():
        if "running" in name:
            continue
        factor = 1 if name.startswith("backbone.") else 10
        np.testing.assert_allclose(moved[10.0][name], factor * step, rtol=1e-2, atol=1e-6)
    assert np.abs(moved[1.0]["aux_heads.0.weight"]).max() > 0


def test_norm_and_bias_are_spared_from_decay_where_asked():
    moved = {}
    for spared in (False, True):
        net = tiny()
        before = values(net)
        run(
            net,
            steps=1,
            lr=0.1,
            weight_decay=0.5,
            no_decay=["norm", "bias"] if spared else [],
            clip_grad_norm=1e-9,
        )
        moved[spared] = {n: np.abs(v - before[n]).max() for n, v in values(net).items()}
    assert moved[False]["backbone.1.gamma"] > 0.01
    assert moved[True]["backbone.1.gamma"] < 1e-6
    assert moved[True]["head.weight"] == pytest.approx(moved[False]["head.weight"], rel=1e-3)


@pytest.mark.parametrize("limit", [0.01, 1e9])
def test_gradients_are_scaled_to_the_largest_norm_and_never_up(limit):
    net = tiny()
    updater = Updater(net, OptimizerGroup(clip_grad_norm=limit), [mx.cpu()])
    compute_gradients(net, 0)
    before = gradients(net)
    norm = np.sqrt(sum((g.astype(np.float64) ** 2).sum() for g in before.values()))
    reported = updater.step(0.0)
    assert float(reported.asscalar()) == pytest.approx(norm, rel=1e-5)
    factor = min(1.0, limit / norm)
    for name, gradient in gradients(net).items():
        np.testing.assert_allclose(gradient, before[name] * factor, rtol=1e-4)


def test_a_new_learning_rate_takes_effect_at_once():
    net = tiny()
    updater = Updater(net, OptimizerGroup(momentum=0.0, weight_decay=0.0), [mx.cpu()])
    steps = []
    for rate in (1e-3, 2e-3):
        before = values(net)["head.bias"]
        compute_gradients(net, 0)
        gradient = gradients(net)["head.bias"]
        updater.step(rate)
        steps.append((values(net)["head.bias"] - before) / gradient)
    np.testing.assert_allclose(steps[0], -1e-3, rtol=1e-2)
    np.testing.assert_allclose(steps[1], -2e-3, rtol=1e-2)


@pytest.mark.parametrize("name", ["sgd", "nag", "adam", "adamw", "lars", "lamb"])
def test_a_restored_optimizer_goes_on_bit_for_bit(name):
    whole = tiny()
    updater, _ = run(whole, steps=2, name=name)
    saved = {k: v.copy() for k, v in updater.state_arrays().items()}
    middle = values(whole)
    compute_gradients(whole, 9)
    updater.step(0.01)

    resumed = tiny(seed=5)
    for n, p in resumed._collect_params_with_prefix().items():
        p.set_data(mx.nd.array(middle[n]))
    fresh = Updater(resumed, OptimizerGroup(name=name), [mx.cpu()])
    fresh.load_state_arrays(saved)
    compute_gradients(resumed, 9)
    fresh.step(0.01)
    for n, value in values(whole).items():
        np.testing.assert_array_equal(values(resumed)[n], value)

"""The MXNet engine: its devices, and steps as a function of state and arguments."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest

from mxnetseg.compute import create_engine, training_devices
from mxnetseg.compute import mxnet as engine_module
from mxnetseg.errors import ConfigError, DeviceError
from mxnetseg.recipe.fields import OptimizerGroup
from mxnetseg.recipe.loss import LossGroup
from tests.train.tiny import tiny


def batch(seed, n=4, nclass=4, size=(16, 24)):
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(n, 3, *size)).astype(np.float32)
    return images, rng.integers(0, nclass, (n, *size)).astype(np.int32)


def engine(devices=("cpu",), norm="bn", seed=1, **settings):
    contexts = training_devices("mxnet", list(devices))
    net = tiny(norm=norm, seed=seed)
    return create_engine("mxnet", net, 4, LossGroup(), OptimizerGroup(**settings), contexts)


def same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def test_only_cpu_contexts_are_joined_for_synchronized_norm(monkeypatch):
    gpus, cpus = [mx.gpu(0), mx.gpu(1)], [mx.cpu(0), mx.cpu(1)]
    monkeypatch.setattr(engine_module, "contexts", lambda names: names)
    assert training_devices("mxnet", gpus, "syncbn") == gpus
    assert training_devices("mxnet", cpus, "syncbn") == cpus[:1]
    assert training_devices("mxnet", cpus, "bn") == cpus


def test_an_engine_or_a_device_that_does_not_exist_is_named():
    with pytest.raises(ConfigError, match="no engine is named 'abacus'; there are mxnet"):
        training_devices("abacus")
    with pytest.raises(DeviceError, match="not a device"):
        training_devices("mxnet", ["lpu"])


@pytest.mark.parametrize("devices", [("cpu",), ("cpu", "cpu"), ("cpu", "cpu", "cpu", "cpu")])
@pytest.mark.parametrize("norm", ["bn", "gn"])
@pytest.mark.parametrize("rule", ["sgd", "adamw"])
def test_an_engine_with_a_restored_state_goes_on_bit_for_bit(devices, norm, rule):
    whole = engine(devices, norm, name=rule)
    for k in range(3):
        whole.read(whole.step(*batch(k), 0.05, seed=k))
    saved = {name: array.copy() for name, array in whole.state_arrays().items()}
    resumed = engine(devices, norm, seed=2, name=rule)
    resumed.load_state_arrays(saved)
    same(resumed.state_arrays(), saved)
    for k in range(3, 6):
        assert whole.read(whole.step(*batch(k), 0.02, seed=k)) == resumed.read(
            resumed.step(*batch(k), 0.02, seed=k)
        )
    same(whole.state_arrays(), resumed.state_arrays())


def test_running_statistics_are_each_devices_own_until_they_are_averaged():
    two = engine(("cpu", "cpu"))
    two.read(two.step(*batch(0), 0.05, seed=0))
    name = "backbone.1.running_mean"
    before = two.state_arrays()
    first, second = before[f"net:0:{name}"], before[f"net:1:{name}"]
    assert np.abs(first - second).max() > 1e-4
    np.testing.assert_allclose(two.network_arrays()[name], (first + second) / 2, rtol=1e-6)
    two.average_statistics()
    after = two.state_arrays()
    np.testing.assert_array_equal(after[f"net:0:{name}"], after[f"net:1:{name}"])
    np.testing.assert_array_equal(after[f"net:0:{name}"], two.network_arrays()[name])


def test_no_update_of_running_statistics_is_lost_to_their_averaging():
    # MXNet writes them behind its scheduler's back: what is read too early is wrong every other time.
    found = []
    for _ in range(8):
        two = engine(("cpu", "cpu"))
        for k in range(3):
            two.step(*batch(k, size=(64, 96)), 0.05, seed=k)
        two.average_statistics()
        found.append(two.state_arrays())
    for other in found[1:]:
        same(found[0], other)


def test_a_state_of_another_network_or_optimizer_is_refused():
    state = engine().state_arrays()
    with pytest.raises(KeyError):
        engine(name="adamw").load_state_arrays(engine_after_a_step(name="sgd", momentum=0.0).state_arrays())
    with pytest.raises(ValueError, match=r"head\.weight"):
        state["net:0:head.weight"] = state["net:0:head.weight"][:2]
        engine().load_state_arrays(state)


def engine_after_a_step(**settings):
    made = engine(**settings)
    made.read(made.step(*batch(0), 0.05, seed=0))
    return made


def test_the_gradient_norm_is_reported_where_it_is_clipped():
    assert engine_after_a_step().read(engine().step(*batch(0), 0.05, seed=0)).gradient_norm is None
    clipped = engine(clip_grad_norm=0.1)
    assert clipped.read(clipped.step(*batch(0), 0.05, seed=0)).gradient_norm > 0.1


def test_the_moving_average_of_the_weights_is_what_is_saved_and_evaluated_and_not_what_is_trained():
    plain, averaged = engine(lr=0.05), engine(lr=0.05, ema=0.3)
    name = "head.weight"
    expected = plain.network_arrays()[name].astype(np.float64)
    for k in range(4):
        for each in (plain, averaged):
            each.read(each.step(*batch(k), 0.05, seed=k))
        share = min(0.3, (2 + k) / (11 + k))
        expected = share * expected + (1 - share) * plain.network_arrays()[name]
    trained = plain.state_arrays()[f"net:0:{name}"]
    np.testing.assert_array_equal(averaged.state_arrays()[f"net:0:{name}"], trained)
    assert np.abs(expected - trained).max() > 1e-4
    np.testing.assert_allclose(averaged.network_arrays()[name], expected, rtol=1e-5, atol=1e-7)
    image = batch(9)[0]
    with averaged.averaged_weights():
        seen = averaged.inference().scores(image).read()
    other = engine()
    other.load_state_arrays(
        {**other.state_arrays(), **{f"net:0:{k}": v for k, v in averaged.network_arrays().items()}}
    )
    np.testing.assert_array_equal(seen, other.inference().scores(image).read())
    np.testing.assert_array_equal(averaged.state_arrays()[f"net:0:{name}"], trained)


@pytest.mark.parametrize("devices", [("cpu",), ("cpu", "cpu")])
def test_a_restored_moving_average_goes_on_bit_for_bit(devices):
    whole = engine(devices, ema=0.9)
    for k in range(2):
        whole.read(whole.step(*batch(k), 0.05, seed=k))
    resumed = engine(devices, seed=2, ema=0.9)
    resumed.load_state_arrays({name: array.copy() for name, array in whole.state_arrays().items()})
    for each in (whole, resumed):
        each.read(each.step(*batch(2), 0.05, seed=2))
    same(whole.state_arrays(), resumed.state_arrays())
    same(whole.network_arrays(), resumed.network_arrays())
    with pytest.raises(KeyError):
        resumed.load_state_arrays(engine(devices).state_arrays())

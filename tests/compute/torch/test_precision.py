"""Mixed precision on the torch engine: near float32, float32 state, loss scaling, exact resume."""

from __future__ import annotations

import json

import mxnet as mx
import numpy as np
import pytest

from mxnetseg.cli import eval as eval_command
from mxnetseg.cli import train as train_command
from mxnetseg.compute import create_engine, training_devices
from mxnetseg.errors import ConfigError, DeviceError
from mxnetseg.recipe.fields import ComputeGroup, OptimizerGroup
from mxnetseg.recipe.loss import LossGroup
from tests.cli.test_train import recipe  # noqa: F401  a recipe of a few seconds
from tests.compute.torch.test_training import NCLASS, batch, run
from tests.train.tiny import tiny

torch = pytest.importorskip("torch", reason="PyTorch (requirements-torch.txt) is not installed")

from mxnetseg.compute import to_torch  # noqa: E402
from mxnetseg.compute.torch import operators, precision  # noqa: E402
from mxnetseg.compute.torch.precision import LossScaler  # noqa: E402


@pytest.fixture
def everywhere(monkeypatch):
    """PyTorch computes in either type on any CPU, if slowly."""
    monkeypatch.setattr(precision, "has_amp", lambda amp, device: True)


def engine(amp, **optimizer):
    torch.set_num_threads(1)
    compute = ComputeGroup(amp=amp)
    settings = OptimizerGroup(lr=0.05, **optimizer)
    devices = training_devices("torch", ["cpu"], compute=compute)
    return create_engine("torch", tiny(), NCLASS, LossGroup(), settings, devices, compute=compute)


@pytest.mark.parametrize("amp", ["bf16", "fp16"])
def test_a_step_is_near_that_of_float32_and_all_that_is_kept_is_float32(amp, everywhere):
    exact, narrow = engine("none"), engine(amp)
    images, _ = batch()
    scores = [e.inference().scores(images).read() for e in (exact, narrow)]
    apart = np.abs(scores[1] - scores[0]).max() / np.abs(scores[0]).max()
    assert 0 < apart < 0.05 and scores[1].dtype == np.float32
    for a, b in zip(run(exact, 3), run(narrow, 3)):
        assert a.loss != b.loss and b.loss == pytest.approx(a.loss, rel=0.03)
    for name, value in narrow.network_arrays().items():
        assert value.dtype == np.float32
        np.testing.assert_allclose(value, exact.network_arrays()[name], rtol=0.1, atol=0.02, err_msg=name)


@pytest.mark.parametrize("amp", ["bf16", "fp16"])
def test_a_resumed_run_is_bit_for_bit_the_same(amp, everywhere):
    one, two = (engine(amp, name="adamw", ema=0.9, accumulate=2) for _ in range(2))
    if amp == "fp16":
        one._scaler.scale = 2.0**40  # overflows: steps are left out until it is small enough
    run(one, 20)
    two.load_state_arrays(one.state_arrays())
    run(one, 3, start=20)
    run(two, 3, start=20)
    for name, value in one.state_arrays().items():
        np.testing.assert_array_equal(two.state_arrays()[name], value)


def test_steps_whose_gradients_overflow_are_left_out_and_halve_the_scale(everywhere):
    ours = engine("fp16", clip_grad_norm=1.0)
    ours._scaler.scale = 2.0**60
    before = {name: a for name, a in ours.network_arrays().items() if "running" not in name}
    (result,) = run(ours, 1)
    assert np.isfinite(result.loss) and result.gradient_norm is None and ours._scaler.scale == 2.0**59
    assert all(np.array_equal(ours.network_arrays()[name], value) for name, value in before.items())
    while run(ours, 1)[0].gradient_norm is None:
        pass
    assert not all(np.array_equal(ours.network_arrays()[name], value) for name, value in before.items())


def test_the_scale_doubles_after_good_steps_and_ends_at_one():
    scaler, gradients = LossScaler(), [torch.ones(2), torch.ones(3)]
    for _ in range(2000):
        assert scaler.unscale(gradients)
    assert scaler.scale == 2.0**17 and gradients[1][0] == 0
    bad = [torch.tensor([1.0, float("nan")])]
    for _ in range(17):
        assert not scaler.unscale(bad)
    assert scaler.scale == 1 and scaler.unscale(bad), "the run has to see that it diverged"


def test_operators_that_overflow_are_computed_in_float32():
    x = torch.full((1, 4), 300.0, dtype=torch.float16)
    for result in (operators.square(x), operators.sum_(x.repeat(1, 100), axis=1), operators.power(x, 2.0)):
        assert result.dtype == torch.float32 and result.isfinite().all()
    assert operators.softmax(x.bfloat16()).dtype == torch.float32
    assert operators.square(x.double()).dtype == torch.float64


def test_rows_of_one_precision_are_put_into_a_map_of_another():
    rows, new = torch.zeros(3, 2), torch.ones(1, 2, dtype=torch.float16)
    for x, y in ((rows, new), (rows.half(), new.float())):
        found = operators.index_copy(x, torch.tensor([1]), y)
        assert found.dtype == torch.float32 and found.tolist() == [[0, 0], [1, 1], [0, 0]]


@pytest.mark.parametrize("channels, groups", [(19, 1), (32, 32)])
def test_dilated_kernels_over_odd_channels_are_computed_in_float32_on_a_cpu(channels, groups):
    layer = mx.gluon.nn.Conv2D(
        channels, 3, padding=2, dilation=2, groups=groups, in_channels=channels, use_bias=False
    )
    layer.initialize(mx.init.Normal(0.3))
    inside = mx.gluon.nn.HybridSequential()
    inside.add(layer)
    x = torch.randn(1, channels, 16, 64)
    for module in (to_torch(layer), to_torch(inside)):
        with precision.autocast("bf16", torch.device("cpu")):
            (y,) = module(x)
        assert y.dtype == torch.float32 and torch.equal(y, module(x)[0])


def test_an_engine_or_a_device_without_it_is_refused(monkeypatch):
    with pytest.raises(ConfigError, match=r"the mxnet engine has no compute\.amp bf16: use engine torch"):
        training_devices("mxnet", ["cpu"], compute=ComputeGroup(amp="bf16"))
    monkeypatch.setattr(precision, "has_amp", lambda amp, device: amp == "bf16")
    with pytest.raises(DeviceError, match="device cpu does not compute in fp16"):
        training_devices("torch", ["cpu"], compute=ComputeGroup(amp="fp16"))
    assert training_devices("torch", ["cpu"], compute=ComputeGroup(amp="bf16"))


def command(main, *arguments):
    return main([*map(str, arguments), "--ctx", "cpu", "--quiet"])


def test_the_commands_compute_in_it_and_the_run_remembers(recipe, tmp_path, everywhere, monkeypatch, capsys):  # noqa: F811
    seen = []
    real = precision.autocast
    for module in ("criterion", "inference"):
        monkeypatch.setattr(
            f"mxnetseg.compute.torch.{module}.autocast", lambda amp, d: (seen.append(amp), real(amp, d))[1]
        )
    folder = tmp_path / "run"
    start = ["--recipe", recipe, "--output", folder, "--epochs", 1, "--amp", "bf16", "--deterministic"]
    command(train_command.main, *start)
    assert set(seen) == {"bf16"}, "training and validation"
    assert "amp: bf16" in (folder / "recipe.yaml").read_text()
    best = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
    scores = {}
    for words in (["--engine", "torch"], ["--engine", "torch", "--amp", "none"]):
        seen.clear()
        command(eval_command.main, "--checkpoint", folder, "--json", tmp_path / "s.json", *words)
        scores[seen[0]] = json.loads((tmp_path / "s.json").read_text())["miou"]
    assert set(scores) == {"bf16", "none"} and scores["bf16"] == pytest.approx(best["miou"])
    with pytest.raises(SystemExit) as stop:
        command(eval_command.main, "--checkpoint", folder, "--engine", "mxnet", "--amp", "bf16")
    error = capsys.readouterr().err
    assert stop.value.code == 2 and "--amp bf16" in error and error.count("\n") == 1

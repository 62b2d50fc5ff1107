"""The torch engine on a CUDA device: predictions, training, mixed precision, compilation, recordings.

What is expected is what it gives on the CPU. `make test-gpu` also goes through the goldens there.
"""

from __future__ import annotations

import numpy as np
import pytest

from mxnetseg.compute import create_engine, to_torch, training_devices
from mxnetseg.recipe.fields import ComputeGroup, OptimizerGroup
from mxnetseg.recipe.loss import LossGroup
from tests import gpu
from tests.train.tiny import tiny

torch = pytest.importorskip("torch", reason="PyTorch (requirements-torch.txt) is not installed")

from mxnetseg.compute.torch.inference import TorchInference  # noqa: E402
from tests.compute.torch.test_training import NCLASS, batch, run  # noqa: E402

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(bool(gpu.missing()), reason="no CUDA device"),
]

GPU = "0"


@pytest.fixture(autouse=True)
def whole_float32():
    """Without TF32, which rounds what convolutions multiply to ten bits."""
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield


def engine(device, **compute):
    compute = ComputeGroup(**compute)
    devices = training_devices("torch", [device], compute=compute)
    settings = OptimizerGroup(lr=0.05, momentum=0.9)
    return create_engine("torch", tiny(), NCLASS, LossGroup(), settings, devices, compute=compute)


def losses(trained):
    return [result.loss for result in run(trained, 3)]


def scores(trained, seed=5):
    return trained.inference().scores(batch(2, seed)[0])


def apart(found, expected):
    return np.abs(found.read() - expected.read()).max() / expected.read().std()


def test_scores_are_those_of_the_cpu_and_labels_are_reduced_on_the_device():
    found = scores(engine(GPU))
    assert apart(found, scores(engine("cpu"))) < 1e-3
    assert (found.labels(0.0) == found.read().argmax(1)).all()


def test_training_is_that_of_the_cpu():
    ours, reference = engine(GPU), engine("cpu")
    assert losses(ours) == pytest.approx(losses(reference), rel=1e-3)
    for name, value in reference.network_arrays().items():
        np.testing.assert_allclose(ours.network_arrays()[name], value, rtol=0.01, atol=1e-3, err_msg=name)


@pytest.mark.parametrize("amp", ["bf16", "fp16"])
def test_mixed_precision_trains_near_float32_and_keeps_float32(amp):
    exact, narrow = engine(GPU), engine(GPU, amp=amp)
    assert 0 < apart(scores(narrow), scores(exact)) < 0.2
    assert losses(narrow) == pytest.approx(losses(exact), rel=0.03)
    assert {value.dtype for value in narrow.network_arrays().values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("field", ["compile", "activation_checkpointing"])
def test_another_way_to_compute_gives_the_same_losses(field):
    assert losses(engine(GPU, **{field: True})) == pytest.approx(losses(engine(GPU)), rel=1e-3)


def test_recorded_predictions_are_those_of_plain_ones_with_new_pictures():
    plain, recorded = (engine(GPU, cuda_graphs=graphs).inference() for graphs in (False, True))
    for seed in (1, 2):  # the second is a replay
        images = batch(2, seed)[0]
        assert apart(recorded.scores(images), plain.scores(images)) < 1e-4


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="one CUDA device")
def test_every_gpu_replays_recordings_of_its_own():
    net = tiny().deploy()
    devices = [torch.device("cuda", k) for k in (0, 1)]
    modules = [to_torch(net, folded=True).to(device) for device in devices]
    recorded = TorchInference(modules, devices, compute=ComputeGroup(cuda_graphs=True))
    plain = TorchInference(modules, devices)
    for seed in (1, 2):
        for place in (0, 1):
            images = batch(2, seed)[0]
            found, expected = (i.forward(i.put(images, place)) for i in (recorded, plain))
            assert apart(found, expected) < 1e-4

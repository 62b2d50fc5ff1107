"""What the recipe's `compute` group changes beside precision: memory, compilation, recorded predictions."""

from __future__ import annotations

import contextlib

import mxnet as mx
import numpy as np
import pytest

from mxnetseg.compute import create_engine, training_devices
from mxnetseg.errors import ConfigError, DeviceError, EngineError
from mxnetseg.models import create_model
from mxnetseg.recipe.fields import ComputeGroup, OptimizerGroup
from mxnetseg.recipe.loss import LossGroup
from mxnetseg.symbols import trace
from tests.compute.torch.test_training import NCLASS, batch, run
from tests.train.tiny import tiny

torch = pytest.importorskip("torch", reason="PyTorch (requirements-torch.txt) is not installed")

from mxnetseg.compute.torch import devices, graphs  # noqa: E402
from mxnetseg.compute.torch.inference import TorchInference  # noqa: E402
from mxnetseg.compute.torch.translate import parameters_of, to_torch, translate  # noqa: E402


def step(network, segmented, seed=0):
    """Bytes that the forward pass keeps, gradients and statistics."""
    torch.set_num_threads(1)
    module = translate(trace(network), parameters_of(network), segmented).train()
    kept = []

    def keep(tensor):
        kept.append(tensor.numel() * tensor.element_size())
        return tensor

    torch.manual_seed(seed)
    x = torch.from_numpy(np.random.RandomState(0).standard_normal((2, 3, 64, 64)).astype(np.float32))
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        outputs = module(x)
    sum(y.square().mean() for y in outputs).backward()
    found = {name: p.grad for name, p in module.named_parameters()}
    return sum(kept), {**found, **dict(module.named_buffers())}


# Dropout; bases that move as a batch norm's statistics do, and are read before.
@pytest.mark.parametrize("name", ["fastscnn", pytest.param("emanet", marks=pytest.mark.slow)])
def test_activation_checkpointing_keeps_a_fifth_and_changes_no_bit(name):
    mx.random.seed(0)
    network = create_model(name, NCLASS)
    whole, expected = step(network, False)
    least, found = step(network, True)
    assert least < whole / 5
    for key, value in expected.items():
        assert (value is None) == (found[key] is None)
        assert value is None or torch.equal(value, found[key]), key


def engine(**fields):
    compute = ComputeGroup(**fields)
    chosen = training_devices("torch", ["cpu"], compute=compute)
    return create_engine(
        "torch", tiny(), NCLASS, LossGroup(), OptimizerGroup(lr=0.05), chosen, compute=compute
    )


def test_the_engine_trains_with_checkpointed_activations(monkeypatch):
    again = []
    real = devices.torch.utils.checkpoint.checkpoint
    monkeypatch.setattr(
        "mxnetseg.compute.torch.recompute.checkpoint", lambda *a, **k: again.append(1) or real(*a, **k)
    )
    plain, ours = engine(), engine(activation_checkpointing=True)
    assert [r.loss for r in run(plain, 2)] == [r.loss for r in run(ours, 2)] and again
    ours.inference().scores(batch()[0]).read()
    for name, value in plain.network_arrays().items():
        np.testing.assert_array_equal(ours.network_arrays()[name], value)


@pytest.mark.slow
def test_compiled_networks_train_and_predict_alike():
    plain, ours = engine(), engine(compile=True)
    torch._dynamo.utils.counters.clear()
    for a, b in zip(run(plain, 2), run(ours, 2)):
        assert b.loss == pytest.approx(a.loss, rel=1e-4)
    found, expected = (e.inference().scores(batch()[0]).read() for e in (ours, plain))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 2, "training and prediction"


def test_what_a_device_cannot_do_is_one_line(monkeypatch):
    with pytest.raises(DeviceError, match="device cpu has no CUDA graphs: set compute"):
        engine(cuda_graphs=True)
    monkeypatch.setattr(devices.shutil, "which", lambda name: None)
    with pytest.raises(EngineError, match=r"torch.compile needs a C\+\+ compiler"):
        engine(compile=True)
    with pytest.raises(ValueError, match="cannot be joined"):
        ComputeGroup(compile=True, activation_checkpointing=True)
    for field in ("compile", "activation_checkpointing", "cuda_graphs"):
        with pytest.raises(ConfigError, match=f"has no compute.{field} True: use engine torch"):
            training_devices("mxnet", ["cpu"], compute=ComputeGroup(**{field: True}))


class Recorder:
    """Stands for a CUDA graph: keeps what to do, and does it at `replay`."""

    def __init__(self):
        self.work = None

    def replay(self):
        self.work()


def test_recorded_predictions_are_replayed_with_new_pictures_and_new_parameters(monkeypatch):
    recorded = []

    def record(self, given):
        given = given.clone()
        result, graph = self._run(given), Recorder()
        graph.work = lambda: result.copy_(self._run(given))
        recorded.append(tuple(given.shape))
        return graph, given, result

    monkeypatch.setattr(graphs.CudaGraphs, "_record", record)
    monkeypatch.setattr(graphs.torch.cuda, "device", lambda device: torch.inference_mode())
    module = to_torch(tiny().deploy())
    plain = TorchInference([module], [torch.device("cpu")])
    ours = TorchInference([module], [torch.device("cpu")], compute=ComputeGroup(cuda_graphs=True))
    for seed in (0, 1):
        for count in (1, 2):
            images, _ = batch(count, seed=seed)
            first = ours.scores(images)
            ours.scores(images[:, :, ::-1])
            np.testing.assert_array_equal(first.read(), plain.scores(images).read())
        with torch.no_grad():
            module.head.weight.mul_(2)
    assert recorded == [(1, 3, 18, 22), (2, 3, 18, 22)]
    for width in range(22, 40):
        ours.scores(batch(1, sides=(18, width))[0])
    assert len(ours._run[0]._recorded) == 8


def test_each_gpu_records_on_a_stream_of_its_own_and_disturbs_no_other_thread(monkeypatch):
    inside, recorded = [], []

    @contextlib.contextmanager
    def device(chosen):
        inside.append(chosen)
        yield
        inside.pop()

    class Stream:
        def __init__(self):
            self.device = inside[-1]

        def wait_stream(self, other):
            pass

    @contextlib.contextmanager
    def graph(graph, stream=None, capture_error_mode="global"):
        recorded.append((stream and stream.device, capture_error_mode))
        yield

    fakes = dict(device=device, Stream=Stream, current_stream=Stream, CUDAGraph=Recorder, graph=graph)
    for name, fake in {**fakes, "stream": contextlib.nullcontext}.items():
        monkeypatch.setattr(graphs.torch.cuda, name, fake)
    monkeypatch.setattr(Recorder, "replay", lambda self: None)
    # Any two devices.
    for name in ("cpu", "meta"):
        graphs.CudaGraphs(torch.neg)(torch.ones(1, 3, 4, 4, device=name))
    assert recorded == [(torch.device(name), "thread_local") for name in ("cpu", "meta")]

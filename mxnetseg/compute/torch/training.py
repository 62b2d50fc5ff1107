"""The torch engine of a training run: see `mxnetseg.compute.base.Engine`."""

from __future__ import annotations

import contextlib
from typing import Any, ContextManager, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence

import numpy as np
import torch
from mxnet.gluon import nn
from torch import Tensor

from mxnetseg.compute.base import StepResult
from mxnetseg.compute.groups import ParameterGroup, parameter_groups
from mxnetseg.compute.torch.buckets import GradientBuckets
from mxnetseg.compute.torch.criterion import Criterion
from mxnetseg.compute.torch.devices import check_compute, worker_devices
from mxnetseg.compute.torch.inference import TorchInference
from mxnetseg.compute.torch.optimizer import MovingAverage, Updater
from mxnetseg.compute.torch.precision import LossScaler
from mxnetseg.compute.torch.translate import parameters_of, translate
from mxnetseg.compute.workers import ALONE, Workers, mean_of_copies
from mxnetseg.losses.criterion import output_channels
from mxnetseg.losses.plan import plan
from mxnetseg.nn.norm import tune_norm
from mxnetseg.nn.surgery import layers, named_parameters
from mxnetseg.symbols import trace


def training_devices(
    names: Optional[Sequence[str]], norm: str, compute: Any, workers: Workers = ALONE
) -> List[torch.device]:
    """The device that `names` mean, none: the first GPU, else the CPU; of several workers on this machine,
    the one at their place in the list. DeviceError where there are more devices than workers or fewer, and
    for one that cannot do what the `compute` group asks for."""
    device = worker_devices(names, workers.local_world_size)[workers.local_rank]
    check_compute(compute, [device])
    if device.type == "cuda":
        torch.cuda.set_device(device)  # where the collectives of this process compute
    return [device]


# Between the random streams of two workers: more than a run has steps.
_RANK_STRIDE = 15485863


class _Step(NamedTuple):
    losses: Tensor
    gradient_norm: Optional[Tensor]


class TrainingEngine:
    """See `mxnetseg.compute.base.Engine`; arguments as `mxnetseg.compute.create_engine` has them."""

    def __init__(
        self,
        network: Any,
        nclass: int,
        loss: Any,
        optimizer: Any,
        devices: Sequence[torch.device],
        ignore_index: int,
        compute: Any,
        workers: Workers = ALONE,
    ):
        self._workers = workers
        self.devices = list(devices)
        (self._device,) = self.devices
        channels = [output_channels(network, k, kind, nclass) for k, kind in enumerate(network.predicts)]
        terms = plan(loss, network.predicts, nclass, channels)
        groups = parameter_groups(network, optimizer)
        _freeze(network, groups)
        # On the device before anything shares their memory.
        self._parameters = parameters_of(network, self._device)
        if self._device.type == "cpu" or compute.amp != "none":
            _channels_last(self._parameters.values())
        self._scaler = LossScaler() if compute.amp == "fp16" else None
        self._compute = compute
        segmented = compute.activation_checkpointing
        self._module = translate(trace(network, training=True), self._parameters, segmented).train()
        self._deployed = translate(trace(network.deploy()), self._parameters)
        if compute.compile:
            self._module.compile()
        self._criterion = Criterion(self._module, terms, ignore_index, compute.amp, workers)
        self._accumulate = optimizer.accumulate
        self._names = _unique(self._parameters)
        trained = []
        for place, name in enumerate(self._names):
            parameter = self._parameters[name]
            if parameter.requires_grad:
                trained.append((place, name, parameter, groups[name]))
        self._updater = Updater(optimizer, trained)
        named = {name: parameter for _, name, parameter, _ in trained}
        self._average = MovingAverage(named, optimizer.ema) if optimizer.ema else None
        self.trained_parameters = sum(p.numel() for p in self._updater.parameters)
        # What the network moves itself: running statistics, each worker's own.
        self._statistics = {n: p for n, p in self._module.named_buffers() if n in set(self._names)}
        self._buckets = (
            GradientBuckets(self._updater.parameters, workers.gradients) if workers.world_size > 1 else None
        )

    def broadcast(self) -> None:
        if self._workers.world_size > 1:
            self._workers.broadcast([self._parameters[name].data for name in self._names])
            if self._average:
                self._average.restart()

    def step(self, images: np.ndarray, labels: np.ndarray, rate: float, seed: int) -> _Step:
        scale = self._scaler.scale if self._scaler else 1.0
        if self._buckets is None:
            for parameter in self._updater.parameters:
                parameter.grad = None
            losses = self._criterion.backward(images, labels, self._device, self._accumulate, seed, scale)
        else:
            losses = self._backward_together(images, labels, seed, scale)
        if self._scaler and not self._scaler.unscale(self._updater.gradients):
            return _Step(losses, None)
        norm = self._updater.step(rate)
        if self._average:
            self._average.update()
        return _Step(losses, norm)

    def _backward_together(self, images: np.ndarray, labels: np.ndarray, seed: int, scale: float) -> Tensor:
        """Losses and gradients of the global batch, from this worker's rows of it."""
        # Each worker drops other elements.
        seed = (seed + self._workers.rank * _RANK_STRIDE) % (2**31 - 1)
        with self._workers.talking():
            self._buckets.begin()
            losses = self._criterion.backward(
                images, labels, self._device, self._accumulate, seed, scale, self._buckets.last_pass
            )
            self._buckets.finish()
            self._workers.add(losses)
        return losses

    def read(self, handle: _Step) -> StepResult:
        norm = None if handle.gradient_norm is None else float(handle.gradient_norm)
        return StepResult(float(handle.losses.sum()), norm)

    @torch.no_grad()
    def average_statistics(self) -> None:
        if self._workers.world_size > 1:
            for name, values in self._statistics_of_all().items():
                self._statistics[name].copy_(torch.from_numpy(mean_of_copies(values)))

    def network_arrays(self) -> Dict[str, np.ndarray]:
        with self.averaged_weights():
            found = {name: _numpy(value) for name, value in self._parameters.items()}
        if self._workers.world_size > 1:
            found.update({name: mean_of_copies(values) for name, values in self._statistics_of_all().items()})
        return found

    def _statistics_of_all(self) -> Dict[str, np.ndarray]:
        """Running statistics by name, of all workers by rank along the first axis."""
        mine = [_numpy(value) for value in self._statistics.values()]
        return dict(zip(self._statistics, self._workers.gather_all(mine)))

    def averaged_weights(self) -> ContextManager[None]:
        return self._average.in_place() if self._average else contextlib.nullcontext()

    def state_arrays(self) -> Dict[str, np.ndarray]:
        found = {f"net:0:{name}": _numpy(self._parameters[name]) for name in self._names}
        if self._workers.world_size > 1:
            for name, values in self._statistics_of_all().items():
                found.update({f"net:{rank}:{name}": value.copy() for rank, value in enumerate(values)})
        found.update({f"opt:{name}": value for name, value in self._updater.state_arrays().items()})
        if self._scaler:
            found["opt::scaling"] = self._scaler.state()
        if self._average:
            found.update({f"ema:{name}": value for name, value in self._average.state_arrays().items()})
        return found

    @torch.no_grad()
    def load_state_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        for name in self._names:
            value, parameter = arrays.get(f"net:{self._workers.rank}:{name}"), self._parameters[name]
            value = arrays[f"net:0:{name}"] if value is None else value
            if value.shape != tuple(parameter.shape):
                raise ValueError(f"{name} is {value.shape}, the network has {tuple(parameter.shape)}")
            parameter.copy_(torch.from_numpy(np.array(value)))
        self._updater.load_state_arrays(_under("opt:", arrays))
        if self._scaler and "opt::scaling" in arrays:
            self._scaler.load_state(arrays["opt::scaling"])
        if self._average:
            self._average.load_state_arrays(_under("ema:", arrays))

    def inference(self) -> TorchInference:
        return TorchInference([self._deployed], self.devices, compute=self._compute)


def _channels_last(tensors: Iterable[Tensor]) -> None:
    """Kernels with their channels innermost: PyTorch's convolutions then keep maps so, and need no copies."""
    for tensor in tensors:
        if tensor.dim() == 4:
            tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)


def _freeze(network: Any, groups: Mapping[str, ParameterGroup]) -> None:
    """Take what the optimizer leaves alone out of training; frozen norms keep their statistics."""
    named = named_parameters(network)
    frozen = {id(named[name]) for name, group in groups.items() if group.frozen}
    for parameter in named.values():
        if id(parameter) in frozen:
            parameter.grad_req = "null"
    for layer in layers(network.backbone, nn.BatchNorm) if frozen else ():
        if id(layer.gamma) in frozen:
            tune_norm(layer, frozen=True)


def _under(prefix: str, arrays: Mapping[str, np.ndarray]) -> Dict[str, np.ndarray]:
    return {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}


def _unique(parameters: Mapping[str, Tensor]) -> List[str]:
    """The first name of each parameter, in the network's order."""
    seen: set = set()
    return [n for n, p in parameters.items() if not (id(p) in seen or seen.add(id(p)))]


def _numpy(value: Tensor) -> np.ndarray:
    return value.detach().cpu().numpy().copy()

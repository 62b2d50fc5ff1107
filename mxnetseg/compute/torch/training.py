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
from mxnetseg.compute.torch.criterion import Criterion
from mxnetseg.compute.torch.devices import check_compute
from mxnetseg.compute.torch.devices import devices as find_devices
from mxnetseg.compute.torch.inference import TorchInference
from mxnetseg.compute.torch.optimizer import MovingAverage, Updater
from mxnetseg.compute.torch.precision import LossScaler
from mxnetseg.compute.torch.translate import parameters_of, translate
from mxnetseg.compute.workers import ALONE, Workers
from mxnetseg.errors import DeviceError
from mxnetseg.losses.criterion import output_channels
from mxnetseg.losses.plan import plan
from mxnetseg.nn.norm import tune_norm
from mxnetseg.nn.surgery import layers, named_parameters
from mxnetseg.symbols import trace


def training_devices(
    names: Optional[Sequence[str]], norm: str, compute: Any, workers: Workers = ALONE
) -> List[torch.device]:
    """The device that `names` mean; none: the first GPU, else the CPU. DeviceError for more than one, and for
    one that cannot do what the `compute` group asks for."""
    found = find_devices(names)
    found = found if names else found[:1]
    check_compute(compute, found)
    if workers.world_size > 1:
        raise DeviceError("the torch engine trains in one process")
    if len(found) > 1:
        raise DeviceError(
            f"devices {' '.join(map(str, names))}: the torch engine trains on one; name one, or use "
            f"the mxnet engine"
        )
    return found


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
        self._module = translate(trace(network), self._parameters, segmented).train()
        self._deployed = translate(trace(network.deploy()), self._parameters)
        if compute.compile:
            self._module.compile()
        self._criterion = Criterion(self._module, terms, ignore_index, compute.amp)
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

    def broadcast(self) -> None:
        """There is one worker."""

    def step(self, images: np.ndarray, labels: np.ndarray, rate: float, seed: int) -> _Step:
        for parameter in self._updater.parameters:
            parameter.grad = None
        scale = self._scaler.scale if self._scaler else 1.0
        losses = self._criterion.backward(images, labels, self._device, self._accumulate, seed, scale)
        if self._scaler and not self._scaler.unscale(self._updater.gradients):
            return _Step(losses, None)
        norm = self._updater.step(rate)
        if self._average:
            self._average.update()
        return _Step(losses, norm)

    def read(self, handle: _Step) -> StepResult:
        norm = None if handle.gradient_norm is None else float(handle.gradient_norm)
        return StepResult(float(handle.losses.sum()), norm)

    def average_statistics(self) -> None:
        """One device has one set of them."""

    def network_arrays(self) -> Dict[str, np.ndarray]:
        with self.averaged_weights():
            return {name: _numpy(value) for name, value in self._parameters.items()}

    def averaged_weights(self) -> ContextManager[None]:
        return self._average.in_place() if self._average else contextlib.nullcontext()

    def state_arrays(self) -> Dict[str, np.ndarray]:
        found = {f"net:0:{name}": _numpy(self._parameters[name]) for name in self._names}
        found.update({f"opt:{name}": value for name, value in self._updater.state_arrays().items()})
        if self._scaler:
            found["opt::scaling"] = self._scaler.state()
        if self._average:
            found.update({f"ema:{name}": value for name, value in self._average.state_arrays().items()})
        return found

    @torch.no_grad()
    def load_state_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        for name in self._names:
            value, parameter = arrays[f"net:0:{name}"], self._parameters[name]
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

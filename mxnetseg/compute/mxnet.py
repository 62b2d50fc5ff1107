"""The MXNet engine: Gluon's network on one or more contexts, one graph over network and loss.

A batch is split over contexts, and over `optimizer.accumulate` parts where memory is short; its loss is that
of the whole batch all the same (`mxnetseg.losses.criterion`).
"""

from __future__ import annotations

import contextlib
from typing import Any, ContextManager, Dict, List, Mapping, NamedTuple, Optional, Sequence

import mxnet as mx
import numpy as np
from mxnet.gluon import HybridBlock

from mxnetseg.compute.base import StepResult
from mxnetseg.compute.devices import contexts
from mxnetseg.compute.mxnet_average import MovingAverage
from mxnetseg.compute.mxnet_inference import MxnetInference
from mxnetseg.compute.mxnet_optimizer import Updater
from mxnetseg.compute.workers import ALONE, Workers
from mxnetseg.errors import ConfigError
from mxnetseg.losses.criterion import Criterion, Reported
from mxnetseg.weights.checkpoint import joined, network_arrays


def training_devices(
    names: Optional[Sequence[str]], norm: str, compute: Any, workers: Workers = ALONE
) -> List[mx.Context]:
    """The contexts that `names` mean; the first alone where `norm` is syncbn and all are of the CPU.

    Synchronized norm makes several contexts compute what one computes with the whole batch, and CPU
    contexts share their cores: one is the same, and faster. MXNet's layer also waits for its twin inside
    a worker of the engine, which on whole networks never ends. ConfigError for a `compute` group that asks
    for what this engine has not.
    """
    if workers.world_size > 1:
        raise ConfigError("the mxnet engine trains in one process: use engine torch")
    if compute.asked():
        raise ConfigError(f"the mxnet engine has no {compute.asked()[0]}: use engine torch")
    found = contexts(names)
    if norm == "syncbn" and all(context.device_type == "cpu" for context in found):
        return found[:1]
    return found


class _Step(NamedTuple):
    """Arrays on the devices that a step leaves behind."""

    losses: List[Reported]
    gradient_norm: Optional[mx.nd.NDArray]


class TrainingEngine:
    """See `mxnetseg.compute.base.Engine`; arguments as `mxnetseg.compute.create_engine` has them."""

    def __init__(
        self,
        network: HybridBlock,
        nclass: int,
        loss: Any,
        optimizer: Any,
        devices: Sequence[mx.Context],
        ignore_index: int,
        compute: Any,
        workers: Workers = ALONE,
    ):
        self.devices = list(devices)
        self._network = network
        self._accumulate = optimizer.accumulate
        network.collect_params().reset_ctx(self.devices)
        self._updater = Updater(network, optimizer, self.devices)
        if self._accumulate > 1:
            for parameter in network.collect_params().values():
                if parameter.grad_req == "write":
                    parameter.grad_req = "add"
        self._criterion = Criterion(network, loss, nclass, ignore_index)
        self._criterion.graph.hybridize(static_alloc=True, static_shape=True)
        trained = {
            name: p for name, p in zip(self._updater.names, self._updater.parameters) if p.grad_req != "null"
        }
        self._average = MovingAverage(trained, optimizer.ema) if optimizer.ema else None
        self.trained_parameters = sum(int(np.prod(p.shape)) for p in self._updater.trained.values())

    def broadcast(self) -> None:
        """There is one worker."""

    def step(self, images: np.ndarray, labels: np.ndarray, rate: float, seed: int) -> _Step:
        if self._accumulate > 1:
            for parameter in self._updater.trained.values():
                parameter.zero_grad()
        losses = self._criterion.backward(images, labels, self.devices, self._accumulate, seed)
        norm = self._updater.step(rate)
        if self._average:
            self._average.update()
        return _Step(losses, norm)

    def read(self, handle: _Step) -> StepResult:
        loss = sum(self._criterion.read(handle.losses).values())
        norm = handle.gradient_norm
        return StepResult(loss, None if norm is None else float(norm.asscalar()))

    def average_statistics(self) -> None:
        _finish_backward()
        if len(self.devices) > 1:
            for parameter in self._updater.parameters:
                if parameter.grad_req == "null":
                    parameter.set_data(mx.nd.array(joined(parameter)))

    def network_arrays(self) -> Dict[str, np.ndarray]:
        _finish_backward()
        with self.averaged_weights():
            return network_arrays(self._network)

    def averaged_weights(self) -> ContextManager[None]:
        return self._average.in_place() if self._average else contextlib.nullcontext()

    def state_arrays(self) -> Dict[str, np.ndarray]:
        _finish_backward()
        arrays = {}
        for name, parameter in zip(self._updater.names, self._updater.parameters):
            copies = parameter.list_data()
            # Trained parameters are equal everywhere; running statistics are each device's own.
            for k, copy in enumerate(copies if parameter.grad_req == "null" else copies[:1]):
                arrays[f"net:{k}:{name}"] = copy.asnumpy()
        arrays.update({f"opt:{name}": array for name, array in self._updater.state_arrays().items()})
        if self._average:
            arrays.update({f"ema:{name}": array for name, array in self._average.state_arrays().items()})
        return arrays

    def load_state_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        _finish_backward()
        for name, parameter in zip(self._updater.names, self._updater.parameters):
            for k, copy in enumerate(parameter.list_data()):
                value = arrays.get(f"net:{k}:{name}")
                value = arrays[f"net:0:{name}"] if value is None else value
                if value.shape != copy.shape:
                    raise ValueError(f"{name} is {value.shape}, the network has {copy.shape}")
                copy[:] = value
        self._updater.load_state_arrays(_under("opt:", arrays))
        if self._average:
            self._average.load_state_arrays(_under("ema:", arrays))

    def inference(self) -> MxnetInference:
        return MxnetInference(self._network, self.devices)


def _under(prefix: str, arrays: Mapping[str, np.ndarray]) -> Dict[str, np.ndarray]:
    return {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}


def _finish_backward() -> None:
    """Wait for everything that is queued.

    The backward pass of batch norm updates the running statistics without MXNet 1.9.1's scheduler knowing of
    it: over several contexts, what reads or sets them in the meantime sees some updates and loses others.
    """
    mx.nd.waitall()

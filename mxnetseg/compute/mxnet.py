"""The MXNet engine: Gluon's network on one or more contexts, one graph over network and loss.

A batch is split over workers (`mxnetseg.compute.mxnet_workers`) and contexts, and over `optimizer.accumulate`
parts where memory is short; its loss is that of the whole batch all the same (`mxnetseg.losses.criterion`).
"""

from __future__ import annotations

import contextlib
from typing import Any, ContextManager, Dict, List, Mapping, NamedTuple, Optional, Sequence

import mxnet as mx
import numpy as np
from mxnet.gluon import HybridBlock, Parameter

from mxnetseg.compute.base import StepResult
from mxnetseg.compute.devices import contexts
from mxnetseg.compute.mxnet_average import MovingAverage
from mxnetseg.compute.mxnet_inference import MxnetInference
from mxnetseg.compute.mxnet_optimizer import Updater
from mxnetseg.compute.workers import ALONE, Workers, mean_of_copies
from mxnetseg.errors import ConfigError, DeviceError
from mxnetseg.losses.criterion import Criterion, Reported
from mxnetseg.nn.surgery import named_parameters


def training_devices(
    names: Optional[Sequence[str]], norm: str, compute: Any, workers: Workers = ALONE
) -> List[mx.Context]:
    """The contexts that `names` mean; the first alone where `norm` is syncbn and all are of the CPU.

    Synchronized norm makes several contexts compute what one computes with the whole batch, and CPU
    contexts share their cores: one is the same, and faster. MXNet's layer also waits for its twin inside
    a worker of the engine, which on whole networks never ends. Several workers on a machine share its GPUs
    out. ConfigError for a `compute` group that asks for what this engine has not, and for synchronized norm
    over several workers.
    """
    if compute.asked():
        raise ConfigError(f"the mxnet engine has no {compute.asked()[0]}: use engine torch")
    if norm == "syncbn" and workers.world_size > 1:
        raise ConfigError(
            "MXNet synchronizes norm over the devices of one process only: set model.norm to bn (each device "
            "by itself) or gn, or use engine torch under torchrun"
        )
    found = contexts(names)
    if workers.local_world_size > 1 and found[0].device_type == "gpu":
        if len(found) % workers.local_world_size:
            raise DeviceError(
                f"{len(found)} GPUs cannot be shared out among the {workers.local_world_size} workers of a "
                f"machine: start as many workers as divide them"
            )
        share = len(found) // workers.local_world_size
        return found[workers.local_rank * share :][:share]
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
        self._workers = workers
        self._network = network
        self._accumulate = optimizer.accumulate
        network.collect_params().reset_ctx(self.devices)
        self._updater = Updater(network, optimizer, self.devices, workers)
        if self._accumulate > 1:
            for parameter in network.collect_params().values():
                if parameter.grad_req == "write":
                    parameter.grad_req = "add"
        self._criterion = Criterion(network, loss, nclass, ignore_index, workers)
        self._criterion.graph.hybridize(static_alloc=True, static_shape=True)
        trained = {
            name: p for name, p in zip(self._updater.names, self._updater.parameters) if p.grad_req != "null"
        }
        self._average = MovingAverage(trained, optimizer.ema) if optimizer.ema else None
        self.trained_parameters = sum(int(np.prod(p.shape)) for p in self._updater.trained.values())

    def broadcast(self) -> None:
        if self._workers.world_size > 1:
            for name, parameter in zip(self._updater.names, self._updater.parameters):
                self._workers.broadcast(f"value of {name}", parameter.list_data())
        if self._average:
            self._average.restart()

    def step(self, images: np.ndarray, labels: np.ndarray, rate: float, seed: int) -> _Step:
        if self._accumulate > 1:
            for parameter in self._updater.trained.values():
                parameter.zero_grad()
        losses = self._criterion.backward(images, labels, self.devices, self._accumulate, seed)
        if self._workers.world_size > 1:
            losses = [self._criterion.together(losses)]
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
        if len(self.devices) * self._workers.world_size > 1:
            for parameter, copies in self._statistics().items():
                parameter.set_data(mx.nd.array(mean_of_copies(copies)))

    def network_arrays(self) -> Dict[str, np.ndarray]:
        _finish_backward()
        means = {parameter: mean_of_copies(copies) for parameter, copies in self._statistics().items()}
        with self.averaged_weights():
            return {
                name: means[parameter] if parameter in means else parameter.list_data()[0].asnumpy()
                for name, parameter in named_parameters(self._network).items()
            }

    def _statistics(self) -> Dict[Parameter, np.ndarray]:
        """`(devices, *shape)` of all that is not trained; of running statistics, devices of all workers."""
        held = [p for p in self._updater.parameters if p.grad_req == "null"]
        found = {p: np.stack([copy.asnumpy() for copy in p.list_data()]) for p in held}
        running = [p for p in held if not p._differentiable]
        if self._workers.world_size > 1:
            for p, copies in zip(running, self._workers.gather_all([found[p] for p in running])):
                found[p] = copies.reshape(-1, *p.shape)
        return found

    def averaged_weights(self) -> ContextManager[None]:
        return self._average.in_place() if self._average else contextlib.nullcontext()

    def state_arrays(self) -> Dict[str, np.ndarray]:
        _finish_backward()
        arrays = {}
        statistics = self._statistics()
        for name, parameter in zip(self._updater.names, self._updater.parameters):
            # Trained parameters are equal everywhere; running statistics are each device's own.
            copies = statistics.get(parameter)
            for k, copy in enumerate([parameter.list_data()[0].asnumpy()] if copies is None else copies):
                arrays[f"net:{k}:{name}"] = copy
        arrays.update({f"opt:{name}": array for name, array in self._updater.state_arrays().items()})
        if self._average:
            arrays.update({f"ema:{name}": array for name, array in self._average.state_arrays().items()})
        return arrays

    def load_state_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        _finish_backward()
        first = self._workers.rank * len(self.devices)
        for name, parameter in zip(self._updater.names, self._updater.parameters):
            for k, copy in enumerate(parameter.list_data(), first):
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

"""Prediction by MXNet: the first engine behind `mxnetseg.compute.inference`."""

from __future__ import annotations

import threading
from typing import Any, Optional, Sequence, Tuple

import mxnet as mx
import numpy as np

from mxnetseg.complexity import complexity
from mxnetseg.compute.devices import contexts as find_contexts
from mxnetseg.compute.inference import Cost, DeviceScores, Inference
from mxnetseg.nn.resize import resize_to
from mxnetseg.weights.checkpoint import load_network


class MxnetInference(Inference):
    """A `Segmentor` on MXNet contexts.

    Parameters
    ----------
    net : Segmentor
        Its auxiliary heads are left out. Its parameters are moved where they are not there yet.
    contexts : sequence of mx.Context, optional
        Default the CPU.
    static_shape : bool
        Plan memory for one input size only, which is a little faster.
    """

    def __init__(self, net, contexts: Optional[Sequence[mx.Context]] = None, static_shape: bool = False):
        self.engine = f"MXNet {mx.__version__}"
        self.contexts = list(contexts) if contexts else [mx.cpu()]
        self.devices = [str(context) for context in self.contexts]
        parameters = net.collect_params()
        have = next((set(parameter.list_ctx()) for parameter in parameters.values()), set())
        if not set(self.contexts) <= have:
            parameters.reset_ctx(self.contexts)
        self._whole = net
        self._net = net.deploy()
        self._net.hybridize(static_alloc=True, static_shape=static_shape)
        # Gluon builds and calls cached graphs with state that threads share; the call only queues work.
        self._lock = threading.Lock()

    def put(self, images: np.ndarray, device: int = 0) -> mx.nd.NDArray:
        return mx.nd.array(images, ctx=self.contexts[device], dtype="float32")

    def forward(self, batch: mx.nd.NDArray) -> MxnetScores:
        with self._lock, mx.autograd.pause():
            return MxnetScores(self._net(batch)[0])

    def reduces_on_device(self, device: int = 0) -> bool:
        return self.contexts[device].device_type == "gpu"

    def cost(self, size: Tuple[int, int], in_channels: int = 3) -> Cost:
        counts = complexity(self._whole, size, in_channels)
        return Cost(counts.parameters, counts.total)


class MxnetScores(DeviceScores):
    """Scores in an NDArray (N, nclass, H, W)."""

    def __init__(self, array: mx.nd.NDArray):
        self._array = array

    @property
    def nclass(self) -> int:
        return self._array.shape[1]

    def read(self) -> np.ndarray:
        return self._array.asnumpy()

    def wait(self) -> None:
        self._array.wait_to_read()

    def cut(self, height: int, width: int) -> MxnetScores:
        return MxnetScores(self._array[:, :, :height, :width])

    def mirrored(self) -> MxnetScores:
        return MxnetScores(mx.nd.flip(self._array, axis=3))

    def probabilities(self) -> MxnetScores:
        if self.nclass == 1:
            return MxnetScores(mx.nd.sigmoid(self._array))
        return MxnetScores(mx.nd.softmax(self._array, axis=1))

    def resized(self, height: int, width: int, align_corners: bool) -> MxnetScores:
        return MxnetScores(resize_to(mx.nd, self._array, (height, width), align_corners))

    def plus(self, other: MxnetScores) -> MxnetScores:
        self._array += other._array
        return self

    def labels(self, limit: float) -> np.ndarray:
        if self.nclass == 1:
            return (self._array[:, 0] > limit).astype("uint8").asnumpy()
        kind = "uint8" if self.nclass <= 256 else "int32"
        return mx.nd.argmax(self._array, axis=1).astype(kind).asnumpy()


def open_network(
    checkpoint: Any, recipe: Any, nclass: Optional[int] = None, devices: Optional[Sequence[str]] = None
) -> MxnetInference:
    """The network of a `.params` file or run folder; see `mxnetseg.compute.inference.open_network`."""
    chosen = find_contexts(devices)
    net, _ = load_network(checkpoint, recipe, nclass)
    return MxnetInference(net, chosen)

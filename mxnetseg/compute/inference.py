"""The interface of prediction: the class scores of a batch of views, by any engine.

Prediction (`mxnetseg.predict`) hands over NumPy arrays and gets a handle on the scores. An engine that only
knows `read` is complete; one on an accelerator also has the operations of `DeviceScores`, so that whole maps
never leave it. A new engine is a module with a class of `Inference` and a function that opens one, and a line
in `ENGINES`; nothing in `mxnetseg.predict` changes. Nothing here imports a framework.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from importlib import import_module
from typing import Any, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from mxnetseg.errors import ConfigError, nearest

# Name of an engine -> module with `open_network(checkpoint, recipe, nclass, devices) -> Inference`, or
# module:function where a module has several.
ENGINES = {
    "mxnet": "mxnetseg.compute.mxnet_inference",
    "torch": "mxnetseg.compute.torch.inference",
    "onnxruntime": "mxnetseg.compute.onnx_inference:open_onnxruntime",
    "openvino": "mxnetseg.compute.onnx_inference:open_openvino",
}


class Cost(NamedTuple):
    """Size of a network: parameters, and multiply-adds for one picture."""

    parameters: int
    multiply_adds: int


class Scores(ABC):
    """Logits of a batch of views, possibly still being computed."""

    @property
    @abstractmethod
    def nclass(self) -> int:
        """Number of logits per pixel."""

    @abstractmethod
    def read(self) -> np.ndarray:
        """The logits, float32 (N, nclass, H, W), for the caller to change; waits until they are there."""

    @abstractmethod
    def wait(self) -> None:
        """Return when they are computed."""


class DeviceScores(Scores):
    """Scores that can be worked on where they are. Each operation gives new scores; none waits."""

    @abstractmethod
    def cut(self, height: int, width: int) -> DeviceScores:
        """The top left part of every map."""

    @abstractmethod
    def mirrored(self) -> DeviceScores:
        """Left and right exchanged."""

    @abstractmethod
    def probabilities(self) -> DeviceScores:
        """Softmax over classes; the sigmoid where there is one logit."""

    @abstractmethod
    def resized(self, height: int, width: int, align_corners: bool) -> DeviceScores:
        """Bilinear, of pixel areas (half-pixel centres) or of pixel centres (`align_corners`)."""

    @abstractmethod
    def plus(self, other: DeviceScores) -> DeviceScores:
        """Sum; `self` may be changed."""

    @abstractmethod
    def labels(self, limit: float) -> np.ndarray:
        """Index of the largest score per pixel, integers (N, H, W), the first where equal.

        With one score: whether it is above `limit`.
        """


class Inference(ABC):
    """A network without auxiliary heads, on one or more devices. Safe to call from several threads."""

    # What messages and speed reports call it, such as `MXNet 1.9.1`.
    engine: str = ""
    # Their names, such as `cpu(0)`; devices are given to the methods by their index here.
    devices: Sequence[str] = ("cpu(0)",)

    @abstractmethod
    def put(self, images: np.ndarray, device: int = 0) -> Any:
        """A batch float32 (N, C, H, W), normalized, made ready on a device."""

    @abstractmethod
    def forward(self, batch: Any) -> Scores:
        """Main logits at the size of the input, of what `put` returned."""

    def scores(self, images: np.ndarray, device: int = 0) -> Scores:
        """Main logits of a batch float32 (N, C, H, W), normalized, at its size; need not wait for them."""
        return self.forward(self.put(images, device))

    def reduces_on_device(self, device: int = 0) -> bool:
        """Whether `scores` there gives `DeviceScores` that are reduced faster than they are read."""
        return False

    def cost(self, size: Tuple[int, int], in_channels: int = 3) -> Optional[Cost]:
        """Parameters and multiply-adds for one picture (H, W); None where the engine cannot tell."""
        return None


def open_network(
    checkpoint,
    recipe,
    nclass: Optional[int] = None,
    devices: Optional[Sequence[str]] = None,
    engine: str = "mxnet",
) -> Inference:
    """The network of a checkpoint, ready to predict.

    checkpoint : a weights file or the folder of a run
    recipe : what it is (`model` group), and what the torch engine computes in (`compute` group)
    nclass : its classes where the recipe does not say
    devices : names as `--ctx` takes them; None: every GPU there is, else the CPU
    engine : one of `ENGINES`

    Raises ConfigError for an unknown engine, EngineError for one that is not installed, CheckpointError and
    DeviceError.
    """
    return _opener(engine)(checkpoint, recipe, nclass, devices)


def _opener(name: str) -> Any:
    if name not in ENGINES:
        close = nearest(name, ENGINES) or list(ENGINES)
        raise ConfigError(f"engine {name!r} is not one of {', '.join(ENGINES)}; nearest: {', '.join(close)}")
    if name == "torch":
        from mxnetseg.compute.torch import require_torch

        require_torch()
    module, _, function = ENGINES[name].partition(":")
    return getattr(import_module(module), function or "open_network")

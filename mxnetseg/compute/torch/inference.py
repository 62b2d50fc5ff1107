"""Prediction by PyTorch: see `mxnetseg.compute.inference`."""

from __future__ import annotations

from typing import Any, Dict, Optional, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mxnetseg.compute.inference import Cost, DeviceScores, Inference
from mxnetseg.compute.torch.devices import check_compute, upload
from mxnetseg.compute.torch.devices import devices as find_devices
from mxnetseg.compute.torch.graphs import CudaGraphs
from mxnetseg.compute.torch.precision import autocast
from mxnetseg.recipe.fields import ComputeGroup


class TorchInference(Inference):
    """A translated network without auxiliary heads.

    modules  one for each of `devices`, on it; of a device named twice the same.
    cost     a function of (size, in_channels) that counts, or None.
    compute  the recipe's `compute` group: what the networks compute in (scores are float32), whether they are
             compiled, whether GPUs replay a recording.
    """

    def __init__(
        self,
        modules: Sequence[nn.Module],
        devices: Sequence[torch.device],
        cost: Any = None,
        compute: Optional[ComputeGroup] = None,
    ):
        compute = compute or ComputeGroup()
        self._amp = compute.amp
        self.engine = f"PyTorch {torch.__version__}"
        self.devices = [str(device) for device in devices]
        self._devices = list(devices)
        self._modules = [module.eval() for module in modules]
        if compute.compile:
            for module in set(self._modules):
                module.compile()
        self._run = [CudaGraphs(self._logits) if compute.cuda_graphs else self._logits for _ in modules]
        self._cost = cost

    def put(self, images: np.ndarray, device: int = 0) -> Tensor:
        batch = upload(images, self._devices[device])
        return batch.contiguous(memory_format=torch.channels_last)

    def forward(self, batch: Tensor) -> TorchScores:
        with torch.inference_mode():
            return TorchScores(self._run[self._devices.index(batch.device)](batch))

    def _logits(self, batch: Tensor) -> Tensor:
        with autocast(self._amp, batch.device):
            return self._modules[self._devices.index(batch.device)](batch)[0].float()

    def reduces_on_device(self, device: int = 0) -> bool:
        return self._devices[device].type == "cuda"

    def cost(self, size, in_channels: int = 3) -> Optional[Cost]:
        return None if self._cost is None else self._cost(size, in_channels)


class TorchScores(DeviceScores):
    """Scores in a tensor (N, nclass, H, W)."""

    def __init__(self, tensor: Tensor):
        self._tensor = tensor

    @property
    def nclass(self) -> int:
        return self._tensor.shape[1]

    def read(self) -> np.ndarray:
        found = self._tensor.contiguous().cpu().numpy()
        return found if found.flags.writeable else found.copy()

    def wait(self) -> None:
        if self._tensor.is_cuda:
            torch.cuda.synchronize(self._tensor.device)

    def cut(self, height: int, width: int) -> TorchScores:
        return TorchScores(self._tensor[:, :, :height, :width])

    def mirrored(self) -> TorchScores:
        return TorchScores(self._tensor.flip(3))

    def probabilities(self) -> TorchScores:
        x = self._tensor
        return TorchScores(x.sigmoid() if self.nclass == 1 else x.softmax(1))

    def resized(self, height: int, width: int, align_corners: bool) -> TorchScores:
        size = (height, width)
        return TorchScores(F.interpolate(self._tensor, size, mode="bilinear", align_corners=align_corners))

    def plus(self, other: TorchScores) -> TorchScores:
        return TorchScores(self._tensor + other._tensor)

    def labels(self, limit: float) -> np.ndarray:
        if self.nclass == 1:
            return (self._tensor[:, 0] > limit).to(torch.uint8).cpu().numpy()
        kind = torch.uint8 if self.nclass <= 256 else torch.int32
        return self._tensor.argmax(1).to(kind).cpu().numpy()


def open_network(
    checkpoint: Any, recipe: Any, nclass: Optional[int] = None, devices: Optional[Sequence[str]] = None
) -> TorchInference:
    """The network of a `.params` file or run folder; see `mxnetseg.compute.inference.open_network`."""
    from mxnetseg.complexity import complexity
    from mxnetseg.compute.torch.translate import to_torch
    from mxnetseg.weights.checkpoint import load_network

    chosen = find_devices(devices)
    check_compute(recipe.compute, chosen)
    net, _ = load_network(checkpoint, recipe, nclass)

    def cost(size, in_channels) -> Cost:
        counts = complexity(net, size, in_channels)
        return Cost(counts.parameters, counts.total)

    deployed = net.deploy()
    modules: Dict[torch.device, nn.Module] = {
        device: to_torch(deployed, folded=True).to(device, memory_format=torch.channels_last)
        for device in set(chosen)
    }
    return TorchInference([modules[device] for device in chosen], chosen, cost, recipe.compute)

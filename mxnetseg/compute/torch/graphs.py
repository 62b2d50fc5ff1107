"""CUDA graphs of predictions: the launches of one forward pass, recorded once for each shape of its input."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any, Callable, Tuple

import torch
from torch import Tensor

# Recordings kept on a device, each with its own activations: the scales of a multi-scale evaluation.
_KEPT = 8
# Passes before the recording: libraries choose their kernels and make their workspaces then.
_WARM_UP = 3
# CUDA records once at a time in a process, whatever the device.
_RECORDING = threading.Lock()


class CudaGraphs:
    """`run` on one GPU, replayed where a batch has a shape that was seen before.

    run  a function of a batch (N, C, H, W) that gives a tensor and waits for nothing. Parameters are read
         where they are at each replay.
    """

    def __init__(self, run: Callable[[Tensor], Tensor]):
        self._run = run
        self._recorded: OrderedDict = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, batch: Tensor) -> Tensor:
        """What `run` gives, in memory of its own."""
        with self._lock, torch.cuda.device(batch.device):
            key = tuple(batch.shape)
            if key not in self._recorded:
                self._recorded[key] = self._record(batch)
                if len(self._recorded) > _KEPT:
                    self._recorded.popitem(last=False)
            self._recorded.move_to_end(key)
            graph, given, result = self._recorded[key]
            given.copy_(batch)
            graph.replay()
            return result.clone()

    def _record(self, batch: Tensor) -> Tuple[Any, Tensor, Tensor]:
        given = batch.clone()
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(_WARM_UP):
                self._run(given)
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        # The stream that PyTorch takes by itself is one for the process, of the GPU that recorded first:
        # what another computes would not be in its recording. Other threads go on meanwhile: they upload
        # pictures, and other GPUs compute.
        with _RECORDING, torch.cuda.graph(graph, stream=aside, capture_error_mode="thread_local"):
            result = self._run(given)
        return graph, given, result

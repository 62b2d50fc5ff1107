"""What an engine is: the part of a training run that touches tensors. NumPy goes in and NumPy comes out.

The names of arrays are part of the interface, so that a run saved by one engine continues under another:
parameters and running statistics by structural name, as `net.save_parameters` writes them.
"""

from __future__ import annotations

from typing import Any, ContextManager, Dict, Mapping, NamedTuple, Optional, Protocol, Sequence

import numpy as np

from mxnetseg.compute.inference import Inference


class StepResult(NamedTuple):
    """What one optimizer step reports: the weighted loss of the batch, and the global norm of its gradient
    before clipping (None where nothing is clipped)."""

    loss: float
    gradient_norm: Optional[float]


class Engine(Protocol):
    """Parameters, optimizer and devices of one run.

    Where several workers train it (`mxnetseg.compute.workers`), each has an engine of its own, with its own
    devices. `broadcast`, `step`, `read`, `average_statistics`, `network_arrays` and `state_arrays` are
    collective then, and what they return is that of the whole job on every worker.
    """

    devices: Sequence[Any]  # what it computes on; `str` of each is what people read
    trained_parameters: int  # numbers that the optimizer moves

    def broadcast(self) -> None:
        """Every worker takes the parameters and the running statistics of rank 0."""

    def step(self, images: np.ndarray, labels: np.ndarray, rate: float, seed: int) -> Any:
        """One optimizer step on one global batch; returns a handle for `read`.

        images  float32 (N, C, H, W), normalized; N divides over devices and accumulated parts. Of several
                workers each gives its rows of the batch (`rows_of_batch`).
        labels  int32 (N, H, W) of train ids.
        rate    learning rate of this step.
        seed    of everything random in the step (dropout, drop path), 0 <= seed < 2 ** 31 - 1: a step is a
                function of the engine's state and its arguments.

        Only queues work where the engine can: reading the arrays is over when it returns, computing is not.
        """

    def read(self, handle: Any) -> StepResult:
        """Wait for a step and return what it reports; each handle is read once, in order."""

    def average_statistics(self) -> None:
        """Give every device the mean over the devices of each running statistic."""

    def network_arrays(self) -> Dict[str, np.ndarray]:
        """The network as it is saved for evaluation: one array for each name, statistics averaged over the
        devices, parameters over the steps where `optimizer.ema` asks for it."""

    def averaged_weights(self) -> ContextManager[None]:
        """Inside, `inference` sees the parameters that `network_arrays` gives. No steps inside."""

    def state_arrays(self) -> Dict[str, np.ndarray]:
        """Everything but its arguments that `step` depends on: `net:<device>:<name>` for parameters (of
        device 0 alone where all are equal) and running statistics (of each device, counted through all
        workers by rank), `opt:<name>:<k>` for the
        optimizer's k-th moment, `ema:<name>` for moving averages, `ema:` for their number of steps, and what
        else the engine needs under `opt:`."""

    def load_state_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Put back what `state_arrays` gave; statistics of device 0 serve devices that it does not have.

        Raises KeyError or ValueError for arrays of another network or optimizer; parameters may then hold
        anything.
        """

    def inference(self) -> Inference:
        """What a `Predictor` computes with: the same parameters, seen as they are at every later moment."""

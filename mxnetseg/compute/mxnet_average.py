"""A moving average of the trained parameters, beside them."""

from __future__ import annotations

import contextlib
from typing import Dict, Iterator, Mapping, Sequence

import mxnet as mx
import numpy as np
from mxnet.gluon import Parameter


class MovingAverage:
    """a = s a + (1 - s) w after step t, with s = min(decay, (1 + t) / (10 + t)).

    The second term lets the average follow a network that was just drawn: a run of a few thousand steps would
    otherwise still show it. Running statistics are not averaged.

    parameters  {name: trained parameter}, on its contexts; the average is kept on the first.
    """

    def __init__(self, parameters: Mapping[str, Parameter], decay: float):
        self.parameters = dict(parameters)
        self.decay = decay
        self.restart()

    def restart(self) -> None:
        """Begin with the parameters as they are."""
        self.steps = 0
        self.averages = {name: p.list_data()[0].copy() for name, p in self.parameters.items()}

    def update(self) -> None:
        """Take in the parameters as they are after one more step; does not wait for them."""
        self.steps += 1
        share = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for name, average in self.averages.items():
            average[:] = share * average + (1 - share) * self.parameters[name].list_data()[0]

    def arrays(self) -> Dict[str, np.ndarray]:
        """The average of each parameter by name."""
        return {name: average.asnumpy() for name, average in self.averages.items()}

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Inside, the parameters hold their averages, on every context."""
        before: Dict[str, Sequence[mx.nd.NDArray]] = {
            name: [copy.copy() for copy in p.list_data()] for name, p in self.parameters.items()
        }
        try:
            for name, parameter in self.parameters.items():
                for copy in parameter.list_data():
                    self.averages[name].copyto(copy)
            yield
        finally:
            for name, parameter in self.parameters.items():
                for copy, value in zip(parameter.list_data(), before[name]):
                    value.copyto(copy)

    def state_arrays(self) -> Dict[str, np.ndarray]:
        """The averages, and under the empty name how many steps they have seen."""
        return {"": np.array(self.steps, np.int64), **self.arrays()}

    def load_state_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Put back what `state_arrays` gave; KeyError or ValueError where it is of another network."""
        if "" not in arrays:
            raise KeyError("no moving average, which optimizer.ema asks for")
        self.steps = int(arrays[""])
        for name, average in self.averages.items():
            if arrays[name].shape != average.shape:
                raise ValueError(f"{name}: {arrays[name].shape} in place of {average.shape}")
            average[:] = arrays[name]

"""Which samples an epoch visits, in which order.

A sampler is called as `sampler(epoch, seed)` and returns a list of `(index, hint)`: the sample, and what
the transform should know about it (None, or the pixel (y, x) of the sample that the crop must contain). It is
a function of its arguments alone, so that a resumed run visits what the interrupted one would have.
"""

from __future__ import annotations

from typing import Any, List, Tuple

import numpy as np

# Keeps the stream that orders an epoch apart from those that augment its samples.
_ORDER_STREAM = 0x0DE12

Visit = Tuple[int, Any]


class ShuffledSampler:
    """Every sample once per epoch, in a random order drawn from (seed, epoch)."""

    def __init__(self, length: int):
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __call__(self, epoch: int, seed: int) -> List[Visit]:
        order = order_generator(seed, epoch).permutation(self.length)
        return [(int(index), None) for index in order]


class SequentialSampler:
    """Every sample once per epoch, in the data set's order."""

    def __init__(self, length: int):
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __call__(self, epoch: int, seed: int) -> List[Visit]:
        return [(index, None) for index in range(self.length)]


def default_sampler(dataset: Any) -> Any:
    """What a loader uses when it is given no sampler: the data set's own if it has one, else shuffled."""
    own = getattr(dataset, "default_sampler", None)
    return own() if own is not None else ShuffledSampler(len(dataset))


def order_generator(seed: int, epoch: int) -> np.random.Generator:
    """The random stream that orders an epoch."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, _ORDER_STREAM, epoch])))

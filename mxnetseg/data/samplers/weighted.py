"""Samplers that do more than shuffle: streams of shards, and weighted concatenation."""

from __future__ import annotations

from typing import List, Optional, Sequence, Tuple

import numpy as np

from mxnetseg.data.samplers.base import Visit, order_generator
from mxnetseg.errors import ConfigError


class StreamSampler:
    """Every sample once per epoch, shards in random order, each from front to back through a window.

    bounds  (first, last + 1) of the samples of each shard.
    window  samples among which the next one is drawn: 1 reads strictly in order, more mixes better. Memory is
            not needed for it: what is shuffled are numbers, and disks read ahead.
    """

    def __init__(self, bounds: Sequence[Tuple[int, int]], window: int = 256):
        if window < 1:
            raise ConfigError(f"window {window} of a stream must be at least 1")
        self.bounds = list(bounds)
        self.window = window

    def __len__(self) -> int:
        return sum(stop - start for start, stop in self.bounds)

    def __call__(self, epoch: int, seed: int) -> List[Visit]:
        rng = order_generator(seed, epoch)
        order: List[Visit] = []
        waiting: List[int] = []
        for shard in rng.permutation(len(self.bounds)):
            for index in range(*self.bounds[shard]):
                if len(waiting) < self.window:
                    waiting.append(index)
                    continue
                place = int(rng.integers(self.window))
                order.append((waiting[place], None))
                waiting[place] = index
        order += [(waiting[place], None) for place in rng.permutation(len(waiting))]
        return order


class WeightedSampler:
    """Shares of an epoch for the parts of a concatenation, whatever their sizes.

    lengths  samples of each part, which lie one after the other.
    weights  part i gets weights[i] / sum(weights) of the visits; its samples are visited in random order, all
             once before any twice. None: by size, each sample once.

    An epoch has as many visits as there are samples.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        weights: Optional[Sequence[float]] = None,
    ):
        self.lengths = [int(n) for n in lengths]
        self.total = sum(self.lengths)
        shares = np.asarray(self.lengths if weights is None else weights, float)
        if len(shares) != len(self.lengths) or shares.min() < 0 or shares.sum() == 0:
            raise ConfigError(
                f"weights {list(shares)} must be {len(self.lengths)} numbers of at least 0, not all 0"
            )
        if any(share and not n for share, n in zip(shares, self.lengths)):
            raise ConfigError("an empty data set cannot have a weight")
        self.visits = _apportion(self.total, shares / shares.sum())

    def __len__(self) -> int:
        return self.total

    def __call__(self, epoch: int, seed: int) -> List[Visit]:
        rng = order_generator(seed, epoch)
        chosen = []
        start = 0
        for length, visits in zip(self.lengths, self.visits):
            while visits > 0:
                one = rng.permutation(length)[:visits]
                chosen.append(start + one)
                visits -= len(one)
            start += length
        order = np.concatenate(chosen)
        return [(int(index), None) for index in rng.permutation(order)]


def _apportion(total: int, shares: np.ndarray) -> List[int]:
    """Whole numbers in the proportion of `shares` that add up to `total` (largest remainders)."""
    exact = total * shares
    counts = np.floor(exact).astype(int)
    for place in np.argsort(counts - exact, kind="stable")[: total - counts.sum()]:
        counts[place] += 1
    return counts.tolist()

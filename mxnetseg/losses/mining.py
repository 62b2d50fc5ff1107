"""Choosing hard pixels among all workers, devices and accumulated parts of a batch (MXNet)."""

from __future__ import annotations

from typing import List, Sequence

import mxnet as mx
import numpy as np

from mxnetseg.compute.workers import ALONE, Workers
from mxnetseg.losses.plan import Mining
from mxnetseg.losses.ranking import nth_largest


def hard_pixels(
    maps: Sequence[mx.nd.NDArray], mining: Mining, images: int, pixels: int, workers: Workers = ALONE
) -> List[mx.nd.NDArray]:
    """Masks (1 or 0) like `maps` of the pixels that `mining` keeps.

    maps: `(N, H, W)` of -log p of the true class for each device and part, negative where the pixel does not
    count; together, and with those of the other `workers`, they are one set. Collective. `images`, `pixels`:
    of the global batch, ignored pixels included.
    """
    kept = mining.kept(images, pixels)
    if mining.threshold is None:
        least = _nth_largest(maps, kept - 1, 0.0, workers)
        return [m >= least for m in maps]
    least = -float(np.log(mining.threshold))
    strict = mining.rule == "below"
    hard = sum(float((m > least if strict else m >= least).sum().asscalar()) for m in maps)
    hard = workers.sum(np.array([hard]))[0]
    # Only where too few are hard the order statistic is needed, and with it all values on the host.
    if strict:
        if hard <= kept:
            least = min(least, _nth_largest(maps, kept, None, workers))
        # Pixels that do not count are negative, and what is compared with may be 0 (p = 1) at the least.
        return [m > least for m in maps]
    if hard < kept:
        least = min(least, _nth_largest(maps, kept - 1, 0.0, workers))
    return [m >= least for m in maps]


def _nth_largest(maps, place, otherwise, workers):
    values = np.concatenate([m.asnumpy().reshape(-1) for m in maps])
    return nth_largest(values[values >= 0], place, otherwise, workers.sum)

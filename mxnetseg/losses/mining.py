"""Choosing hard pixels among all devices and accumulated parts of a batch (MXNet)."""

from __future__ import annotations

from typing import List, Sequence

import mxnet as mx
import numpy as np

from mxnetseg.losses.plan import Mining


def hard_pixels(
    maps: Sequence[mx.nd.NDArray], mining: Mining, images: int, pixels: int
) -> List[mx.nd.NDArray]:
    """Masks (1 or 0) like `maps` of the pixels that `mining` keeps.

    maps: `(N, H, W)` of -log p of the true class for each device and part, negative where the pixel does not
    count; together they are one set. `images`, `pixels`: of the global batch, ignored pixels included.
    """
    kept = mining.kept(images, pixels)
    if mining.threshold is None:
        return [m >= _order_statistic(maps, kept - 1, 0.0) for m in maps]
    least = -float(np.log(mining.threshold))
    strict = mining.rule == "below"
    hard = sum(float((m > least if strict else m >= least).sum().asscalar()) for m in maps)
    # Only where too few are hard the order statistic is needed, and with it all values on the host.
    if strict:
        if hard <= kept:
            least = min(least, _order_statistic(maps, kept, None))
        # Pixels that do not count are negative, and what is compared with may be 0 (p = 1) at the least.
        return [m > least for m in maps]
    if hard < kept:
        least = min(least, _order_statistic(maps, kept - 1, 0.0))
    return [m >= least for m in maps]


def _order_statistic(maps, place, otherwise):
    """The value with `place` larger ones among those that count; where there are not so many, `otherwise`,
    or the smallest one for None."""
    values = np.concatenate([m.asnumpy().reshape(-1) for m in maps])
    values = values[values >= 0]
    if not values.size:
        return 0.0
    if place >= values.size:
        return float(values.min()) if otherwise is None else otherwise
    place = values.size - 1 - place
    return float(np.partition(values, place)[place])

"""Where a value stands among those of all workers, found by counting: the values stay where they are."""

from __future__ import annotations

from typing import Callable, Optional

import numpy as np

_DIGIT = 16  # bits


def nth_largest(
    values: np.ndarray,
    place: int,
    otherwise: Optional[float] = None,
    total: Callable[[np.ndarray], np.ndarray] = lambda counts: counts,
) -> float:
    """The value with `place` larger or equal ones before it, exactly; 0 where there are no values.

    values     one dimension, float32 or float64, none below 0: those of this worker.
    otherwise  what it is where there are not so many; None: the smallest value.
    total      collective: the sum of int64 arrays over all workers.
    """
    # Floats that are not negative are in the order of their bits; -0 is made 0.
    bits = (np.ascontiguousarray(values) + 0.0).view(f"u{values.itemsize}")
    count = int(total(np.array([bits.size], np.int64))[0])
    if not count:
        return 0.0
    if place >= count:
        if otherwise is not None:
            return otherwise
        place = count - 1
    found = 0
    for shift in range(8 * values.itemsize - _DIGIT, -1, -_DIGIT):
        digits = ((bits >> shift) & (2**_DIGIT - 1)).astype(np.int64)
        counts = total(np.bincount(digits, minlength=2**_DIGIT).astype(np.int64))
        above = np.cumsum(counts[::-1])  # how many are at least this digit, from the largest
        step = int(np.searchsorted(above, place, side="right"))
        place -= int(above[step - 1]) if step else 0
        digit = 2**_DIGIT - 1 - step
        bits = bits[digits == digit]
        found = found << _DIGIT | digit
    return float(np.array([found], f"u{values.itemsize}").view(values.dtype)[0])

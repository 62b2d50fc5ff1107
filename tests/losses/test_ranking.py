"""The n-th largest value among those of all workers."""

from __future__ import annotations

import numpy as np
import pytest

from mxnetseg.losses.ranking import nth_largest
from tests.compute.test_workers import on_each


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("place", [0, 1, 57, 299, 599])
def test_counting_finds_what_sorting_finds(dtype, place):
    rng = np.random.default_rng(3)
    values = np.concatenate([rng.gamma(0.3, size=400), [0.0, -0.0, 1e-40, 1e30], rng.integers(0, 3, 196)])
    values = rng.permutation(values).astype(dtype)
    expected = float(np.sort(values)[::-1][place])
    assert nth_largest(values, place) == expected
    shares = np.split(values, [10, 450])  # of very different sizes
    found = on_each(3, lambda workers: nth_largest(shares[workers.rank], place, None, workers.sum))
    assert found == [expected] * 3


def test_a_place_beyond_all_values_is_what_was_asked_for():
    values = np.array([3.0, 1.0, 2.0], np.float32)
    assert nth_largest(values, 3) == 1.0
    assert nth_largest(values, 3, otherwise=0.25) == 0.25
    assert nth_largest(values[:0], 0, otherwise=0.25) == 0.0

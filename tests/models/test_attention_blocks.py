"""Context blocks against the plain loops they stand for, on small maps of odd and even sides."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest

from mxnetseg.models.ccnet import CrissCross
from mxnetseg.models.dmnet import _filter_each
from mxnetseg.models.isanet import _cut, _whole_blocks
from mxnetseg.models.ocnet import ObjectContext, _same_cell
from mxnetseg.models.psanet import _by_target, _halve, _halve_by_parity

SIZES = [(4, 6), (5, 7), (3, 8), (1, 5)]


def random_map(channels, size, count=2, seed=0):
    return mx.nd.array(np.random.RandomState(seed).standard_normal((count, channels, *size)))


@pytest.mark.parametrize("size", SIZES)
def test_criss_cross_attends_to_the_row_and_the_rest_of_the_column(size):
    block = CrissCross(16, recurrence=1)
    block.initialize(mx.init.Normal(0.5))
    block.gamma.set_data(mx.nd.array([0.7]))
    x = random_map(16, size)
    query, key, value = (layer(x).asnumpy() for layer in (block.query, block.key, block.value))
    expected = x.asnumpy().copy()
    height, width = size
    for n in range(2):
        for i in range(height):
            for j in range(width):
                cross = [(k, j) for k in range(height) if k != i] + [(i, k) for k in range(width)]
                scores = np.array([query[n, :, i, j] @ key[n, :, a, b] for a, b in cross])
                weights = np.exp(scores - scores.max())
                weights /= weights.sum()
                expected[n, :, i, j] += 0.7 * sum(w * value[n, :, a, b] for w, (a, b) in zip(weights, cross))
    np.testing.assert_allclose(block(x).asnumpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("cells", [2, 3])
def test_cells_are_whole_parts_and_the_last_takes_the_rest(size, cells):
    mask = _same_cell(mx.nd, random_map(1, size), cells).asnumpy()
    place = [
        tuple(min(k // max(1, side // cells), cells - 1) for k, side in zip(position, size))
        for position in np.ndindex(*size)
    ]
    expected = [[0.0 if a == b else -1e30 for b in place] for a in place]
    np.testing.assert_array_equal(mask, np.array(expected, np.float32))


def test_object_context_of_cells_is_the_context_of_each_cell_alone():
    block = ObjectContext(8, 8, cells=2)
    block.initialize(mx.init.Normal(0.5))
    x = random_map(8, (5, 6))
    whole = block(x).asnumpy()
    block._cells = 1
    for rows in (slice(0, 2), slice(2, 5)):
        for columns in (slice(0, 3), slice(3, 6)):
            alone = block(x[:, :, rows, columns]).asnumpy()
            np.testing.assert_allclose(whole[:, :, rows, columns], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [(16, 24), (5, 17), (13, 8)])
def test_padding_to_whole_blocks_is_zeros_on_both_sides_and_comes_off_again(size):
    x = random_map(3, size)
    whole = _whole_blocks(mx.nd, x, 8)
    target = [-(-n // 8) * 8 for n in size]
    before = [(t - n) // 2 for t, n in zip(target, size)]
    expected = np.zeros((2, 3, *target), np.float32)
    expected[:, :, before[0] : before[0] + size[0], before[1] : before[1] + size[1]] = x.asnumpy()
    np.testing.assert_array_equal(whole.asnumpy(), expected)
    np.testing.assert_array_equal(_cut(mx.nd, whole, x).asnumpy(), x.asnumpy())


@pytest.mark.parametrize("size", SIZES)
def test_offsets_become_pairs_of_positions_and_score_zero_outside_the_mask(size):
    mask = 5
    scores = random_map(mask * mask, size)
    found = _by_target(mx.nd, scores, mask).asnumpy()
    values = scores.asnumpy()
    places = list(np.ndindex(*size))
    for target, (row, column) in enumerate(places):
        for source, (i, j) in enumerate(places):
            down, right = row - i + mask // 2, column - j + mask // 2
            inside = 0 <= down < mask and 0 <= right < mask
            expected = values[:, down * mask + right, i, j] if inside else 0
            np.testing.assert_array_equal(found[:, target, source], expected)


def test_an_even_side_is_halved_by_averages_and_an_odd_one_by_every_other_pixel():
    x = random_map(2, (4, 5))
    a = x.asnumpy()
    expected = ((a[:, :, 0::2] + a[:, :, 1::2]) / 2)[:, :, :, ::2]
    np.testing.assert_allclose(_halve_by_parity(mx.nd, x).asnumpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", SIZES)
def test_halving_keeps_the_corners_and_rounds_up(size):
    x = random_map(2, size)
    half = _halve(mx.nd, x).asnumpy()
    assert half.shape == (2, 2, *(-(-n // 2) for n in size))
    # A side of one pixel has its first corner only.
    corners = np.ix_([0, 1], [0, 1], [0, -1] if half.shape[2] > 1 else [0], [0, -1])
    whole = np.ix_([0, 1], [0, 1], [0, -1] if half.shape[2] > 1 else [0], [0, -1])
    np.testing.assert_allclose(half[corners], x.asnumpy()[whole], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", [1, 3, 5])
def test_predicted_filters_run_over_their_own_sample_and_channel(size):
    x, kernel = random_map(3, (5, 6)), random_map(3, (size, size), seed=1)
    grouped = mx.nd.Convolution(
        x.reshape((1, 6, 5, 6)),
        kernel.reshape((6, 1, size, size)),
        kernel=(size, size),
        pad=(size // 2, size // 2),
        num_filter=6,
        num_group=6,
        no_bias=True,
    )
    found = _filter_each(mx.nd, x, kernel, size)
    np.testing.assert_allclose(found.asnumpy(), grouped.reshape((2, 3, 5, 6)).asnumpy(), rtol=1e-4, atol=1e-5)

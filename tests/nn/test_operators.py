"""The operators with one home, against plain NumPy."""

from __future__ import annotations

import math

import mxnet as mx
import numpy as np
import pytest
from mxnet.gluon import HybridBlock

from mxnetseg.nn.layers import GELU
from mxnetseg.nn.pool import adaptive_avg_pool
from mxnetseg.nn.resize import resize_by, resize_like
from mxnetseg.nn.warp import flow_grid, sample


class Call(HybridBlock):
    """A function of (F, *inputs) as a block, so that it can be hybridized."""

    def __init__(self, function):
        super().__init__()
        self._function = function

    def hybrid_forward(self, F, *inputs):
        return self._function(F, *inputs)


def drawn(*shape, seed=0):
    return np.random.RandomState(seed).standard_normal(shape).astype(np.float32)


def resized(x, size, align_corners):
    """Bilinear interpolation by the definition, one axis after the other."""
    for axis, n in zip((2, 3), size):
        m = x.shape[axis]
        i = np.arange(n)
        source = i * (m - 1) / max(n - 1, 1) if align_corners else np.clip((i + 0.5) * m / n - 0.5, 0, None)
        low = np.minimum(source.astype(int), m - 1)
        high = np.minimum(low + 1, m - 1)
        shape = [1] * 4
        shape[axis] = n
        part = (source - low).reshape(shape)
        x = x.take(low, axis) * (1 - part) + x.take(high, axis) * part
    return x


# Without aligned corners a result of one pixel is MXNet's first one, not the middle: left out.
@pytest.mark.parametrize(
    "size, align_corners",
    [((9, 16), True), ((5, 5), True), ((1, 3), True), ((9, 16), False), ((5, 5), False), ((2, 12), False)],
)
def test_resizing_follows_its_definition_hybridized_and_for_a_second_size(align_corners, size):
    block = Call(lambda F, x, like: resize_like(F, x, like, align_corners))
    block.hybridize(static_alloc=True, static_shape=True)
    for inner in ((4, 6), (3, 5)):
        x = drawn(2, 3, *inner)
        found = block(mx.nd.array(x), mx.nd.zeros((1, 1, *size))).asnumpy()
        np.testing.assert_allclose(found, resized(x, size, align_corners), atol=1e-5)


def test_resizing_by_a_factor_truncates():
    x = drawn(1, 2, 5, 7)
    found = resize_by(mx.nd, mx.nd.array(x), 0.5).asnumpy()
    np.testing.assert_allclose(found, resized(x, (2, 3), True), atol=1e-5)


@pytest.mark.parametrize("bins", [1, 2, 3, 6, (3, 8)])
@pytest.mark.parametrize("size", [(7, 10), (4, 5)])
def test_adaptive_pooling_averages_overlapping_bins(bins, size):
    x = drawn(2, 3, *size)
    rows, columns = bins if isinstance(bins, tuple) else (bins, bins)
    expected = np.empty((2, 3, rows, columns), np.float32)
    for i in range(rows):
        for j in range(columns):
            top, bottom = i * size[0] // rows, -(-(i + 1) * size[0] // rows)
            left, right = j * size[1] // columns, -(-(j + 1) * size[1] // columns)
            expected[:, :, i, j] = x[:, :, top:bottom, left:right].mean((2, 3))
    found = adaptive_avg_pool(mx.nd, mx.nd.array(x), bins).asnumpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def sampled(x, px, py):
    """Bilinear reading of x (N, C, h, w) at pixel positions (N, H, W), zero outside."""
    n, c, h, w = x.shape
    out = np.zeros((n, c, *px.shape[1:]), np.float64)
    x0, y0 = np.floor(px).astype(int), np.floor(py).astype(int)
    for dy in (0, 1):
        for dx in (0, 1):
            xi, yi = x0 + dx, y0 + dy
            weight = (1 - abs(px - xi)) * (1 - abs(py - yi))
            inside = (xi >= 0) & (xi < w) & (yi >= 0) & (yi < h)
            for b in range(n):
                values = x[b][:, yi[b].clip(0, h - 1), xi[b].clip(0, w - 1)]
                out[b] += values * (weight[b] * inside[b])
    return out


@pytest.mark.parametrize("corners", [True, False])
def test_a_flow_moves_by_fractions_of_the_side_and_reads_zero_outside(corners):
    block = Call(lambda F, x, flow: sample(F, x, flow_grid(F, flow, flow), corners))
    block.hybridize(static_alloc=True, static_shape=True)
    for (h, w), (height, width) in (((4, 5), (8, 10)), ((3, 7), (6, 9))):
        x, flow = drawn(2, 3, h, w), 3 * drawn(2, 2, height, width, seed=1)
        gx = np.linspace(-1, 1, width)[None, None, :] + flow[:, 0] / width
        gy = np.linspace(-1, 1, height)[None, :, None] + flow[:, 1] / height
        if corners:
            px, py = (gx + 1) * (w - 1) / 2, (gy + 1) * (h - 1) / 2
        else:
            px, py = ((gx + 1) * w - 1) / 2, ((gy + 1) * h - 1) / 2
        found = block(mx.nd.array(x), mx.nd.array(flow)).asnumpy()
        np.testing.assert_allclose(found, sampled(x, px, py), atol=2e-4)


def test_a_map_of_one_pixel_can_be_warped():
    found = sample(
        mx.nd,
        mx.nd.ones((1, 2, 1, 1)),
        flow_grid(mx.nd, mx.nd.zeros((1, 2, 1, 1)), mx.nd.zeros((1, 2, 1, 1))),
    )
    assert np.isfinite(found.asnumpy()).all()


def test_gelu_has_the_digits_of_the_type_that_a_network_computes_in():
    block, x = GELU(), np.random.RandomState(0).normal(scale=2, size=200)
    block.hybridize()
    values = np.array([v * (1 + math.erf(v / math.sqrt(2))) / 2 for v in x])
    slopes = values / x + x * np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    # MXNet's derivative of the error function has a constant of float32's digits.
    for dtype, digits, sloped in (("float32", 1e-6, 1e-6), ("float64", 1e-14, 2e-8), ("float32", 1e-6, 1e-6)):
        block.cast(dtype)
        array = mx.nd.array(x, dtype=dtype)
        array.attach_grad()
        with mx.autograd.record():
            found = block(array)
        found.backward()
        np.testing.assert_allclose(found.asnumpy(), values, atol=digits, rtol=0)
        np.testing.assert_allclose(array.grad.asnumpy(), slopes, atol=sloped, rtol=0)

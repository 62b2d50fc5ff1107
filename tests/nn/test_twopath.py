"""Parts of two-path networks against PyTorch."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest

from mxnetseg.models.icnet import halve
from mxnetseg.nn.gather import gather_maps
from mxnetseg.nn.resize import nearest_like
from mxnetseg.nn.twopath import FeatureFusion, ShuffleHead

torch = pytest.importorskip("torch")


def noise(*shape, seed=0):
    return np.random.RandomState(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("factor", [2, None])
@pytest.mark.parametrize("size", [(10, 14), (9, 13), (9, 14)])
def test_nearest_upsampling_to_a_strided_map_is_that_of_pytorch(size, factor):
    x = noise(2, 3, 5, 7)
    found = nearest_like(mx.nd, mx.nd.array(x), mx.nd.zeros((2, 1, *size)), factor).asnumpy()
    np.testing.assert_array_equal(found, torch.nn.functional.interpolate(torch.tensor(x), size=size).numpy())


@pytest.mark.parametrize("corners", [True, False])
def test_halving_rounds_odd_sides_down_as_pytorch_does(corners):
    x = noise(2, 3, 9, 13)
    found = halve(mx.nd, mx.nd.array(x), corners).asnumpy()
    expected = torch.nn.functional.interpolate(
        torch.tensor(x), scale_factor=0.5, mode="bilinear", align_corners=corners
    )
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5, atol=1e-6)


def test_shuffling_classifiers_order_their_channels_as_pytorch_does():
    head = ShuffleHead(4, 3, 4, 2)
    x = noise(1, 12, 5, 6)
    found = head.shuffle(mx.nd.array(x)).asnumpy()
    np.testing.assert_array_equal(found, torch.nn.functional.pixel_shuffle(torch.tensor(x), 2).numpy())


def test_a_single_unit_gate_never_falls_below_one_half():
    fusion = FeatureFusion(6, 4, gate="single")
    fusion.initialize()
    joined = mx.nd.array(noise(2, 4, 1, 1, seed=3))
    assert fusion.gate(joined).min().asscalar() >= 0.5


def test_gathered_maps_have_the_size_of_the_first_and_all_channels():
    maps = [mx.nd.array(noise(1, c, s, s)) for c, s in ((2, 8), (3, 4), (4, 2))]
    joined = gather_maps(mx.nd, maps, align_corners=False)
    assert joined.shape == (1, 9, 8, 8)
    np.testing.assert_array_equal(joined[:, :2].asnumpy(), maps[0].asnumpy())

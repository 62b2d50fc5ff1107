"""Pooling grids, warps and resizing that are computed from the input, against direct computation."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest

from mxnetseg.errors import ConfigError
from mxnetseg.models import create_model
from mxnetseg.models.acfnet import ClassFeature
from mxnetseg.models.canet import ContextFlow
from mxnetseg.models.fapn import ModulatedDeformableConv
from mxnetseg.models.swiftnet import AspectPooling
from mxnetseg.nn.layers import Identity
from mxnetseg.nn.resize import halve_bicubic, resize_bicubic_like
from mxnetseg.nn.surgery import exchange, named_parameters
from mxnetseg.weights.imagenet import load_backbone

SIZES = [(4, 6), (3, 5), (8, 8), (5, 20), (20, 5), (2, 3), (16, 20), (1, 7)]


def ready(block):
    block.initialize(mx.init.Normal(0.5))
    block.hybridize()
    return block


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("rows", [2, 8])
def test_aspect_pooling_equals_pooling_on_the_grid_that_the_aspect_asks_for(size, rows):
    block = ready(AspectPooling(6, 4, rows))
    x = mx.nd.random.normal(shape=(2, 6, *size))
    grid = (rows, max(1, round(size[1] / size[0] * rows)))
    expected = block.unit(mx.nd.contrib.AdaptiveAvgPooling2D(x, output_size=grid))
    expected = mx.nd.contrib.BilinearResize2D(expected, height=size[0], width=size[1], align_corners=False)
    np.testing.assert_allclose(block(x).asnumpy(), expected.asnumpy(), atol=1e-5)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("factor", [2, 4, 16])
def test_a_context_flow_equals_convolutions_on_its_coarse_grid(size, factor):
    block = ready(ContextFlow(6, 4, factor))
    x = mx.nd.random.normal(shape=(2, 6, *size))
    grid = tuple(max(1, side // factor) for side in size)
    cells = block.decode(block.encode(mx.nd.contrib.AdaptiveAvgPooling2D(x, output_size=grid)))
    expected = mx.nd.contrib.BilinearResize2D(cells, height=size[0], width=size[1], align_corners=True)
    np.testing.assert_allclose(block(x).asnumpy(), expected.asnumpy(), atol=1e-5)


def test_the_deformable_convolution_equals_the_operator_and_has_gradients():
    block = ready(ModulatedDeformableConv(16, 5, 8))
    block.offset.weight.set_data(mx.nd.random.normal(scale=0.5, shape=block.offset.weight.shape))
    x, guide = mx.nd.random.normal(shape=(2, 16, 7, 9)), mx.nd.random.normal(shape=(2, 5, 7, 9))
    shifts = block.offset(guide)
    expected = mx.nd.contrib.ModulatedDeformableConvolution(
        x,
        shifts[:, :144],
        2 * mx.nd.sigmoid(shifts[:, 144:]),
        block.weight.data(),
        block.bias.data(),
        kernel=(3, 3),
        pad=(1, 1),
        num_filter=8,
        num_deformable_group=8,
    )
    with mx.autograd.record():
        found = block(x, guide)
    found.backward()
    np.testing.assert_allclose(found.asnumpy(), expected.asnumpy(), atol=1e-4)
    assert all(np.abs(p.grad().asnumpy()).max() > 0 for p in block.collect_params().values())


def test_a_pixel_reads_the_mean_of_its_class():
    block = ClassFeature(4, "classes")
    block.initialize()
    for name in ("reduce", "refine"):
        exchange(block, name, Identity())
    x = mx.nd.random.normal(shape=(1, 4, 3, 4))
    classes = np.array([[0, 0, 1, 1], [2, 0, 1, 1], [2, 2, 2, 0]])
    scores = mx.nd.array(100.0 * (classes == np.arange(3)[:, None, None])[None])
    found = block(x, scores).asnumpy()[0]
    values = x.asnumpy()[0]
    for k in range(3):
        mean = values[:, classes == k].mean(1)
        np.testing.assert_allclose(
            found[:, classes == k], np.repeat(mean[:, None], (classes == k).sum(), 1), rtol=1e-4, atol=1e-5
        )


def test_bicubic_halving_and_resizing_equal_pytorchs():
    torch = pytest.importorskip("torch")
    for size in ((12, 16), (13, 19)):
        x = np.random.RandomState(0).standard_normal((2, 3, *size)).astype(np.float32)
        for times, factor in ((1, 0.5), (2, 0.25)):
            found = halve_bicubic(mx.nd, mx.nd.array(x), times).asnumpy()
            expected = torch.nn.functional.interpolate(torch.tensor(x), scale_factor=factor, mode="bicubic")
            np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)
        for target in ((6, 10), (20, 7)):
            found = resize_bicubic_like(mx.nd, mx.nd.array(x), mx.nd.zeros((1, 1, *target))).asnumpy()
            expected = torch.nn.functional.interpolate(torch.tensor(x), size=target, mode="bicubic")
            np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)


def test_networks_that_run_layers_twice_refuse_synchronized_norm_on_two_devices():
    for name in ("att2scale", "swiftnetpr"):
        with pytest.raises(ConfigError, match="more than once in a pass"):
            create_model(name, 3, backbone="resnet18", norm="syncbn", num_devices=2)


def test_every_scale_starts_from_the_norms_of_one_imagenet_file(tmp_path):
    from mxnetseg.backbones import create_backbone

    rng = np.random.RandomState(0)
    plain = {
        n: rng.uniform(0.5, 1.5, p.shape).astype(np.float32)
        for n, p in named_parameters(create_backbone("resnet18")).items()
    }
    np.savez(tmp_path / "resnet18.npz", **plain)
    net = create_model("swiftnetpr", 3)
    load_backbone(net.backbone, str(tmp_path / "resnet18.npz"))
    found = {n: p.data().asnumpy() for n, p in named_parameters(net.backbone).items()}
    for scale in range(3):
        np.testing.assert_array_equal(found[f"layer2.0.bn1.{scale}.gamma"], plain["layer2.0.bn1.gamma"])
    np.testing.assert_array_equal(found["layer2.0.downsample.1.gamma"], plain["layer2.0.downsample.1.gamma"])
    np.testing.assert_array_equal(found["layer3.1.conv2.weight"], plain["layer3.1.conv2.weight"])

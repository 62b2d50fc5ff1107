"""EfficientNet against torchvision's table of sizes, and what its kinds of padding mean."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest

from mxnetseg.backbones import create_backbone
from mxnetseg.nn.surgery import named_parameters

# Trainable values of torchvision's classifiers.
SIZES = {
    "b0": 5288548,
    "b1": 7794184,
    "b2": 9109994,
    "b3": 12233232,
    "b4": 19341616,
    "b5": 30389784,
    "b6": 43040704,
    "b7": 66347960,
}


@pytest.mark.parametrize("version", SIZES)
def test_versions_have_the_published_sizes(version):
    backbone = create_backbone(f"efficientnet_{version}")
    values = sum(np.prod(p.shape) for p in backbone.collect_params().values() if p.grad_req != "null")
    # The closing convolution, four times as wide as c4, and the classifier of 1000 classes.
    deepest = backbone.channels[-1]
    closing = 4 * deepest * (deepest + 2)
    assert values + closing + (4 * deepest + 1) * 1000 == SIZES[version]


def maps_of(version, padding, size):
    backbone = create_backbone(f"efficientnet_{version}", padding=padding)
    backbone.initialize()
    rng = np.random.RandomState(0)
    for name, parameter in named_parameters(backbone).items():
        if name.endswith("bias"):
            parameter.set_data(mx.nd.zeros(parameter.shape))
        elif len(parameter.shape) > 1:
            scale = np.prod(parameter.shape[1:]) ** -0.5
            parameter.set_data(mx.nd.array(2 * scale * rng.standard_normal(parameter.shape)))
    image = mx.nd.array(rng.standard_normal((1, 3, *size)))
    return [y.asnumpy() for y in backbone(image)]


def test_nominal_padding_is_tensorflows_where_the_named_resolution_halves_evenly():
    for same, nominal in zip(maps_of("b0", "same", (64, 96)), maps_of("b0", "nominal", (64, 96))):
        np.testing.assert_allclose(same, nominal, rtol=0, atol=1e-4 * nominal.std())
    # 260 pixels do not: 65 at the third halving.
    b2 = zip(maps_of("b2", "same", (64, 96)), maps_of("b2", "nominal", (64, 96)))
    apart = [np.abs(same - nominal).max() > 0.1 * nominal.std() for same, nominal in b2]
    assert apart == [False, True, True, True]


def test_padding_alike_on_both_sides_sees_other_pixels():
    same, even = (maps_of("b0", padding, (64, 96))[0] for padding in ("same", "even"))
    assert np.abs(same - even).max() > 0.1 * even.std()


def test_a_tap_at_the_first_block_gives_another_c3_and_the_same_c4():
    first, last = (create_backbone("efficientnet_b0", c3=tap) for tap in ("first", "last"))
    assert first.channels == last.channels
    assert first.blocks[8].project_conv.weight.shape[0] == first.channels[2]
    names = list(named_parameters(first))
    assert names == list(named_parameters(last))
    depths = [backbone.parameter_depths() for backbone in (first, last)]
    ninth = [backbone.blocks[9].project_conv.weight.name for backbone in (first, last)]
    assert [depth[name] for depth, name in zip(depths, ninth)] == [4, 3]

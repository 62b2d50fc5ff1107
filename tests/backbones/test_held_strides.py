"""GluonCV's MobileNets and DenseNets as pyramids whose deep maps keep their resolution."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest

from mxnetseg.backbones import create_backbone
from mxnetseg.nn.surgery import settings


@pytest.mark.parametrize(
    "name", ["mobilenetv2_0.25", "mobilenetv3_small", "mobilenetv3_large", "densenet121"]
)
@pytest.mark.parametrize("output_stride", [8, 16, 32])
def test_maps_have_the_channels_and_strides_that_are_published(name, output_stride):
    backbone = create_backbone(name, output_stride)
    backbone.initialize()
    maps = backbone(mx.nd.random.normal(shape=(1, 3, 64, 96)))
    assert backbone.strides == tuple(min(s, output_stride) for s in (4, 8, 16, 32))
    assert [m.shape[1:] for m in maps] == [
        (c, 64 // s, 96 // s) for c, s in zip(backbone.channels, backbone.strides)
    ]


def test_a_convolution_that_loses_its_stride_dilates_those_after_it():
    backbone = create_backbone("mobilenetv2_0.25", 8)
    depthwise = [block.out[3] for block in list(backbone.layer3)[:2] + list(backbone.layer4)[:2]]
    assert [settings(conv)["stride"][0] for conv in depthwise] == [1, 1, 1, 1]
    assert [settings(conv)["dilate"][0] for conv in depthwise] == [1, 2, 2, 4]


def test_a_backbone_in_two_parts_gives_the_same_maps_as_in_one():
    for name in ("resnet18", "resnest14"):
        backbone = create_backbone(name)
        backbone.initialize()
        x = mx.nd.random.normal(shape=(1, 3, 64, 96))
        c1, c2 = backbone.first_part(mx.nd, x)
        parts = (c1, c2, *backbone.second_part(mx.nd, c2))
        for part, whole in zip(parts, backbone(x)):
            np.testing.assert_array_equal(part.asnumpy(), whole.asnumpy())


def test_a_max_pool_that_rounds_up_gives_one_row_more_of_an_even_map():
    x = mx.nd.random.normal(shape=(1, 3, 64, 64))
    sides = []
    for ceil_pool in (False, True):
        backbone = create_backbone("resnet18", ceil_pool=ceil_pool)
        backbone.initialize()
        sides.append(backbone(x)[0].shape[2])
    assert sides == [16, 17]

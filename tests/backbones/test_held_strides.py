"""GluonCV's MobileNets and DenseNets as pyramids whose deep maps keep their resolution."""

from __future__ import annotations

import mxnet as mx
import pytest

from mxnetseg.backbones import create_backbone


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
    assert [conv._kwargs["stride"][0] for conv in depthwise] == [1, 1, 1, 1]
    assert [conv._kwargs["dilate"][0] for conv in depthwise] == [1, 2, 2, 4]

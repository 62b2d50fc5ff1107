"""Every pyramid backbone with every pyramid head: shapes are inferred through the whole graph."""

from __future__ import annotations

import mxnet as mx
import pytest

from mxnetseg.backbones import list_backbones
from mxnetseg.errors import ConfigError
from mxnetseg.models import create_model, list_models
from mxnetseg.models.base import UNSIZED

# The smallest of each family: its head sees the widths and strides of that family.
FAMILIES = (
    "resnet18",
    "densenet121",
    "dfnetv1",
    "hrnet_w18_small_v1",
    "mobilenetv2_0.25",
    "mobilenetv3_small",
    "stdc1",
    "xception39",
    "resnest14",
    "vit_tiny",
    "dinov2_small",
    "dinov3_small",
    "swin_tiny",
    "convnextv2_atto",
    "twins_svt_small",
    "poolformer_s12",
    "mscan_tiny",
)
# Odd at every level, for backbones that round up and for those that round down. SwiftNet's quarter-size pass
# keeps 32 pixels, which some backbones need.
SIZE = (167, 203)
# Architectures that are their own backbone, or read a transformer's tokens instead of a pyramid.
NOT_PYRAMID = {
    "edanet",
    "enet",
    "eprnet",
    "dpt",
    "eomt",
    "setr",
    "segformer",
    "segmenter",
    "erfnet",
    "cgnet",
    "fastscnn",
    "bisenetv2",
    "ddrnet",
    "pidnet",
    "topformer",
    "seaformer",
}


@pytest.mark.slow
@pytest.mark.parametrize("backbone", FAMILIES)
@pytest.mark.parametrize("name", list_models())
def test_any_pyramid_backbone_serves_any_pyramid_head(name, backbone):
    try:
        net = create_model(name, 4, backbone=backbone, init=False)
    except ConfigError as refusal:
        assert name in NOT_PYRAMID, f"{name} refuses {backbone}: {refusal}"
        assert name in str(refusal)
        return
    symbols = net(mx.sym.var("data"))
    _, shapes, _ = mx.sym.Group(list(symbols)).infer_shape(data=(2, 3, *SIZE))
    maps = [shape for shape, kind in zip(shapes, net.predicts) if kind not in UNSIZED]
    assert maps == [(2, 4, *SIZE)] * len(maps)


@pytest.mark.parametrize("name", list_backbones())
def test_a_backbone_publishes_the_channels_and_strides_that_it_gives(name):
    from mxnetseg.backbones import BACKBONES, create_backbone

    for output_stride in BACKBONES.info(name).get("output_strides", (32,)):
        net = create_backbone(name, output_stride, c0=True)
        assert len(net.channels) == 4 + bool(net.c0_channels)
        side = max(net.trace_size, 128)
        maps = net(mx.sym.var("data"))
        _, shapes, _ = mx.sym.Group(list(maps)).infer_shape(data=(1, 3, side, 2 * side))
        assert len(shapes) == len(net.channels) == len(net.strides)
        expected = [(1, c, side // s, 2 * side // s) for c, s in zip(net.channels, net.strides)]
        assert shapes == expected

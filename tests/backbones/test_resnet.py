"""Dilations that published ResNets have."""

from __future__ import annotations

import pytest

from mxnetseg.backbones import create_backbone
from mxnetseg.errors import ConfigError
from mxnetseg.nn.surgery import settings


def test_a_multi_grid_gives_each_block_of_the_last_stage_its_dilation():
    backbone = create_backbone("resnet50_v1c", 16, multi_grid=[1, 2, 4])
    assert [settings(block.conv2)["dilate"] for block in backbone.layer4] == [(1, 1), (2, 2), (4, 4)]
    assert [settings(block.conv2)["pad"] for block in backbone.layer4] == [(1, 1), (2, 2), (4, 4)]
    assert [settings(block.conv2)["stride"][0] for block in backbone.layer4] == [1, 1, 1]


def test_a_multi_grid_of_another_length_is_refused():
    with pytest.raises(ConfigError, match="stage 4 has 3 blocks"):
        create_backbone("resnet50", 16, multi_grid=[1, 2])

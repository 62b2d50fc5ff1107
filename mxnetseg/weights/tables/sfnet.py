"""SFNet as published by its authors (SFSegNets) and in its port to mmsegmentation."""

from __future__ import annotations

from typing import List

from mxnetseg.backbones.naming import Rule
from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import (
    MMSEG_RESNET,
    SFSEGNETS_RESNET,
    sfsegnets_ppm,
    stdc_backbone,
    stdc_unused,
)


def sfsegnets_head(levels: int) -> List[Rule]:
    """The authors' pyramid head over `levels` maps; deep supervision is numbered finest first there."""
    return sfsegnets_ppm(r"head\.ppm") + [
        (r"^head\.fpn_in\.(\d)\.0\.", r"head.laterals.\1.conv."),
        (r"^head\.fpn_in\.(\d)\.1\.", r"head.laterals.\1.bn."),
        (r"^head\.fpn_out\.(\d)\.0\.0\.", r"head.smooths.\1.conv."),
        (r"^head\.fpn_out\.(\d)\.0\.1\.", r"head.smooths.\1.bn."),
        (r"^head\.fpn_out_align\.(\d)\.down_h\.", r"head.aligns.\1.reduce_high."),
        (r"^head\.fpn_out_align\.(\d)\.down_l\.", r"head.aligns.\1.reduce_low."),
        (r"^head\.fpn_out_align\.(\d)\.flow_make\.", r"head.aligns.\1.flow."),
        (r"^head\.dsn\.(\d)\.", lambda m: f"aux_heads.{levels - 2 - int(m.group(1))}."),
        (r"^(aux_heads\.\d)\.0\.", r"\1.units.0.conv."),
        (r"^(aux_heads\.\d)\.1\.", r"\1.units.0.bn."),
        (r"^(aux_heads\.\d)\.4\.", r"\1.classifier."),
        (r"^head\.conv_last\.0\.0\.", "head.fuse.conv."),
        (r"^head\.conv_last\.0\.1\.", "head.fuse.bn."),
        (r"^head\.conv_last\.1\.", "head.classifier."),
    ]


for _depth in (18, 50, 101):
    reference(
        f"sfnet_resnet{_depth}",
        model="sfnet",
        rules=SFSEGNETS_RESNET + sfsegnets_head(4),
        options=dict(backbone=f"resnet{_depth}", aux=False),
    )
reference(
    "sfnet_resnet18_dsn",
    model="sfnet",
    rules=SFSEGNETS_RESNET + sfsegnets_head(4),
    options=dict(backbone="resnet18", aux=True),
)
# "Lite" by its builder's name only: that builder gives ResNet-101 the whole head, with deep supervision.
reference(
    "sfnetlite_resnet101",
    model="sfnet",
    rules=SFSEGNETS_RESNET + sfsegnets_head(4),
    options=dict(backbone="resnet101", aux=True),
)
for _id, _backbone, _aux in (
    ("sfnet_dfnetv1", "dfnetv1", False),
    ("sfnet_dfnetv2", "dfnetv2", False),
    ("sfnet_dfnetv2_dsn", "dfnetv2", True),
):
    reference(
        _id,
        model="sfnet",
        rules=sfsegnets_head(3),
        options=dict(backbone=_backbone, aux=_aux),
    )
for _version in (1, 2):
    reference(
        f"sfnet_stdc{_version}",
        model="sfnet",
        rules=stdc_backbone(_version) + sfsegnets_head(4),
        unused=stdc_unused(),
        options=dict(backbone=f"stdc{_version}", aux=False),
    )
reference(
    "stdcfpn_stdc1",
    model="sfnet",
    rules=stdc_backbone(1) + sfsegnets_head(4),
    unused=stdc_unused(),
    options=dict(backbone="stdc1", aux=False, align="resize"),
)

PORT = MMSEG_RESNET + [
    (r"^backbone\.stem\.", "backbone.conv1."),
    (r"^neck\.ppm\.(\d)\.1\.", r"head.ppm.stages.\1."),
    (r"^neck\.bottleneck\.", "head.ppm_fuse."),
    (r"^neck\.fams\.(\d)\.low_conv\.", r"head.laterals.\1."),
    (r"^neck\.fams\.(\d)\.low_down_conv\.", r"head.aligns.\1.reduce_low."),
    (r"^neck\.fams\.(\d)\.high_down_conv\.", r"head.aligns.\1.reduce_high."),
    (r"^neck\.fams\.(\d)\.flow_conv\.", r"head.aligns.\1.flow."),
    (r"^neck\.convs\.", "head.smooths."),
    (r"^decode_head\.convs\.0\.", "head.fuse."),
    (r"^decode_head\.conv_seg\.", "head.classifier."),
    (r"^auxiliary_head\.(\d)\.convs\.0\.", r"aux_heads.\1.units.0."),
    (r"^auxiliary_head\.(\d)\.conv_seg\.", r"aux_heads.\1.classifier."),
]
for _id, _depth, _aux in (
    ("mmsfnet_resnet18", 18, False),
    ("mmsfnet_resnet18_dsn", 18, True),
    ("mmsfnet_resnet50", 50, False),
    ("mmsfnet_resnet101", 101, False),
):
    reference(
        _id,
        model="sfnet",
        form="mmsfnet",
        rules=PORT,
        options=dict(backbone=f"resnet{_depth}", aux=_aux),
    )

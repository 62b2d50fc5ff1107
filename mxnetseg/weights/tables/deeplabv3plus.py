"""DeepLabv3+ as published by MXNetSeg, GluonCV (two forms), mmsegmentation, the SFNet authors and
segmentation_models.pytorch."""

from __future__ import annotations

from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import (
    GLUONCV_ASPP,
    GLUONCV_RESNET,
    MMSEG_ASPP,
    MMSEG_AUX,
    MMSEG_ENCODERS,
    MXSEG_ASPP,
    SFSEGNETS_RESNET,
    gluoncv_head,
)
from mxnetseg.weights.tables.encoders import aspp, smp, unit

GLUONCV_XCEPTION = [(r"^((?:conv|bn)[1-5]|block(?:[123]|20)|midflow)\.", r"backbone.\1.")]

MXSEG_HEAD = [
    *MXSEG_ASPP,
    (r"^head\.conv_c1\.", "head.low."),
    (r"^head\.conv3x3\.", "head.units.0."),
    (r"^head\.head\.conv1\.", "head.units.1."),
    (r"^head\.head\.conv2\.", "head.classifier."),
]
for _backbone, _rules in (("resnet50_v1s", GLUONCV_RESNET), ("xception65", GLUONCV_XCEPTION)):
    reference(
        f"mxseg_deeplabv3plus_{_backbone.split('_')[0]}",
        model="deeplabv3plus",
        rules=_rules + MXSEG_HEAD,
        form="mxnetseg",
        options=dict(backbone=_backbone),
    )

reference(
    "gluoncv_deeplab_plus_xception",
    model="deeplabv3plus",
    rules=[
        *GLUONCV_XCEPTION,
        *GLUONCV_ASPP,
        *gluoncv_head("auxlayer", "aux_heads.0"),
        (r"^head\.c1_block\.0\.", "head.low.conv."),
        (r"^head\.c1_block\.1\.", "head.low.bn."),
        (r"^head\.block\.0\.", "head.units.0.conv."),
        (r"^head\.block\.1\.", "head.units.0.bn."),
        (r"^head\.block\.4\.", "head.units.1.conv."),
        (r"^head\.block\.5\.", "head.units.1.bn."),
        (r"^head\.block\.8\.", "head.classifier."),
    ],
    form="gluoncv",
)

reference(
    "gluoncv_deeplab_v3b_plus_wideresnet",
    model="deeplabv3plus",
    rules=[
        (r"^(mod[1-7])\.", r"backbone.\1."),
        (r"^head\.aspp\.project\.0\.", "head.aspp.project."),
        *GLUONCV_ASPP,
        (r"^head\.c1_block\.0\.", "head.low."),
        (r"^head\.block\.0\.", "head.units.0.conv."),
        (r"^head\.block\.1\.", "head.units.0.bn."),
        (r"^head\.block\.3\.", "head.units.1.conv."),
        (r"^head\.block\.4\.", "head.units.1.bn."),
        (r"^head\.block\.6\.", "head.classifier."),
    ],
    form="gluoncv_wide",
)

for _id, _backbone, _options in (
    ("r50", "resnet50_v1c", {}),
    ("r101", "resnet101_v1c", {}),
    ("s101", "resnest101", dict(backbone_options=dict(averages="strided"))),
):
    reference(
        f"mmseg_deeplabv3plus_{_id}-d8",
        model="deeplabv3plus",
        rules=[
            *MMSEG_ENCODERS,
            *MMSEG_ASPP,
            *MMSEG_AUX,
            (r"^decode_head\.c1_bottleneck\.", "head.low."),
            (r"^decode_head\.sep_bottleneck\.(\d)\.(depth|point)wise_conv\.", r"head.units.\1.\2wise."),
            (r"^decode_head\.conv_seg\.", "head.classifier."),
        ],
        form="mmseg",
        options=dict(backbone=_backbone, **_options),
    )

SFSEGNETS = [
    *SFSEGNETS_RESNET,
    (r"^aspp\.features\.(\d)\.0\.", r"head.aspp.branches.\1.conv."),
    (r"^aspp\.features\.(\d)\.1\.", r"head.aspp.branches.\1.bn."),
    (r"^aspp\.img_conv\.0\.", "head.aspp.pool.conv."),
    (r"^aspp\.img_conv\.1\.", "head.aspp.pool.bn."),
    (r"^bot_aspp\.", "head.aspp.project."),
    (r"^bot_fine\.", "head.low."),
    (r"^final\.0\.", "head.units.0.conv."),
    (r"^final\.1\.", "head.units.0.bn."),
    (r"^final\.3\.", "head.units.1.conv."),
    (r"^final\.4\.", "head.units.1.bn."),
    (r"^final\.6\.", "head.classifier."),
]
for _id, _depth, _stride in (
    ("deeplabv3plus", 50, 8),
    ("deeplabv3plus_os16", 50, 16),
    ("deeplabv3plus_resnet101", 101, 8),
):
    reference(
        _id,
        model="deeplabv3plus",
        rules=SFSEGNETS,
        form="sfsegnets",
        options=dict(backbone=f"resnet{_depth}_v1s", output_stride=_stride),
    )

SMP = [
    *aspp(r"decoder\.aspp\.0", separable=True),
    (r"^decoder\.aspp\.1\.0\.", "head.smooth.depthwise."),
    (r"^decoder\.aspp\.1\.1\.", "head.smooth.pointwise.conv."),
    (r"^decoder\.aspp\.2\.", "head.smooth.pointwise.bn."),
    *unit(r"decoder\.block1", "head.low"),
    (r"^decoder\.block2\.0\.0\.", "head.units.0.depthwise."),
    (r"^decoder\.block2\.0\.1\.", "head.units.0.pointwise.conv."),
    (r"^decoder\.block2\.1\.", "head.units.0.pointwise.bn."),
]
for _encoder in ("resnet34", "mobilenet_v2"):
    smp("deeplabv3plus", _encoder, "deeplabv3plus", SMP)

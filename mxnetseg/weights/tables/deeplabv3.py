"""DeepLabv3 as published by MXNetSeg, GluonCV, AceCoooool (on JPU) and mmsegmentation."""

from __future__ import annotations

from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import (
    ACE_JPU,
    ACE_RESNET,
    GLUONCV_ASPP,
    GLUONCV_RESNET,
    MMSEG_ASPP,
    MMSEG_AUX,
    MMSEG_JPU,
    MMSEG_RESNET,
    MXSEG_ASPP,
    gluoncv_head,
    mxseg_fcn_head,
)

reference(
    "mxseg_deeplabv3_resnet50",
    model="deeplabv3",
    rules=GLUONCV_RESNET
    + MXSEG_ASPP
    + mxseg_fcn_head(r"head\.head", "head.classifier")
    + mxseg_fcn_head("aux_head", "aux_heads.0"),
    options=dict(backbone="resnet50_v1s", units=1, rates=(6, 12, 18)),
)

BLOCK_HEADS = gluoncv_head("head", "head.classifier") + gluoncv_head("auxlayer", "aux_heads.0")
reference(
    "gluoncv_deeplab_resnet50",
    model="deeplabv3",
    rules=GLUONCV_RESNET + GLUONCV_ASPP + BLOCK_HEADS,
    options=dict(backbone="resnet50_v1s", units=1),
)
for _depth in (50, 101):
    reference(
        f"ace_deeplabv3_resnet{_depth}",
        model="deeplabv3",
        rules=ACE_RESNET + ACE_JPU + GLUONCV_ASPP + BLOCK_HEADS,
        options=dict(backbone=f"resnet{_depth}_v1s", output_stride=32, units=1, jpu=True),
    )

MMSEG = [
    *MMSEG_RESNET,
    *MMSEG_ASPP,
    *MMSEG_AUX,
    (r"^decode_head\.conv_seg\.", "head.classifier.classifier."),
]
MMSEG_OPTIONS = dict(width=512, pool_first=True, project="3x3", dropout=0.0, align_corners=False)
for _depth in (50, 101):
    reference(
        f"mmseg_deeplabv3_r{_depth}-d8",
        model="deeplabv3",
        rules=MMSEG,
        options=dict(backbone=f"resnet{_depth}_v1c", **MMSEG_OPTIONS),
    )
reference(
    "mmseg_fastfcn_r50-d32_jpu_aspp",
    model="deeplabv3",
    rules=MMSEG_JPU + MMSEG,
    options=dict(
        backbone="resnet50_v1c",
        output_stride=32,
        backbone_options=dict(dilation="strided_contracted"),
        jpu="fine_first",
        **MMSEG_OPTIONS,
    ),
)

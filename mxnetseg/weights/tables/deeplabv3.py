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
    form="mxnetseg",
    options=dict(backbone="resnet50_v1s"),
)

BLOCK_HEADS = gluoncv_head("head", "head.classifier") + gluoncv_head("auxlayer", "aux_heads.0")
reference(
    "gluoncv_deeplab_resnet50",
    model="deeplabv3",
    rules=GLUONCV_RESNET + GLUONCV_ASPP + BLOCK_HEADS,
    form="gluoncv",
    options=dict(backbone="resnet50_v1s"),
)
for _depth in (50, 101):
    reference(
        f"ace_deeplabv3_resnet{_depth}",
        model="deeplabv3",
        rules=ACE_RESNET + ACE_JPU + GLUONCV_ASPP + BLOCK_HEADS,
        form="ace_jpu",
        options=dict(backbone=f"resnet{_depth}_v1s"),
    )

MMSEG = [
    *MMSEG_RESNET,
    *MMSEG_ASPP,
    *MMSEG_AUX,
    (r"^decode_head\.conv_seg\.", "head.classifier.classifier."),
]
for _depth in (50, 101):
    reference(
        f"mmseg_deeplabv3_r{_depth}-d8",
        model="deeplabv3",
        rules=MMSEG,
        form="mmseg",
        options=dict(backbone=f"resnet{_depth}_v1c"),
    )
reference(
    "mmseg_fastfcn_r50-d32_jpu_aspp",
    model="deeplabv3",
    rules=MMSEG_JPU + MMSEG,
    form="mmseg_jpu",
)

"""FCN as published by MXNetSeg, GluonCV, AceCoooool, mmsegmentation and torchvision."""

from __future__ import annotations

from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import (
    ACE_JPU,
    ACE_RESNET,
    GLUONCV_RESNET,
    MMSEG_AUX,
    MMSEG_ENCODERS,
    MMSEG_FCN_HEAD,
    MMSEG_HRNET,
    gluoncv_head,
    mxseg_fcn_head,
    torchvision_aux,
)

MXSEG = GLUONCV_RESNET + mxseg_fcn_head("head", "head.classifier") + mxseg_fcn_head("aux_head", "aux_heads.0")
for _id, _backbone, _stride in (
    ("mxseg_fcn_resnet18_os32", "resnet18", 32),
    ("mxseg_fcn_resnet18_os8", "resnet18", 8),
    ("mxseg_fcn_resnet50_os8", "resnet50_v1s", 8),
    ("mxseg_fcn_resnet101_os8", "resnet101_v1s", 8),
    ("mxseg_fcn_mobilenet_v2_1_0", "mobilenetv2_1.0", 32),
):
    reference(
        _id,
        model="fcn",
        rules=MXSEG,
        form="mxnetseg",
        options=dict(backbone=_backbone, output_stride=_stride),
    )

BLOCK_HEADS = gluoncv_head("head", "head.classifier") + gluoncv_head("auxlayer", "aux_heads.0")
for _depth in (50, 101):
    reference(
        f"gluoncv_fcn_resnet{_depth}",
        model="fcn",
        rules=GLUONCV_RESNET + BLOCK_HEADS,
        form="gluoncv",
        options=dict(backbone=f"resnet{_depth}_v1s"),
    )
    reference(
        f"ace_fcn_resnet{_depth}",
        model="fcn",
        rules=ACE_RESNET + ACE_JPU + BLOCK_HEADS,
        form="ace_jpu",
        options=dict(backbone=f"resnet{_depth}_v1s"),
    )
    reference(
        f"mmseg_fcn_r{_depth}-d8",
        model="fcn",
        rules=MMSEG_ENCODERS + MMSEG_FCN_HEAD + MMSEG_AUX,
        form="mmseg",
        options=dict(backbone=f"resnet{_depth}_v1c"),
    )
for _width in (18, 48):
    reference(
        f"mmseg_fcn_hr{_width}",
        model="fcn",
        rules=MMSEG_HRNET + MMSEG_FCN_HEAD,
        form="mmseg_hrnet",
        options=dict(backbone=f"hrnet_w{_width}"),
    )
reference(
    "mmseg_fcn_m-v2-d8",
    model="fcn",
    rules=MMSEG_ENCODERS + MMSEG_FCN_HEAD + MMSEG_AUX,
    form="mmseg",
    options=dict(backbone="mobilenetv2_1.0", backbone_options=dict(dilated="first")),
)

reference(
    "tv_fcn_resnet50",
    model="fcn",
    rules=[
        (r"^classifier\.0\.", "head.classifier.units.0.conv."),
        (r"^classifier\.1\.", "head.classifier.units.0.bn."),
        (r"^classifier\.4\.", "head.classifier.classifier."),
        *torchvision_aux(),
    ],
    form="torchvision",
)

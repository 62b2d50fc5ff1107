"""PSPNet as published by MXNetSeg, GluonCV, AceCoooool, mmsegmentation, the SFNet authors and
segmentation_models.pytorch."""

from __future__ import annotations

from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import (
    ACE_JPU,
    ACE_RESNET,
    GLUONCV_RESNET,
    MMSEG_AUX,
    MMSEG_ENCODERS,
    MMSEG_JPU,
    SFSEGNETS_RESNET,
    gluoncv_head,
    mxseg_fcn_head,
    numbered,
)
from mxnetseg.weights.tables.encoders import smp, unit

reference(
    "mxseg_pspnet_resnet50",
    model="pspnet",
    rules=GLUONCV_RESNET
    + [(r"^head\.pool\.conv(\d)\.", numbered("head.ppm.stages.{}.", 1))]
    + mxseg_fcn_head(r"head\.seg_head", "head.classifier")
    + mxseg_fcn_head("aux_head", "aux_heads.0"),
    form="mxnetseg",
    options=dict(backbone="resnet50_v1s"),
)

# GluonCV and AceCoooool share the head's names.
BLOCK_HEAD = [
    (r"^head\.psp\.conv(\d)\.0\.", numbered("head.ppm.stages.{}.conv.", 1)),
    (r"^head\.psp\.conv(\d)\.1\.", numbered("head.ppm.stages.{}.bn.", 1)),
    *gluoncv_head("head", "head.classifier"),
    *gluoncv_head("auxlayer", "aux_heads.0"),
]
reference(
    "gluoncv_psp_resnet50",
    model="pspnet",
    rules=GLUONCV_RESNET + BLOCK_HEAD,
    form="gluoncv",
    options=dict(backbone="resnet50_v1s"),
)
for _depth in (50, 101):
    reference(
        f"ace_pspnet_resnet{_depth}",
        model="pspnet",
        rules=ACE_RESNET + BLOCK_HEAD,
        form="ace",
        options=dict(backbone=f"resnet{_depth}_v1s"),
    )
reference(
    "ace_pspnet_jpu_resnet50",
    model="pspnet",
    rules=ACE_RESNET + ACE_JPU + BLOCK_HEAD,
    form="ace_jpu",
)

MMSEG = [
    *MMSEG_ENCODERS,
    *MMSEG_AUX,
    (r"^decode_head\.psp_modules\.(\d)\.1\.", r"head.ppm.stages.\1."),
    (r"^decode_head\.bottleneck\.", "head.classifier.units.0."),
    (r"^decode_head\.conv_seg\.", "head.classifier.classifier."),
]
for _depth in (18, 50, 101):
    reference(
        f"mmseg_pspnet_r{_depth}-d8",
        model="pspnet",
        rules=MMSEG,
        form="mmseg",
        options=dict(backbone=f"resnet{_depth}_v1c"),
    )
reference(
    "mmseg_fastfcn_r50-d32_jpu_psp",
    model="pspnet",
    rules=MMSEG_JPU + MMSEG,
    form="mmseg_jpu",
)

SFSEGNETS = [
    *SFSEGNETS_RESNET,
    (r"^ppm\.stages\.(\d)\.1\.", r"head.ppm.stages.\1.conv."),
    (r"^ppm\.stages\.(\d)\.2\.", r"head.ppm.stages.\1.bn."),
    (r"^ppm\.bottleneck\.0\.", "head.reduce.0.conv."),
    (r"^ppm\.bottleneck\.1\.", "head.reduce.0.bn."),
    (r"^final\.0\.", "head.classifier.units.0.conv."),
    (r"^final\.1\.", "head.classifier.units.0.bn."),
    (r"^final\.3\.", "head.classifier.classifier."),
]
for _id, _backbone in (("pspnet", "resnet50_v1s"), ("pspnet_resnet101", "resnet101_v1s")):
    reference(
        _id,
        model="pspnet",
        rules=SFSEGNETS,
        form="sfsegnets",
        options=dict(backbone=_backbone),
    )

smp(
    "pspnet",
    "resnet34",
    "pspnet",
    [
        (r"^decoder\.psp\.blocks\.0\.pool\.1\.0\.", "head.ppm.stages.0."),
        *unit(r"decoder\.psp\.blocks\.(\d)\.pool\.1", r"head.ppm.stages.\1"),
        *unit(r"decoder\.conv", "head.classifier.units.0"),
        (r"^head\.classifier\.(weight|bias)$", r"head.classifier.classifier.\1"),
    ],
)

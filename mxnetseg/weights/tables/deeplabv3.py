"""DeepLabv3 as published by MXNetSeg, GluonCV, AceCoooool (on JPU), mmsegmentation, torchvision and
segmentation_models.pytorch."""

from __future__ import annotations

from mxnetseg.backbones.naming import HF_MOBILENETV2, MOBILEVIT, MOBILEVITV2, under
from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import (
    ACE_JPU,
    ACE_RESNET,
    GLUONCV_ASPP,
    GLUONCV_RESNET,
    MMSEG_ASPP,
    MMSEG_AUX,
    MMSEG_ENCODERS,
    MMSEG_JPU,
    MXSEG_ASPP,
    gluoncv_head,
    mobilenetv3,
    mxseg_fcn_head,
    torchvision_aux,
)
from mxnetseg.weights.tables.encoders import aspp, smp

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
    *MMSEG_ENCODERS,
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


HF_CLASSIFIER = (r"^segmentation_head\.classifier\.convolution\.", "head.classifier.classifier.")
HF_UNITS = [(r"^(head\..*)\.convolution\.", r"\1.conv."), (r"^(head\..*)\.normalization\.", r"\1.bn.")]
reference(
    "hf_mobilenet_v2_deeplabv3plus",
    model="deeplabv3",
    form="transformers_mobilenet",
    rules=[
        *under("mobilenet_v2.", HF_MOBILENETV2),
        (r"^segmentation_head\.conv_pool\.", "head.aspp.pool."),
        (r"^segmentation_head\.conv_aspp\.", "head.aspp.branches.0."),
        (r"^segmentation_head\.conv_projection\.", "head.aspp.project."),
        HF_CLASSIFIER,
        *HF_UNITS,
    ],
    # The closing convolution is run for nothing.
    unused=(r"^mobilenet_v2\.conv_1x1\.",),
)
for _id, _backbone, _rules in (
    ("hf_mobilevit-small_deeplabv3", "mobilevit", MOBILEVIT),
    ("hf_mobilevitv2-1.0_deeplabv3", "mobilevitv2", MOBILEVITV2),
):
    reference(
        _id,
        model="deeplabv3",
        form=f"transformers_{_backbone}",
        bgr=f"{_backbone}.conv_stem.convolution.weight",
        rules=[
            *under(f"{_backbone}.", _rules),
            (r"^segmentation_head\.aspp\.convs\.4\.conv_1x1\.", "head.aspp.pool."),
            (r"^segmentation_head\.aspp\.convs\.", "head.aspp.branches."),
            (r"^segmentation_head\.aspp\.project\.", "head.aspp.project."),
            HF_CLASSIFIER,
            *HF_UNITS,
        ],
    )

smp(
    "deeplabv3",
    "resnet34",
    "deeplabv3",
    [
        *aspp(r"decoder\.aspp"),
        (r"^decoder\.conv\.", "head.classifier.units.0.conv."),
        (r"^decoder\.bn\.", "head.classifier.units.0.bn."),
        (r"^head\.classifier\.(weight|bias)$", r"head.classifier.classifier.\1"),
    ],
)

TORCHVISION = [
    *aspp(r"classifier\.0"),
    (r"^classifier\.1\.", "head.classifier.units.0.conv."),
    (r"^classifier\.2\.", "head.classifier.units.0.bn."),
    (r"^classifier\.4\.", "head.classifier.classifier."),
    *torchvision_aux(),
]
reference("tv_deeplabv3_resnet50", model="deeplabv3", rules=TORCHVISION, form="torchvision")
reference(
    "tv_deeplabv3_mobilenet_v3_large",
    model="deeplabv3",
    rules=[*mobilenetv3("large"), *TORCHVISION],
    form="torchvision_mobilenet",
)

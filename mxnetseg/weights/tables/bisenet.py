"""BiSeNet as published in SFSegNets, MXNetSeg and mmsegmentation."""

from __future__ import annotations

from typing import List

from mxnetseg.backbones.naming import Rule
from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import GLUONCV_RESNET, MMSEG_AUX_HEADS, SFSEGNETS_RESNET, mxseg_fcn_head


def sfsegnets_context(prefix: str = "") -> List[Rule]:
    """The context path of the SFNet repository, shared with its STDC networks."""
    return [
        (rf"^{prefix}conv_avg\.", "neck.context_path.pooled."),
        (rf"^{prefix}arm16\.", "neck.context_path.refine_c3."),
        (rf"^{prefix}arm32\.", "neck.context_path.refine_c4."),
        (r"^(neck\.context_path\.refine_c\d)\.conv\.", r"\1.unit."),
        (r"^(neck\.context_path\.refine_c\d)\.conv_atten\.", r"\1.gate.conv."),
        (r"^(neck\.context_path\.refine_c\d)\.bn_atten\.", r"\1.gate.bn."),
        (rf"^{prefix}conv_head32\.", "neck.context_path.smooth_c4."),
        (rf"^{prefix}conv_head16\.", "neck.context_path.smooth_c3."),
        (r"^ffm\.convblk\.", "neck.fusion.join."),
        (r"^ffm\.conv1\.", "neck.fusion.gate.0."),
        (r"^ffm\.conv2\.", "neck.fusion.gate.1."),
    ]


SFSEGNETS_SPATIAL = [
    (r"^sp\.conv([123])\.", lambda m: f"neck.spatial_path.units.{int(m.group(1)) - 1}."),
    (r"^sp\.conv_out\.", "neck.spatial_path.units.3."),
]
reference(
    "bisenet",
    model="bisenet",
    rules=SFSEGNETS_RESNET
    + SFSEGNETS_SPATIAL
    + sfsegnets_context()
    + [
        (r"^conv_out\.conv\.", "head.classifier.unit."),
        (r"^conv_out\.conv_out\.", "head.classifier.classifier."),
        (r"^conv_out16\.", "aux_heads.0."),
        (r"^conv_out32\.", "aux_heads.1."),
        (r"^(aux_heads\.\d)\.conv\.", r"\1.unit."),
        (r"^(aux_heads\.\d)\.conv_out\.", r"\1.classifier."),
    ],
    form="sfsegnets",
)

MXSEG = [
    (r"^head\.spatial_path\.conv7x7\.", "neck.spatial_path.units.0."),
    (r"^head\.spatial_path\.conv3x3_([12])\.", r"neck.spatial_path.units.\1."),
    (r"^head\.spatial_path\.conv1x1\.", "neck.spatial_path.units.3."),
    (r"^head\.global_flow\.conv1x1\.", "neck.context_path.pooled."),
    (r"^head\.refine_(c[34])\.conv3x3\.", r"neck.context_path.refine_\1.unit."),
    (r"^head\.refine_(c[34])\.conv1x1\.", r"neck.context_path.refine_\1.gate."),
    (r"^head\.proj\.", "neck.context_path.smooth."),
    (r"^head\.fusion\.proj\.", "neck.fusion.join."),
    (r"^head\.fusion\.conv1x1_1\.", "neck.fusion.gate.0."),
    (r"^head\.fusion\.conv1x1_2\.", "neck.fusion.gate.1."),
    *mxseg_fcn_head(r"head\.seg", "head.classifier"),
    *mxseg_fcn_head(r"aux_head\.0", "aux_heads.0"),
    *mxseg_fcn_head(r"aux_head\.1", "aux_heads.1"),
]
XCEPTION39 = [(r"^(conv|layer[123])\.", r"backbone.\1.")]
for _backbone, _rules in (("resnet18", GLUONCV_RESNET), ("xception39", XCEPTION39)):
    reference(
        f"mxseg_bisenet_{_backbone}",
        model="bisenet",
        rules=_rules + MXSEG,
        form="mxnetseg",
        options=dict(backbone=_backbone),
    )

MMSEG = [
    (r"^backbone\.context_path\.backbone\.", "backbone."),
    (
        r"^backbone\.spatial_path\.layer([1-4])\.",
        lambda m: f"neck.spatial_path.units.{int(m.group(1)) - 1}.",
    ),
    (r"^backbone\.context_path\.gap_conv\.1\.", "neck.context_path.pooled."),
    (r"^backbone\.context_path\.arm16\.", "neck.context_path.refine_c3."),
    (r"^backbone\.context_path\.arm32\.", "neck.context_path.refine_c4."),
    (r"^(neck\.context_path\.refine_c\d)\.conv_layer\.", r"\1.unit."),
    (r"^(neck\.context_path\.refine_c\d)\.atten_conv_layer\.1\.", r"\1.gate."),
    (r"^backbone\.context_path\.conv_head32\.", "neck.context_path.smooth_c4."),
    (r"^backbone\.context_path\.conv_head16\.", "neck.context_path.smooth_c3."),
    (r"^backbone\.ffm\.conv1\.", "neck.fusion.join."),
    (r"^backbone\.ffm\.conv_atten\.0\.", "neck.fusion.gate.0."),
    (r"^decode_head\.convs\.0\.", "head.classifier.units.0."),
    (r"^decode_head\.conv_seg\.", "head.classifier.classifier."),
] + MMSEG_AUX_HEADS
for _depth in (18, 50):
    reference(
        f"mmseg_bisenetv1_r{_depth}-d32",
        model="bisenet",
        rules=MMSEG,
        form="mmseg",
        options=dict(backbone=f"resnet{_depth}"),
    )

"""ICNet as published in SFSegNets, GluonCV and mmsegmentation."""

from __future__ import annotations

from typing import List

from mxnetseg.backbones.naming import Rule
from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import (
    GLUONCV_RESNET,
    MMSEG_AUX_HEADS,
    MMSEG_RESNET,
    SFSEGNETS_RESNET,
    numbered,
    sfsegnets_ppm,
)

REDUCTIONS = [
    (r"^conv_sub4\.", "neck.reduce_quarter."),
    (r"^conv_sub2\.", "neck.reduce_half."),
]


def fusions(prefix: str, coarse: int = 0) -> List[Rule]:
    """The two cascade fusions below `prefix`; GluonCV misspells `high`. `coarse`: place of the coarser side
    classifier among the auxiliary heads."""
    return [
        (rf"^{prefix}cff_24\.conv_low\.", "neck.fuse_half.low."),
        (rf"^{prefix}cff_24\.conv_hi(?:gh|gn)\.", "neck.fuse_half.high."),
        (rf"^{prefix}cff_12\.conv_low\.", "neck.fuse_full.low."),
        (rf"^{prefix}cff_12\.conv_hi(?:gh|gn)\.", "neck.fuse_full.high."),
        (rf"^{prefix}cff_24\.conv_low_cls\.", f"aux_heads.{coarse}.classifier."),
        (rf"^{prefix}cff_12\.conv_low_cls\.", "aux_heads.1.classifier."),
        (rf"^{prefix}conv_cls\.", "head.classifier.classifier."),
    ]


# Units stored as bare sequences: convolution 0, batch norm 1.
UNIT_0_1 = [
    (r"^(neck\.(?:fuse_\w+\.(?:low|high)|reduce_\w+|full\.\d))\.0\.", r"\1.conv."),
    (r"^(neck\.(?:fuse_\w+\.(?:low|high)|reduce_\w+|full\.\d))\.1\.", r"\1.bn."),
]
FULL = [(r"^conv_sub1\.(\d)\.", r"neck.full.\1.")]

reference(
    "icnet",
    model="icnet",
    rules=SFSEGNETS_RESNET
    + FULL
    + REDUCTIONS
    + fusions(r"ic_head\.")
    + UNIT_0_1
    + sfsegnets_ppm("psp_head", "neck.ppm", "neck.ppm_fuse"),
    form="sfsegnets",
)
reference(
    "gluoncv_icnet_resnet50",
    model="icnet",
    rules=GLUONCV_RESNET
    + FULL
    + REDUCTIONS
    + fusions(r"head\.", coarse=2)
    + UNIT_0_1
    + [
        (r"^psp_head\.psp\.conv(\d)\.0\.", numbered("neck.ppm.stages.{}.conv.", 1)),
        (r"^psp_head\.psp\.conv(\d)\.1\.", numbered("neck.ppm.stages.{}.bn.", 1)),
        (r"^psp_head\.block\.0\.", "neck.ppm_fuse.conv."),
        (r"^psp_head\.block\.1\.", "neck.ppm_fuse.bn."),
    ],
    form="gluoncv",
)
reference(
    "mmseg_icnet_r50-d8",
    model="icnet",
    rules=[
        (r"^backbone\.backbone\.", "backbone."),
        (r"^backbone\.psp_modules\.(\d)\.1\.", r"neck.ppm.stages.\1."),
        (r"^backbone\.psp_bottleneck\.", "neck.ppm_fuse."),
        (r"^backbone\.(conv_sub\d)\.", r"\1."),
        *MMSEG_RESNET,
        *FULL,
        *REDUCTIONS,
        *fusions(r"neck\."),
        (r"^decode_head\.convs\.", "head.classifier.units."),
        (r"^decode_head\.conv_seg\.", "head.classifier.classifier."),
        *MMSEG_AUX_HEADS,
    ],
    form="mmseg",
)

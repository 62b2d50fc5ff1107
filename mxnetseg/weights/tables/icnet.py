"""ICNet as published in SFSegNets, GluonCV and mmsegmentation."""

from __future__ import annotations

from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.bisenet import UNDER_PATHS
from mxnetseg.weights.tables.common import (
    GLUONCV_RESNET,
    MMSEG_AUX_HEADS,
    MMSEG_RESNET,
    SFSEGNETS_RESNET,
    numbered,
    sfsegnets_ppm,
)

REDUCTIONS = [
    (r"^conv_sub4\.", "backbone.reduce_quarter."),
    (r"^conv_sub2\.", "backbone.reduce_half."),
]


def fusions(prefix, coarse=0):
    """The two cascade fusions below `prefix`; GluonCV misspells `high`. `coarse`: place of the coarser side
    classifier among the auxiliary heads."""
    return [
        (rf"^{prefix}cff_24\.conv_low\.", "backbone.fuse_half.low."),
        (rf"^{prefix}cff_24\.conv_hi(?:gh|gn)\.", "backbone.fuse_half.high."),
        (rf"^{prefix}cff_12\.conv_low\.", "backbone.fuse_full.low."),
        (rf"^{prefix}cff_12\.conv_hi(?:gh|gn)\.", "backbone.fuse_full.high."),
        (rf"^{prefix}cff_24\.conv_low_cls\.", f"aux_heads.{coarse}.classifier."),
        (rf"^{prefix}cff_12\.conv_low_cls\.", "aux_heads.1.classifier."),
        (rf"^{prefix}conv_cls\.", "head.classifier.classifier."),
    ]


# Units stored as bare sequences: convolution 0, batch norm 1.
UNIT_0_1 = [
    (r"^(backbone\.(?:fuse_\w+\.(?:low|high)|reduce_\w+|full\.\d))\.0\.", r"\1.conv."),
    (r"^(backbone\.(?:fuse_\w+\.(?:low|high)|reduce_\w+|full\.\d))\.1\.", r"\1.bn."),
]
FULL = [(r"^conv_sub1\.(\d)\.", r"backbone.full.\1.")]

reference(
    "icnet",
    family="sfsegnets",
    model="icnet",
    rules=SFSEGNETS_RESNET
    + UNDER_PATHS
    + FULL
    + REDUCTIONS
    + fusions(r"ic_head\.")
    + UNIT_0_1
    + sfsegnets_ppm("psp_head", "backbone.ppm", "backbone.ppm_fuse"),
    options=dict(
        backbone="resnet50",
        output_stride=32,
        backbone_options=dict(stem="deep"),
        ppm_act=None,
        ppm_first=False,
        ppm_kernel=1,
        supervise_main=True,
    ),
)
reference(
    "gluoncv_icnet_resnet50",
    family="gluoncv",
    model="icnet",
    rules=GLUONCV_RESNET
    + UNDER_PATHS
    + FULL
    + REDUCTIONS
    + fusions(r"head\.", coarse=2)
    + UNIT_0_1
    + [
        (r"^psp_head\.psp\.conv(\d)\.0\.", numbered("backbone.ppm.stages.{}.conv.", 1)),
        (r"^psp_head\.psp\.conv(\d)\.1\.", numbered("backbone.ppm.stages.{}.bn.", 1)),
        (r"^psp_head\.block\.0\.", "backbone.ppm_fuse.conv."),
        (r"^psp_head\.block\.1\.", "backbone.ppm_fuse.bn."),
    ],
    options=dict(backbone="resnet50_v1s", supervise_main=True, fine_first=True),
)
reference(
    "mmseg_icnet_r50-d8",
    family="mmseg",
    model="icnet",
    rules=[
        (r"^backbone\.backbone\.", "backbone."),
        (r"^backbone\.psp_modules\.(\d)\.1\.", r"paths.ppm.stages.\1."),
        (r"^backbone\.psp_bottleneck\.", "paths.ppm_fuse."),
        (r"^backbone\.(conv_sub\d)\.", r"\1."),
        *MMSEG_RESNET,
        *UNDER_PATHS,
        *FULL,
        *REDUCTIONS,
        *fusions(r"neck\."),
        (r"^paths\.", "backbone."),
        (r"^decode_head\.convs\.", "head.classifier.units."),
        (r"^decode_head\.conv_seg\.", "head.classifier.classifier."),
        *MMSEG_AUX_HEADS,
    ],
    options=dict(
        backbone="resnet50_v1c", corners=False, ceil_pool=True, ppm_first=False, early_act=True, units=1
    ),
)

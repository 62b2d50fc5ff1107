"""Semantic FPN as published by MXNetSeg, mmsegmentation and segmentation_models.pytorch."""

from __future__ import annotations

from mxnetseg.backbones.hierarchical_names import POOLFORMER, TWINS
from mxnetseg.backbones.naming import split_projections, under
from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import GLUONCV_RESNET, MMSEG_RESNET, numbered
from mxnetseg.weights.tables.encoders import smp, unit

reference(
    "mxseg_semanticfpn_resnet50",
    model="semanticfpn",
    rules=[
        *GLUONCV_RESNET,
        (r"^head\.fpn\.conv\.", "head.fpn.laterals.3."),
        (r"^head\.fpn\.lateral16x\.", "head.fpn.lateral.2."),
        (r"^head\.fpn\.lateral8x\.", "head.fpn.lateral.1."),
        (r"^head\.fpn\.lateral4x\.", "head.fpn.lateral.0."),
        (r"^head\.fpn\.lateral\.(\d)\.conv1x1\.", r"head.fpn.laterals.\1."),
        (r"^head\.fpn\.lateral\.(\d)\.conv3x3\.", r"head.fpn.outs.\1."),
        (r"^head\.semantic\.scale_p2\.", "head.branches.0.0."),
        (r"^head\.semantic\.scale_p([345])\.", lambda m: f"head.branches.{int(m.group(1)) - 2}."),
        (r"^head\.seg\.", "head.classifier."),
    ],
    form="mxnetseg",
    options=dict(backbone="resnet50_v1s"),
)

MMSEG = [
    (r"^neck\.lateral_convs\.(\d)\.conv\.", r"head.fpn.laterals.\1."),
    (r"^neck\.fpn_convs\.(\d)\.conv\.", r"head.fpn.outs.\1."),
    # Resizing layers are numbered with the units there.
    (
        r"^decode_head\.scale_heads\.(\d)\.(\d)\.",
        lambda m: f"head.branches.{m.group(1)}.{int(m.group(2)) // 2}.",
    ),
    (r"^decode_head\.conv_seg\.", "head.classifier."),
]
for _depth in (50, 101):
    reference(
        f"mmseg_sem_fpn_r{_depth}",
        model="semanticfpn",
        rules=[*MMSEG_RESNET, *MMSEG],
        form="mmseg",
        options=dict(backbone=f"resnet{_depth}_v1c"),
    )
for _kind in ("pcpvt", "svt"):
    reference(
        f"mmseg_fpn_twins_{_kind}-s",
        model="semanticfpn",
        rules=[*under("backbone.", TWINS), *MMSEG],
        form="mmseg",
        options=dict(backbone=f"twins_{_kind}_small"),
        prepare=split_projections,
    )
reference(
    "mmseg_fpn_poolformer_s12",
    model="semanticfpn",
    rules=[*under("backbone.", POOLFORMER), *MMSEG],
    form="mmseg",
    options=dict(backbone="poolformer_s12", backbone_options=dict(frozen_patches=True)),
)

for _encoder in ("resnet34", "efficientnet-b0"):
    smp(
        "fpn",
        _encoder,
        "semanticfpn",
        [
            (r"^decoder\.p5\.", "head.fpn.laterals.3."),
            (r"^decoder\.p([234])\.skip_conv\.", numbered("head.fpn.laterals.{}.", 2)),
            (
                r"^decoder\.seg_blocks\.(\d)\.block\.(\d)\.block\.",
                lambda m: f"branch.{3 - int(m.group(1))}.{m.group(2)}.",
            ),
            *unit(r"branch\.(\d)\.(\d)", r"head.branches.\1.\2"),
        ],
    )

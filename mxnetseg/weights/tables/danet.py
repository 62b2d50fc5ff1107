"""DANet as published by MXNetSeg, GluonCV, AceCoooool (on JPU), mmsegmentation and the SFNet authors."""

from __future__ import annotations

from typing import List

from mxnetseg.backbones.naming import Rule
from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import (
    ACE_JPU,
    ACE_RESNET,
    GLUONCV_RESNET,
    MMSEG_RESNET,
    SFSEGNETS_RESNET,
)

reference(
    "mxseg_danet_resnet50",
    model="danet",
    rules=[
        *GLUONCV_RESNET,
        (r"^head\.compress_pam\.", "head.position_in."),
        (r"^head\.compress_cam\.", "head.channel_in."),
        (r"^head\.pam\.(query|key|value)_conv\.", r"head.position.\1."),
        (r"^head\.pam\.", "head.position."),
        (r"^head\.cam\.", "head.channel."),
        (r"^head\.proj_pam\.", "head.position_out.0."),
        (r"^head\.proj_cam\.", "head.channel_out.0."),
        (r"^head\.head\.1\.", "head.classifier."),
        (r"^aux_head\.(\d)\.1\.", r"aux_heads.\1.classifier."),
    ],
    form="mxnetseg",
    options=dict(backbone="resnet50_v1s"),
)


def dual_head(prefix: str) -> List[Rule]:
    """The head under the names of the DANet authors, which three repositories keep."""
    return [
        (rf"^{prefix}\.conv5a\.", "head.position_in."),
        (rf"^{prefix}\.conv5c\.", "head.channel_in."),
        (rf"^{prefix}\.sa\.(query|key|value)_conv\.", r"head.position.\1."),
        (rf"^{prefix}\.sa\.", "head.position."),
        (rf"^{prefix}\.sc\.", "head.channel."),
        (rf"^{prefix}\.conv51\.", "head.position_out.0."),
        (rf"^{prefix}\.conv52\.", "head.channel_out.0."),
        (r"^(head\.(?:position|channel)_(?:in|out\.0))\.0\.", r"\1.conv."),
        (r"^(head\.(?:position|channel)_(?:in|out\.0))\.1\.", r"\1.bn."),
    ]


reference(
    "gluoncv_danet_resnet50",
    model="danet",
    rules=[
        *GLUONCV_RESNET,
        *dual_head("head"),
        (r"^head\.conv6\.0\.", "aux_heads.0.classifier."),
        (r"^head\.conv7\.0\.", "aux_heads.1.classifier."),
        (r"^head\.conv8\.0\.", "head.classifier."),
    ],
    form="gluoncv",
    options=dict(backbone="resnet50_v1s"),
)
for _depth in (50, 101):
    reference(
        f"ace_danet_resnet{_depth}",
        model="danet",
        rules=[*ACE_RESNET, *ACE_JPU, *dual_head("head"), (r"^head\.conv8\.1\.", "head.classifier.")],
        form="ace_jpu",
        options=dict(backbone=f"resnet{_depth}_v1s"),
    )
    reference(
        f"mmseg_danet_r{_depth}-d8",
        model="danet",
        rules=[
            *MMSEG_RESNET,
            (r"^auxiliary_head\.convs\.", "aux_heads.2.units."),
            (r"^auxiliary_head\.conv_seg\.", "aux_heads.2.classifier."),
            (r"^decode_head\.pam_conv_seg\.", "aux_heads.0.classifier."),
            (r"^decode_head\.cam_conv_seg\.", "aux_heads.1.classifier."),
            (r"^decode_head\.conv_seg\.", "head.classifier."),
            (r"^decode_head\.pam_in_conv\.", "head.position_in."),
            (r"^decode_head\.cam_in_conv\.", "head.channel_in."),
            (r"^decode_head\.pam_out_conv\.", "head.position_out.0."),
            (r"^decode_head\.cam_out_conv\.", "head.channel_out.0."),
            (r"^decode_head\.pam\.(query|key|value)_project\.", r"head.position.\1."),
            (r"^decode_head\.pam\.gamma\.scale$", "head.position.gamma"),
            (r"^decode_head\.cam\.gamma\.scale$", "head.channel.gamma"),
        ],
        form="mmseg",
        options=dict(backbone=f"resnet{_depth}_v1c"),
    )
for _id, _depth in (("danet", 50), ("danet_resnet101", 101)):
    reference(
        _id,
        model="danet",
        rules=[
            *SFSEGNETS_RESNET,
            *dual_head("da_head"),
            (r"^da_head\.conv6\.1\.", "head.position_out.2."),
            (r"^da_head\.conv7\.1\.", "head.channel_out.2."),
            (r"^final\.", "head.classifier."),
        ],
        form="sfsegnets",
        options=dict(backbone=f"resnet{_depth}_v1s"),
    )

"""BiSeNetV2 as published in mmsegmentation."""

from __future__ import annotations

from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import MMSEG_AUX_HEADS

# The detail branch's three stages hold 2, 3 and 3 units; ours are one sequence.
DETAIL_STARTS = (0, 2, 5)

reference(
    "mmseg_bisenetv2",
    model="bisenetv2",
    form="mmseg",
    rules=[
        (
            r"^backbone\.detail\.detail_branch\.(\d)\.(\d)\.",
            lambda m: f"neck.detail.{DETAIL_STARTS[int(m.group(1))] + int(m.group(2))}.",
        ),
        (r"^backbone\.semantic\.stage1\.conv_first\.", "backbone.stem.first."),
        (r"^backbone\.semantic\.stage1\.convs\.", "backbone.stem.convolved."),
        (r"^backbone\.semantic\.stage1\.fuse_last\.", "backbone.stem.join."),
        (r"^backbone\.semantic\.stage([234])\.", lambda m: f"backbone.stages.{int(m.group(1)) - 2}."),
        (r"^(backbone\.stages\.\d\.\d)\.conv1\.", r"\1.gather."),
        (r"^(backbone\.stages\.\d\.\d)\.dwconv\.", r"\1.expand."),
        (r"^(backbone\.stages\.\d\.\d)\.conv2\.0\.", r"\1.project."),
        (r"^(backbone\.stages\.\d\.\d)\.shortcut\.0\.depthwise_conv\.", r"\1.shortcut.0."),
        (r"^(backbone\.stages\.\d\.\d)\.shortcut\.0\.pointwise_conv\.", r"\1.shortcut.1."),
        (r"^backbone\.semantic\.stage4_CEBlock\.gap\.1\.", "neck.embed.bn."),
        (r"^backbone\.semantic\.stage4_CEBlock\.conv_gap\.", "neck.embed.mix."),
        (r"^backbone\.semantic\.stage4_CEBlock\.conv_last\.", "neck.embed.smooth."),
        (r"^backbone\.bga\.detail_dwconv\.0\.", "neck.aggregate.detail_keep."),
        (r"^backbone\.bga\.detail_down\.0\.", "neck.aggregate.detail_down."),
        (r"^backbone\.bga\.semantic_conv\.0\.", "neck.aggregate.semantic_up."),
        (r"^backbone\.bga\.semantic_dwconv\.0\.", "neck.aggregate.semantic_keep."),
        (r"^(neck\.aggregate\.\w+_keep)\.depthwise_conv\.", r"\1.0."),
        (r"^(neck\.aggregate\.\w+_keep)\.pointwise_conv\.conv\.", r"\1.1."),
        (r"^backbone\.bga\.conv\.", "neck.aggregate.blend."),
        (r"^decode_head\.convs\.", "head.classifier.units."),
        (r"^decode_head\.conv_seg\.", "head.classifier.classifier."),
        *MMSEG_AUX_HEADS,
    ],
)

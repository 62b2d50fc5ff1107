"""ANN, APCNet and DMNet as published by mmsegmentation."""

from __future__ import annotations

from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import MMSEG_AUX, MMSEG_RESNET, without_twins

ENDS = [
    *MMSEG_RESNET,
    *MMSEG_AUX,
    (r"^decode_head\.conv_seg\.", "head.classifier."),
]


def enter(name, model, rules, prepare=None):
    reference(
        name,
        model=model,
        rules=ENDS + rules,
        prepare=prepare,
        options=dict(backbone="resnet50_v1c", align_corners=False),
    )


enter(
    "mmseg_ann_r50-d8",
    "ann",
    [
        (r"^decode_head\.(fusion|context)\.stages\.0\.(query|key|value|out)_project\.", r"head.\1.\2."),
        (r"^decode_head\.fusion\.bottleneck\.", "head.fuse."),
        (r"^decode_head\.bottleneck\.", "head.reduce."),
        (r"^decode_head\.context\.bottleneck\.", "head.join."),
    ],
    # The context block stores its one projection as key and as query.
    prepare=without_twins("context.stages.0.query_project", "context.stages.0.key_project"),
)
enter(
    "mmseg_apcnet_r50-d8",
    "apcnet",
    [
        (r"^decode_head\.acm_modules\.", "head.contexts."),
        (r"^(head\.contexts\.\d)\.pooled_redu_conv\.", r"\1.pooled."),
        (r"^(head\.contexts\.\d)\.input_redu_conv\.", r"\1.reduce."),
        (r"^(head\.contexts\.\d)\.global_info\.", r"\1.whole."),
        (r"^(head\.contexts\.\d)\.gla\.", r"\1.affinity."),
        (r"^(head\.contexts\.\d)\.residual_conv\.", r"\1.residual."),
        (r"^(head\.contexts\.\d)\.fusion_conv\.", r"\1.fuse."),
        (r"^decode_head\.bottleneck\.", "head.fuse."),
    ],
)
enter(
    "mmseg_dmnet_r50-d8",
    "dmnet",
    [
        (r"^decode_head\.dcm_modules\.", "head.filters."),
        (r"^(head\.filters\.\d)\.filter_gen_conv\.", r"\1.filter."),
        (r"^(head\.filters\.\d)\.input_redu_conv\.", r"\1.reduce."),
        (r"^decode_head\.bottleneck\.", "head.fuse."),
    ],
)

"""DDRNet as published in mmsegmentation."""

from __future__ import annotations

from mxnetseg.weights.rename import reference

RESIDUAL_UNITS = [
    (r"\.conv([123])\.(conv|bn)\.", lambda m: f".units.{int(m.group(1)) - 1}.{m.group(2)}."),
    (r"\.downsample\.0\.", ".down.conv."),
    (r"\.downsample\.1\.", ".down.bn."),
    (r"\.downsample\.", ".down."),
    (r"^backbone\.stem\.4\.", "backbone.stem_down."),
]
WINDOW_POOLING = [
    (r"^backbone\.spp\.scales\.0\.", "backbone.pooling.scales.0."),
    (r"^backbone\.spp\.scales\.(\d)\.1\.", r"backbone.pooling.scales.\1."),
    (r"^backbone\.spp\.processes\.", "backbone.pooling.blends."),
    (r"^backbone\.spp\.compression\.", "backbone.pooling.compress."),
    (r"^backbone\.spp\.shortcut\.", "backbone.pooling.shortcut."),
]

reference(
    "mmseg_ddrnet_23-slim",
    model="ddrnet",
    rules=RESIDUAL_UNITS
    + WINDOW_POOLING
    + [
        (r"^backbone\.context_branch_layers\.", "backbone.context."),
        (r"^backbone\.spatial_branch_layers\.", "backbone.detail."),
        (r"^backbone\.compression_([12])\.", lambda m: f"backbone.up.{int(m.group(1)) - 1}."),
        (r"^backbone\.down_([12])\.", lambda m: f"backbone.down.{int(m.group(1)) - 1}."),
        (r"^decode_head\.head\.0\.", "head.classifier.unit."),
        (r"^decode_head\.head\.1\.", "head.classifier.bn."),
        (r"^decode_head\.conv_seg\.", "head.classifier.classifier."),
        (r"^decode_head\.aux_head\.0\.", "aux_heads.0.unit."),
        (r"^decode_head\.aux_head\.1\.", "aux_heads.0.bn."),
        (r"^decode_head\.aux_cls_seg\.", "aux_heads.0.classifier."),
    ],
    options=dict(backbone="ddrnet23_slim"),
)

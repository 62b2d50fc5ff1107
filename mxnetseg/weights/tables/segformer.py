"""SegFormer as published by mmsegmentation."""

from __future__ import annotations

from mxnetseg.backbones.naming import MIT, split_projections, under
from mxnetseg.weights.rename import reference

RULES = [
    *under("backbone.", MIT),
    (r"^decode_head\.convs\.", "head.levels."),
    (r"^decode_head\.fusion_conv\.", "head.fuse."),
    (r"^decode_head\.conv_seg\.", "head.classifier."),
]


for _size in ("b0", "b1", "b2", "b3", "b4", "b5"):
    reference(
        f"mmseg_segformer_mit-{_size}",
        model="segformer",
        rules=RULES,
        form="mmseg",
        options=dict(backbone=f"mit_{_size}"),
        prepare=split_projections,
    )

"""Segmenter as published by mmsegmentation."""

from __future__ import annotations

from mxnetseg.backbones.naming import under
from mxnetseg.backbones.token_names import TOKENS
from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.vit import MMSEG_VIT, position_map, with_grid

reference(
    "mmseg_segmenter_vit-t_mask",
    model="segmenter",
    rules=[
        (r"^backbone\.ln1\.", "backbone.norm."),
        (r"^decode_head\.cls_emb$", "head.classes"),
        (r"^decode_head\.dec_proj\.", "head.reduce."),
        (r"^decode_head\.decoder_norm\.", "head.norm."),
        (r"^decode_head\.classes_proj\.", "head.class_proj."),
        (r"^decode_head\.layers\.", "head.blocks."),
        (r"^decode_head\.", "head."),
    ]
    + under("head.", TOKENS, "head.")
    + MMSEG_VIT,
    form="mmseg",
    prepare=position_map(class_token=True),
    adapt=with_grid(class_token=True),
)

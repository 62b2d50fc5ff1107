"""Segmenter as published by mmsegmentation."""

from __future__ import annotations

from mxnetseg.backbones.naming import under
from mxnetseg.backbones.token_names import TOKENS
from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.vit import MMSEG_VIT, position_map, with_grid

FINAL_NORM = (r"^backbone\.ln1\.", "backbone.norm.")

reference(
    "mmseg_segmenter_vit-t_mask",
    model="segmenter",
    rules=[
        FINAL_NORM,
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

reference(
    "mmseg_segmenter_vit-s_fcn",
    model="segmenter",
    rules=[FINAL_NORM, (r"^decode_head\.conv_seg\.", "head.classifier."), *MMSEG_VIT],
    form="mmseg",
    options=dict(backbone="vit_small", decoder="linear"),
    prepare=position_map(class_token=True),
    adapt=with_grid(class_token=True),
)

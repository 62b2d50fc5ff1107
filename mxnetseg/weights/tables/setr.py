"""SETR as published by mmsegmentation and by MXNetSeg."""

from __future__ import annotations

from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import mxseg_fcn_head
from mxnetseg.weights.tables.vit import MMSEG_VIT, position_map, with_grid

MMSEG = MMSEG_VIT + [
    (r"^neck\.norm\.(\d)\.", r"head.fpn.norms.\1.norm."),
    (r"^neck\.mla\.channel_proj\.", "head.fpn.reduce."),
    # Refining units are numbered from the deepest map there.
    (r"^neck\.mla\.feat_extract\.(\d)\.", lambda m: f"head.fpn.refine.{3 - int(m.group(1))}."),
    (r"^auxiliary_head\.(\d)\.", r"aux_heads.\1."),
    (r"^(aux_heads\.\d)\.norm\.", r"\1.norm.norm."),
    (r"^(aux_heads\.\d)\.up_convs\.(\d)\.0\.", r"\1.units.\2."),
]
UPSAMPLER = [
    (r"^decode_head\.norm\.", "head.upsample.norm.norm."),
    (r"^decode_head\.up_convs\.(\d)\.0\.", r"head.upsample.units.\1."),
    (r"^decode_head\.conv_seg\.", "head.upsample.classifier."),
    (r"^(aux_heads\.\d)\.conv_seg\.", r"\1.classifier."),
]
AGGREGATION = [
    (r"^decode_head\.up_convs\.(\d)\.(\d)\.", r"head.branches.\1.\2."),
    (r"^decode_head\.conv_seg\.", "head.classifier."),
    (r"^(aux_heads\.\d)\.conv_seg\.", r"\1."),
]
for _letter, _size in (("l", "large"), ("s", "small")):
    for _decoder in ("naive", "pup", "mla"):
        # mla takes its class token out before the first block: token and position are stored and never
        # change what comes out.
        _token = _decoder != "mla"
        reference(
            f"mmseg_setr_vit-{_letter}_{_decoder}",
            model="setr",
            rules=MMSEG + (UPSAMPLER if _token else AGGREGATION),
            form="mmseg",
            options=dict(
                backbone=f"vit_{_size}",
                decoder=_decoder,
                backbone_options=dict(class_token=_token),
            ),
            unused=() if _token else (r"^backbone\.cls_token$", r"^backbone\.cls_pos$"),
            discarded=() if _token else (r"^backbone\.cls_token$",),
            prepare=position_map(class_token=True),
            adapt=with_grid(class_token=True),
        )

MXSEG = [
    (r"^patch_embed\.linear\.", "backbone.patch_embed."),
    (r"^blocks\.", "backbone.blocks."),
    (r"\.att\.att_qkv\.", ".attn.qkv."),
    (r"\.att\.proj\.", ".attn.proj."),
    (r"^layer_norms\.(\d)\.", r"head.norms.\1.norm."),
]
DECODERS = {
    "naive": mxseg_fcn_head(r"head\.head", "head.decoder"),
    "pup": [
        (r"^head\.conv([0-3])\.", r"head.decoder.units.\1."),
        (r"^head\.conv4\.", "head.decoder.classifier."),
    ],
    # Levels p5 to p2 are the taps from the deepest on; our branches run in this order too.
    "mla": [
        (r"^head\.conv1x1_p(\d)\.", lambda m: f"head.decoder.fpn.reduce.{int(m.group(1)) - 2}."),
        (r"^head\.conv3x3_p(\d)\.", lambda m: f"head.decoder.fpn.refine.{int(m.group(1)) - 2}."),
        (r"^head\.head(\d)\.", lambda m: f"head.decoder.branches.{5 - int(m.group(1))}."),
        (r"^head\.head\.", "head.decoder.classifier."),
    ],
}
for _decoder, _rules in DECODERS.items():
    _aux = [rule for k in range(4) for rule in mxseg_fcn_head(rf"head\.aux_head\.{k}", f"aux_heads.{k}")]
    reference(
        f"mxseg_setr_{_decoder}_vit_large_16",
        model="setr",
        rules=MXSEG + _aux + _rules,
        form="mxnetseg",
        options=dict(backbone="vit_large", decoder=_decoder),
        prepare=position_map(class_token=False, name="pos_embed"),
        adapt=with_grid(class_token=False, name="pos_embed"),
    )

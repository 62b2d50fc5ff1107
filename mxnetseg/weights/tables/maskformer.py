"""MaskFormer and Mask2Former as published by transformers and by mmsegmentation."""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, List, Mapping

from mxnetseg.backbones.hierarchical_names import SWIN, swin_tensors
from mxnetseg.backbones.naming import Rule, under
from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.knet import split_attention

ENCODER = "model.pixel_level_module.encoder."


def _swin(rename: Callable[[str], str]) -> Callable[[Mapping[str, Any]], Dict[str, Any]]:
    """A `prepare` that brings the encoder's tensors, their names after `rename`, to the parts ours hold."""

    def prepare(tensors: Mapping[str, Any]) -> Dict[str, Any]:
        encoder = {rename(n[len(ENCODER) :]): t for n, t in tensors.items() if n.startswith(ENCODER)}
        others = {n: t for n, t in tensors.items() if not n.startswith(ENCODER)}
        found = {ENCODER + name: tensor for name, tensor in swin_tensors(encoder).items()}
        return {**found, **split_attention(others)}

    return prepare


def _without_model(name: str) -> str:
    return re.sub(r"^hidden_states_norms\.(\d)\.", r"norms.\1.", re.sub(r"^model\.", "swin.", name))


UNUSED = (rf"^{re.escape(ENCODER)}swin\.layernorm\.", r"^criterion\.")
PREDICTORS = [
    (r"^class_predictor\.", "head.classifier."),
    (
        r"^(?:model\.transformer_module\.decoder\.mask_predictor\.)?mask_embedder\.(\d)\.0\.",
        r"head.embed.layers.\1.",
    ),
]
DECODER = r"^model\.transformer_module\.decoder\.layers\.(\d)\."
FPN = r"^model\.pixel_level_module\.decoder\."
reference(
    "hf_maskformer_swin-tiny",
    model="maskformer",
    form="transformers",
    rules=[
        *under(ENCODER, SWIN),
        (FPN + r"fpn\.stem\.0\.", "head.pyramid.stem.conv."),
        (FPN + r"fpn\.stem\.1\.", "head.pyramid.stem.norm."),
        (FPN + r"fpn\.layers\.(\d)\.proj\.0\.", r"head.pyramid.laterals.\1.conv."),
        (FPN + r"fpn\.layers\.(\d)\.proj\.1\.", r"head.pyramid.laterals.\1.norm."),
        (FPN + r"fpn\.layers\.(\d)\.block\.0\.", r"head.pyramid.units.\1.conv."),
        (FPN + r"fpn\.layers\.(\d)\.block\.1\.", r"head.pyramid.units.\1.norm."),
        (FPN + r"mask_projection\.", "head.pyramid.project."),
        (r"^model\.transformer_module\.queries_embedder\.weight$", "head.queries"),
        (r"^model\.transformer_module\.input_projection\.", "head.reduce."),
        (DECODER + r"self_attn\.([qkv])_proj\.", r"head.layers.\1.self_attention.\2."),
        (DECODER + r"self_attn\.o_proj\.", r"head.layers.\1.self_attention.proj."),
        (DECODER + r"encoder_attn\.([qkv])_proj\.", r"head.layers.\1.cross_attention.\2."),
        (DECODER + r"encoder_attn\.o_proj\.", r"head.layers.\1.cross_attention.proj."),
        (DECODER + r"self_attn_layer_norm\.", r"head.layers.\1.self_norm."),
        (DECODER + r"encoder_attn_layer_norm\.", r"head.layers.\1.cross_norm."),
        (DECODER + r"mlp\.", r"head.layers.\1.ffn."),
        (DECODER + r"final_layer_norm\.", r"head.layers.\1.ffn_norm."),
        (r"^model\.transformer_module\.decoder\.layernorm\.", "head.norm."),
        *PREDICTORS,
    ],
    unused=UNUSED,
    prepare=_swin(_without_model),
)
DEFORMABLE = FPN + r"encoder\.layers\.(\d)\."
reference(
    "hf_mask2former_swin-tiny",
    model="mask2former",
    form="transformers",
    rules=[
        *under(ENCODER, SWIN),
        (FPN + r"level_embed$", "head.pixels.levels"),
        (FPN + r"input_projections\.(\d)\.0\.", r"head.pixels.reduce.\1.conv."),
        (FPN + r"input_projections\.(\d)\.1\.", r"head.pixels.reduce.\1.norm."),
        (FPN + r"adapter_1\.0\.", "head.pixels.lateral.conv."),
        (FPN + r"adapter_1\.1\.", "head.pixels.lateral.norm."),
        (FPN + r"layer_1\.0\.", "head.pixels.smooth.conv."),
        (FPN + r"layer_1\.1\.", "head.pixels.smooth.norm."),
        (FPN + r"mask_projection\.", "head.pixels.project."),
        (DEFORMABLE + r"self_attn\.sampling_offsets\.", r"head.pixels.layers.\1.attention.offsets."),
        (DEFORMABLE + r"self_attn\.attention_weights\.", r"head.pixels.layers.\1.attention.weights."),
        (DEFORMABLE + r"self_attn\.value_proj\.", r"head.pixels.layers.\1.attention.value."),
        (DEFORMABLE + r"self_attn\.output_proj\.", r"head.pixels.layers.\1.attention.proj."),
        (DEFORMABLE + r"self_attn_layer_norm\.", r"head.pixels.layers.\1.attention_norm."),
        (DEFORMABLE + r"fc([12])\.", r"head.pixels.layers.\1.ffn.fc\2."),
        (DEFORMABLE + r"final_layer_norm\.", r"head.pixels.layers.\1.ffn_norm."),
        (r"^model\.transformer_module\.queries_embedder\.weight$", "head.queries"),
        (r"^model\.transformer_module\.queries_features\.weight$", "head.contents"),
        (r"^model\.transformer_module\.level_embed\.weight$", "head.levels"),
        (DECODER + r"self_attn\.([qkv])_proj\.", r"head.layers.\1.self_attention.\2."),
        (DECODER + r"self_attn\.out_proj\.", r"head.layers.\1.self_attention.proj."),
        (DECODER + r"cross_attn\.([qkv])\.", r"head.layers.\1.cross_attention.\2."),
        (DECODER + r"cross_attn\.out_proj\.", r"head.layers.\1.cross_attention.proj."),
        (DECODER + r"(self|cross)_attn_layer_norm\.", r"head.layers.\1.\2_norm."),
        (DECODER + r"fc([12])\.", r"head.layers.\1.ffn.fc\2."),
        (DECODER + r"final_layer_norm\.", r"head.layers.\1.ffn_norm."),
        (r"^model\.transformer_module\.decoder\.layernorm\.", "head.norm."),
        *PREDICTORS,
    ],
    unused=UNUSED,
    prepare=_swin(lambda name: name),
)


# mmsegmentation, whose heads are mmdetection's.
PIXELS = r"^decode_head\.pixel_decoder\."
STEP = r"^decode_head\.transformer_decoder\.layers\.(\d)\."
QUERIES = [
    (r"^decode_head\.query_embed\.weight$", "head.queries"),
    (STEP + r"(self|cross)_attn\.attn\.([qkv])\.", r"head.layers.\1.\2_attention.\3."),
    (STEP + r"(self|cross)_attn\.attn\.out_proj\.", r"head.layers.\1.\2_attention.proj."),
    (STEP + r"ffn\.layers\.0\.0\.", r"head.layers.\1.ffn.fc1."),
    (STEP + r"ffn\.layers\.1\.", r"head.layers.\1.ffn.fc2."),
    (STEP + r"norms\.2\.", r"head.layers.\1.ffn_norm."),
    (r"^decode_head\.transformer_decoder\.post_norm\.", "head.norm."),
    (r"^decode_head\.cls_embed\.", "head.classifier."),
    (r"^decode_head\.mask_embed\.([024])\.", lambda m: f"head.embed.layers.{int(m.group(1)) // 2}."),
]


def _unit(theirs: str, ours: str) -> List[Rule]:
    return [(PIXELS + theirs + r"conv\.", ours + "conv."), (PIXELS + theirs + r"gn\.", ours + "norm.")]


MMSEG_MASKFORMER = [
    # It counts the levels from the finest.
    (PIXELS + r"lateral_convs\.(\d)\.", lambda m: f"laterals.{2 - int(m.group(1))}."),
    (PIXELS + r"output_convs\.(\d)\.", lambda m: f"units.{2 - int(m.group(1))}."),
    (r"^(laterals|units)\.(\d)\.conv\.", r"head.pyramid.\1.\2.conv."),
    (r"^(laterals|units)\.(\d)\.gn\.", r"head.pyramid.\1.\2.norm."),
    *_unit(r"last_feat_conv\.", "head.pyramid.stem."),
    (PIXELS + r"mask_feature\.", "head.pyramid.project."),
    (r"^decode_head\.decoder_input_proj\.", "head.reduce."),
    (STEP + r"norms\.0\.", r"head.layers.\1.self_norm."),
    (STEP + r"norms\.1\.", r"head.layers.\1.cross_norm."),
    *QUERIES,
]
ENCODER_LAYER = PIXELS + r"encoder\.layers\.(\d)\."
MMSEG_MASK2FORMER = [
    (PIXELS + r"level_encoding\.weight$", "head.pixels.levels"),
    *_unit(r"input_convs\.(\d)\.", r"head.pixels.reduce.\1."),
    *_unit(r"lateral_convs\.0\.", "head.pixels.lateral."),
    *_unit(r"output_convs\.0\.", "head.pixels.smooth."),
    (PIXELS + r"mask_feature\.", "head.pixels.project."),
    (ENCODER_LAYER + r"self_attn\.sampling_offsets\.", r"head.pixels.layers.\1.attention.offsets."),
    (ENCODER_LAYER + r"self_attn\.attention_weights\.", r"head.pixels.layers.\1.attention.weights."),
    (ENCODER_LAYER + r"self_attn\.value_proj\.", r"head.pixels.layers.\1.attention.value."),
    (ENCODER_LAYER + r"self_attn\.output_proj\.", r"head.pixels.layers.\1.attention.proj."),
    (ENCODER_LAYER + r"ffn\.layers\.0\.0\.", r"head.pixels.layers.\1.ffn.fc1."),
    (ENCODER_LAYER + r"ffn\.layers\.1\.", r"head.pixels.layers.\1.ffn.fc2."),
    (ENCODER_LAYER + r"norms\.0\.", r"head.pixels.layers.\1.attention_norm."),
    (ENCODER_LAYER + r"norms\.1\.", r"head.pixels.layers.\1.ffn_norm."),
    (r"^decode_head\.query_feat\.weight$", "head.contents"),
    (r"^decode_head\.level_embed\.weight$", "head.levels"),
    (STEP + r"norms\.0\.", r"head.layers.\1.cross_norm."),
    (STEP + r"norms\.1\.", r"head.layers.\1.self_norm."),
    *QUERIES,
]


def _swin_and_attention(tensors: Mapping[str, Any]) -> Dict[str, Any]:
    return split_attention(swin_tensors(tensors))


for _model, _resnet, _rules in (
    ("maskformer", "r50-d32", MMSEG_MASKFORMER),
    ("mask2former", "r50", MMSEG_MASK2FORMER),
):
    reference(
        f"mmseg_{_model}_{_resnet}",
        model=_model,
        form="mmseg",
        rules=_rules,
        prepare=split_attention,
    )
    reference(
        f"mmseg_{_model}_swin-t",
        model=_model,
        form="mmseg",
        rules=[*under("backbone.", SWIN), *_rules],
        options=dict(backbone="swin_tiny", backbone_options=dict(skip=0.3)),
        prepare=_swin_and_attention,
    )

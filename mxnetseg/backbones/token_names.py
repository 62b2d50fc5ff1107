"""How other libraries call the tensors of vision transformers, and how they cut them; read without MXNet.

Files differ in where they split: here queries, keys and values are one projection, the two parts of a gate
are one layer, and a position embedding or a table of offsets is a map.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Mapping

import numpy as np

from mxnetseg.backbones.naming import CLASSIFIER, Rule, grid_of

# Names of mmsegmentation, timm, the authors of DINOv2, DINOv3 and BEiT, and transformers.
TOKENS: List[Rule] = [
    (r"^(?:embeddings\.)?patch_embed(?:dings)?\.(?:proj(?:ection)?\.)?", "patch_embed."),
    (r"^embeddings\.cls_token$", "cls_token"),
    (r"^(?:embeddings\.)?(?:register_tokens|reg_token|storage_tokens)$", "registers"),
    (r"^(?:encoder\.|model\.)?layers?\.", "blocks."),
    (r"^(?:layernorm|ln1)\.", "norm."),
    (r"\.ln([12])\.", r".norm\1."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"\.attn\.attn\.in_proj_(weight|bias)$", r".attn.qkv.\1"),
    (r"\.attn\.attn\.out_proj\.", ".attn.proj."),
    (r"\.attention\.(?:o_proj|out_proj|output\.dense)\.", ".attn.proj."),
    (r"\.attention\.(?:attention\.)?", ".attn."),
    (r"^(blocks\.\d+)\.((?:class_)?offsets)$", r"\1.attn.\2"),
    (r"\.(?:ffn\.layers\.0\.0|intermediate\.dense|mlp\.weights_in|mlp\.w12)\.", ".mlp.fc1."),
    (r"\.(?:ffn\.layers\.1|output\.dense|mlp\.weights_out|mlp\.w3|mlp\.down_proj)\.", ".mlp.fc2."),
    (r"\.(?:layer_scale|lambda_|gamma_|ls)([12])(?:\.(?:lambda1|gamma))?$", r".scale\1"),
]
# What files hold that segmentation never runs.
UNUSED = (
    *CLASSIFIER,
    r"^(?:layernorm|fc_norm|pooler|pre_logits)\.",
    r"^(?:embeddings\.)?mask_token$",
    r"relative_position_index$",
    r"^rope_embed\.",
    # mmsegmentation's patch projection has none.
    r"^patch_embed\.proj\.bias$",
)
_FAMILY = re.compile(
    r"^(?:vit|deit|dinov2|dinov2_with_registers|dinov3_vit|beit|data2vec_vision|dpt)\.(?!encoder\.model)"
)
_BLOCK = re.compile(r"^(?:encoder\.|model\.)?(?:blocks|layers?)\.(\d+)\.")
_PROJECTION = re.compile(r"^(.*\.)(q|k|v)(?:_proj|uery|ey|alue)\.(weight|bias)$")
_GATE = re.compile(r"^(.*\.mlp\.)(gate_proj|w1|fc1_g|up_proj|w2|fc1_x)\.(weight|bias)$")
_TABLE = re.compile(r"^(.*?\.)(?:relative_position_bias\.)?relative_position_bias_table$")


def of_file(
    tensors: Mapping[str, Any],
    blocks: int,
    prefix: str = "",
    keys_have_bias: bool = True,
    keep_idle: bool = False,
) -> Dict[str, Any]:
    """The tensors of a transformer under `prefix`, cut as here, and all others as they are.

    `blocks`: how many the network runs; those behind are left out or, with `keep_idle`, as they are.
    `keys_have_bias`: where not, the biases of queries and values are tensors of their own.
    """
    inside, outside = {}, {}
    for name, tensor in tensors.items():
        if not name.startswith(prefix):
            outside[name] = tensor
            continue
        bare = _FAMILY.sub("", name[len(prefix) :])
        found = _BLOCK.match(bare)
        if not found or int(found[1]) < blocks:
            inside[bare] = tensor
        elif keep_idle:
            outside[name] = tensor
    cut = offsets_as_maps(joined(inside, keys_have_bias))
    return {**{prefix + name: tensor for name, tensor in cut.items()}, **outside}


def joined(tensors: Mapping[str, Any], keys_have_bias: bool = True) -> Dict[str, Any]:
    """Projections of queries, keys and values as one, and the two parts of a gated layer as one."""
    whole: Dict[str, Any] = {}
    parts: Dict[str, Dict[str, Any]] = {}
    for name, tensor in tensors.items():
        projection, gate = _PROJECTION.match(name), _GATE.match(name)
        if projection:
            parts.setdefault(f"{projection[1]}qkv.{projection[3]}", {})[projection[2]] = tensor
        elif gate:
            first = gate[2] in ("gate_proj", "w1", "fc1_g")
            parts.setdefault(f"{gate[1]}fc1.{gate[3]}", {})["1" if first else "2"] = tensor
        elif not keys_have_bias and name.endswith("qkv.bias"):
            tensor = np.asarray(tensor)
            third = len(tensor) // 3
            parts.setdefault(name, {}).update(q=tensor[:third], v=tensor[-third:])
        elif not name.endswith("qkv.bias_mask"):
            whole[name] = tensor
    for name, found in parts.items():
        if "q" in found and not keys_have_bias and name.endswith(".bias"):
            stem = name[: -len("qkv.bias")]
            whole.update({f"{stem}q_bias": found["q"], f"{stem}v_bias": found["v"]})
        else:
            whole[name] = np.concatenate([np.asarray(found[key]) for key in "qkv12" if key in found])
    return whole


def offsets_as_maps(tensors: Mapping[str, Any]) -> Dict[str, Any]:
    """BEiT's tables of offsets `(offsets + 3, heads)` as maps `(1, heads, rows, columns)` and the rest."""
    cut = {}
    for name, tensor in tensors.items():
        found = _TABLE.match(name)
        if found is None:
            cut[name] = tensor
            continue
        table = np.asarray(tensor)
        rows, columns = grid_of(len(table) - 3)
        cut[f"{found[1]}offsets"] = table[:-3].T.reshape(1, -1, rows, columns)
        cut[f"{found[1]}class_offsets"] = table[-3:]
    return cut

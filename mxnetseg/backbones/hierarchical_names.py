"""How other libraries call the tensors of transformers with stages and of their convolutional relatives.

As in `naming`: rules lead to our structural names; functions bring tensors to the parts that ours hold.
"""

from __future__ import annotations

import re
from typing import Dict, List, Match

import numpy as np

from mxnetseg.backbones.naming import ImageNetNames, Rule

Tensors = Dict[str, np.ndarray]

# Norms of the four maps: mmsegmentation's names and those of transformers.
_OUTPUT_NORMS: List[Rule] = [
    (r"^norm(\d)\.", r"norms.\1."),
    (r"^hidden_states_norms\.stage(\d)\.", lambda m: f"norms.{int(m.group(1)) - 1}."),
]
# Swin: the authors' and timm's names (`layers`), mmsegmentation's (`stages`), those of transformers
# (`encoder`) before and since version 5. `swin_tensors` has told the owners of mergings apart.
SWIN: List[Rule] = [
    (r"^(swin\.)?embeddings\.patch_embeddings\.projection\.", "patch_embed."),
    (r"^(swin\.)?embeddings\.norm\.", "patch_norm."),
    (r"^patch_embed\.norm\.", "patch_norm."),
    (r"^patch_embed\.proj(ection)?\.", "patch_embed."),
    (r"^(swin\.)?encoder\.layers\.", "stages."),
    (r"^layers\.", "stages."),
    *_OUTPUT_NORMS,
    (r"\.merge\.reduction\.", ".merge.reduce."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"\.attn\.w_msa\.", ".attn."),
    (r"\.attention\.(self\.)?(relative_position_bias\.)?(?=relative_position)", ".attn."),
    (r"\.attn\.relative_position_bias_table$", ".attn.positions"),
    (r"\.attention\.(output\.dense|o_proj)\.", ".attn.proj."),
    (r"\.attention\.(self\.)?qkv\.", ".attn.qkv."),
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"(\.blocks\.\d+)\.output\.dense\.", r"\1.mlp.fc2."),
    (r"\.ffn\.layers\.0\.0\.", ".mlp.fc1."),
    (r"\.ffn\.layers\.1\.", ".mlp.fc2."),
]
# ConvNeXt and ConvNeXt V2: the authors' and mmpretrain's names (`downsample_layers`), timm's
# (`stages.N.blocks`), torchvision's (`features`) and those of transformers (`encoder`).
CONVNEXT: List[Rule] = [
    (r"^convnext(v2)?\.(?=em|en)", ""),
    (r"^(downsample_layers\.0\.0|stem\.0|features\.0\.0|embeddings\.patch_embeddings)\.", "stem."),
    (r"^(downsample_layers\.0\.1|stem\.1|features\.0\.1|embeddings\.layernorm)\.", "stem_norm."),
    (r"^features\.([246])\.", lambda m: f"downsample_layers.{int(m.group(1)) // 2}."),
    (r"^features\.([1357])\.(\d+)\.", lambda m: f"stages.{int(m.group(1)) // 2}.blocks.{m.group(2)}."),
    (r"^(?:encoder\.)?stages\.(\d)\.(?:downsample|downsampling_layer)\.", r"downsample_layers.\1."),
    (r"^downsample_layers\.(\d)\.0\.", r"stages.\1.norm."),
    (r"^downsample_layers\.(\d)\.1\.", r"stages.\1.down."),
    (r"^(?:encoder\.)?stages\.(\d)\.(?:layers\.|blocks\.)?(\d+)\.", r"stages.\1.blocks.\2."),
    *_OUTPUT_NORMS,
    (r"\.block\.0\.", ".depthwise."),
    (r"\.block\.2\.", ".norm."),
    (r"\.block\.3\.", ".fc1."),
    (r"\.block\.5\.", ".fc2."),
    (r"\.(dwconv|conv_dw|depthwise_conv)\.", ".depthwise."),
    (r"\.layernorm\.", ".norm."),
    (r"\.(pwconv|pointwise_conv|mlp\.fc)([12])\.", r".fc\2."),
    (r"\.(mlp\.)?grn\.", ".response."),
    (r"\.(layer_scale_parameter|layer_scale)$", ".gamma"),
]
# Twins: the authors' and timm's names (`blocks`) and mmsegmentation's (`layers`).
TWINS: List[Rule] = [
    (r"^patch_embeds\.(\d)\.proj(ection)?\.", r"stages.\1.patch."),
    (r"^patch_embeds\.(\d)\.norm\.", r"stages.\1.patch_norm."),
    (r"^pos_block\.(\d)\.proj\.0\.", r"stages.\1.position."),
    (r"^position_encodings\.(\d)\.proj\.", r"stages.\1.position."),
    (r"^norm_list\.(\d)\.", r"stages.\1.norm."),
    (r"^(?:blocks|layers)\.(\d)\.(\d+)\.", r"stages.\1.blocks.\2."),
    (r"\.attn\.attn\.out_proj\.", ".attn.proj."),
    (r"\.attn\.attn\.(q|kv)_", r".attn.\1."),
    (r"\.ffn\.layers\.0\.0\.", ".mlp.fc1."),
    (r"\.ffn\.layers\.1\.", ".mlp.fc2."),
]
# PoolFormer: the authors' and mmpretrain's names (`network`) and timm's (`stages`).
POOLFORMER: List[Rule] = [
    (r"^(patch_embed\.proj|stem\.conv)\.", "stages.0.patch."),
    (r"^network\.([135])\.proj\.", lambda m: f"stages.{int(m.group(1)) // 2 + 1}.patch."),
    (r"^stages\.(\d)\.downsample\.conv\.", r"stages.\1.patch."),
    (r"^network\.([0246])\.", lambda m: f"stages.{int(m.group(1)) // 2}.blocks."),
    (r"^norm([0246])\.", lambda m: f"norms.{int(m.group(1)) // 2}."),
    (r"\.layer_scale_?([12])(\.scale)?$", r".scale\1"),
]
# MSCAN: the authors' names and mmsegmentation's.
MSCAN_NAMES: List[Rule] = [
    (r"^patch_embed1\.proj\.([03])\.", lambda m: f"stages.0.units.{2 * int(m.group(1)) // 3}.conv."),
    (r"^patch_embed1\.proj\.([14])\.", lambda m: f"stages.0.units.{2 * int(m.group(1)) // 4}.bn."),
    (r"^patch_embed(\d)\.proj\.", lambda m: f"stages.{int(m.group(1)) - 1}.units.0.conv."),
    (r"^patch_embed(\d)\.norm\.", lambda m: f"stages.{int(m.group(1)) - 1}.units.0.bn."),
    (r"^block(\d)\.", lambda m: f"stages.{int(m.group(1)) - 1}.blocks."),
    (r"^norm(\d)\.", lambda m: f"stages.{int(m.group(1)) - 1}.norm."),
    (r"\.layer_scale_([12])$", r".scale\1"),
    (r"\.attn\.proj_1\.", ".attn.before."),
    (r"\.attn\.proj_2\.", ".attn.after."),
    (r"\.spatial_gating_unit\.conv0\.", ".gate.near."),
    (r"\.spatial_gating_unit\.conv([012])_1\.", r".gate.across.\1."),
    (r"\.spatial_gating_unit\.conv([012])_2\.", r".gate.down.\1."),
    (r"\.spatial_gating_unit\.conv3\.", ".gate.mix."),
    (r"\.mlp\.dwconv\.(dwconv\.)?", ".depthwise."),
    (r"\.mlp\.", "."),
]
_PLACES = re.compile(r"\.relative_position_index$|\.attn_mask$|\.relative_coords_table$")


def swin_tensors(tensors: Tensors) -> Tensors:
    """Tensors of Swin with queries, keys and values in one, without index tables, and every merging of
    patches (`merge`) in the stage that it opens, its input in the authors' order.

    The authors and all but timm have it at the end of the stage before; mmsegmentation orders the same
    inputs by channels first.
    """
    found: Tensors = {}
    at_end = any(re.search(r"(^|\.)(layers|stages)\.0\.downsample\.", name) for name in tensors)
    for name, tensor in joined_projections(tensors).items():
        if _PLACES.search(name):
            continue
        merging = re.match(r"^(.*\b(?:layers|stages)\.)(\d)\.downsample\.(.*)$", name)
        if merging:
            before, stage, part = merging.group(1), int(merging.group(2)), merging.group(3)
            name = f"{before}{stage + at_end}.merge.{part}"
            if re.search(r"\bstages\.$", before):
                tensor = _by_neighbours(np.asarray(tensor))
        found[name] = tensor
    return found


def _by_neighbours(tensor: np.ndarray) -> np.ndarray:
    """The last axis from channels of four neighbours each, listed by rows, to four neighbours, listed by
    columns, of all channels each."""
    parts = tensor.reshape(*tensor.shape[:-1], -1, 4)[..., [0, 2, 1, 3]]
    return np.swapaxes(parts, -1, -2).reshape(tensor.shape)


def joined_projections(tensors: Tensors) -> Tensors:
    """Separate projections to queries, keys and values (transformers) as one, `qkv`."""
    found: Tensors = {}
    for name, tensor in tensors.items():
        part = re.match(r"^(.*\.)(?:query|key|value|[qkv]_proj)\.(weight|bias)$", name)
        if not part:
            found[name] = tensor
            continue
        joined = f"{part.group(1)}qkv.{part.group(2)}"
        if joined not in found:
            three = [
                next(tensors[other] for other in _names(part, letter) if other in tensors) for letter in "qkv"
            ]
            found[joined] = np.concatenate([np.asarray(one) for one in three])
    return found


def _names(part: re.Match, letter: str) -> List[str]:
    word = {"q": "query", "k": "key", "v": "value"}[letter]
    return [f"{part.group(1)}{which}.{part.group(2)}" for which in (word, f"{letter}_proj")]


def _topformer_block(match: Match) -> str:
    """The authors' number of an inverted residual: one at stride 2, then two in each level, or three."""
    place = int(match.group(1)) - 2
    level = min(place // 2, 3)
    return "stem.1.units." if place < 0 else f"levels.{level}.{place - 2 * level}.units."


# TopFormer: the authors' names. Their activations are numbered between the units.
TOPFORMER = ImageNetNames(
    [
        (r"^tpm\.stem\.0\.", "stem.0."),
        (r"^tpm\.layer(\d+)\.conv\.", _topformer_block),
        (r"\.units\.(\d)\.", lambda m: f".units.{int(m.group(1)) // 2}."),
        (r"^trans\.transformer_blocks\.", "transformer."),
        (r"\.attn\.to_([qkv])\.", r".attn.\1."),
        (r"\.attn\.proj\.1\.", ".attn.proj."),
        (r"\.mlp\.dwconv\.", ".depthwise."),
        (r"\.mlp\.", "."),
        (r"\.c\.(?=weight$)", ".conv."),
        # Of their networks for segmentation.
        (r"^SIM\.(\d)\.", lambda m: f"injections.{int(m.group(1)) - 1}."),
        (r"\.local_embedding\.", ".local."),
        (r"\.global_embedding\.", ".semantics."),
        (r"\.global_act\.", ".gate."),
    ],
    fresh=(r"^injections\.",),
)


def _seaformer_block(match: Match) -> str:
    """The authors' stacks of inverted residuals: the first begins with the stem's."""
    stack, place = int(match.group(1)) - 1, int(match.group(2)) - 1
    if stack == 0:
        return "stem.1.units." if place == 0 else f"levels.0.{place - 1}.units."
    return f"levels.{stack}.{place}.units."


# SeaFormer: the authors' names.
SEAFORMER = ImageNetNames(
    [
        (r"^smb1\.stem_block\.0\.", "stem.0."),
        (r"^smb(\d)\.layer(\d)\.conv\.", _seaformer_block),
        (r"\.units\.(\d)\.", lambda m: f".units.{int(m.group(1)) // 2}."),
        (r"^trans(\d)\.transformer_blocks\.", lambda m: f"transformers.{int(m.group(1)) - 1}."),
        (r"\.attn\.to_([qkv])\.", r".attn.\1."),
        (r"\.attn\.proj\.1\.", ".attn.proj."),
        (r"\.proj_encode_(row|column)\.1\.", r".\1s.project."),
        (r"\.pos_emb_(row|column)([qk])\.", r".\1s.place_\2."),
        (r"\.attn\.dwconv\.", ".attn.depthwise."),
        (r"\.attn\.pwconv\.", ".attn.pointwise."),
        (r"\.mlp\.dwconv\.", ".depthwise."),
        (r"\.mlp\.", "."),
        (r"\.c\.(?=weight$)", ".conv."),
    ],
)

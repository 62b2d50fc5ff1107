"""More names that ImageNet weights are published under: one table for each layout, all leading to our names.

As in `naming`; a backbone lists them as `layouts` of its `ImageNetNames`, and that which leads the most
tensors of a file to parameters is taken.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Dict, List, Match, Sequence

import numpy as np

from mxnetseg.backbones.naming import MMSEG_MOBILENETV2, Rule

Tensors = Dict[str, np.ndarray]

# Deep stems of semseg, semantic-segmentation-pytorch and openseg: three numbered convolutions.
RESNET_THREE_CONVOLUTIONS: List[Rule] = [
    (r"^conv([123])\.", lambda m: f"conv1.{3 * int(m[1]) - 3}."),
    (r"^bn([12])\.", lambda m: f"conv1.{3 * int(m[1]) - 2}."),
    (r"^bn3\.", "bn1."),
]

# ResNeSt of its authors, timm and mmsegmentation, whose stem is numbered.
RESNEST: List[Rule] = [
    (r"^stem\.7\.", "bn1."),
    (r"^stem\.", "conv1."),
    (r"\.conv2\.bn0\.", ".conv2.bn."),
]


def stdc_features(version: int) -> List[Rule]:
    """STDC's blocks as one list, which the authors' files hold beside their stages."""
    starts = (2, 4, 6, 8) if version == 1 else (2, 6, 11, 14)

    def block(match: Match) -> str:
        number = int(match[1])
        stage = next(s for s in range(3) if number < starts[s + 1])
        return f"stages.{stage}.{number - starts[stage]}."

    return [
        (r"^features\.([01])\.", r"stem.\1."),
        (r"^features\.(\d+)\.(?=conv_list|avd_layer)", block),
        (r"^(stages\.\d\.\d)\.conv_list\.", r"\1.units."),
        (r"^(stages\.\d\.\d)\.avd_layer\.0\.", r"\1.down.conv."),
        (r"^(stages\.\d\.\d)\.avd_layer\.1\.", r"\1.down.bn."),
    ]


def _timm_inverted_residual(match: Match) -> str:
    """timm's blocks.<stage>.<block>.<part> of MobileNet v2 in mmsegmentation's names."""
    stage, block, part = int(match[1]), match[2], match[3]
    unit = {"conv_pw": 0, "bn1": 0, "conv_dw": 1, "bn2": 1, "conv_pwl": 2, "bn3": 2}[part]
    if stage == 0:  # its only block does not expand
        unit = {"conv_dw": 0, "bn1": 0, "conv_pw": 1, "bn2": 1}[part]
    return f"layer{stage + 1}.{block}.conv.{unit}.{'bn' if part.startswith('bn') else 'conv'}."


TIMM_MOBILENETV2: List[Rule] = [
    (r"^conv_stem\.", "layer1.0."),
    (r"^bn1\.", "layer1.1."),
    (r"^blocks\.(\d)\.(\d)\.(conv_pw|conv_dw|conv_pwl|bn[123])\.", _timm_inverted_residual),
    *MMSEG_MOBILENETV2[:1],
]


MOBILENETV2_LAYOUTS = (MMSEG_MOBILENETV2, TIMM_MOBILENETV2)


def timm_mobilenetv3(stages: Sequence[int], rules: Sequence[Rule]) -> List[Rule]:
    """timm's names of MobileNet v3 of so many blocks a stage; `rules` lead on from mmsegmentation's."""
    before = [0, *accumulate(stages)]

    def block(match: Match) -> str:
        stage, index, part = int(match[1]), int(match[2]), match[3]
        k = before[stage] + index + 1
        if part.startswith("se."):
            return f"layer{k}.se.conv{1 if part == 'se.conv_reduce' else 2}.conv."
        if stage == len(stages) - 1:
            return f"layer{k}.{'conv' if part == 'conv' else 'bn'}."
        unit = {"conv_pw": "expand", "bn1": "expand", "conv_dw": "depthwise", "bn2": "depthwise"}
        unit.update({"conv_pwl": "linear", "bn3": "linear"})
        if stage == 0:  # its only block does not expand
            unit = {"conv_dw": "depthwise", "bn1": "depthwise", "conv_pw": "linear", "bn2": "linear"}
        return f"layer{k}.{unit[part]}_conv.{'bn' if part.startswith('bn') else 'conv'}."

    parts = r"conv_pwl|conv_pw|conv_dw|conv|bn[123]|se\.conv_reduce|se\.conv_expand"
    return [
        (r"^conv_stem\.", "layer1.0."),
        (r"^bn1\.", "layer1.1."),
        (rf"^blocks\.(\d)\.(\d)\.({parts})\.", block),
        *rules,
    ]


# Wide ResNet-38 of its PyTorch originals, with names where GluonCV has numbers; activated norms may be pairs.
WIDERESNET: List[Rule] = [
    (r"^mod1\.conv1\.", "mod1.0."),
    (r"^(mod\d)\.block(\d+)\.", lambda m: f"{m[1]}.{int(m[2]) - 1}."),
    (r"\.bn1\.(?:0\.)?(?=[a-z])", ".bn1.0."),
    (r"\.convs\.bn2\.(?:0\.)?(?=[a-z])", ".convs.1.0."),
    (r"\.convs\.bn3\.(?:0\.)?(?=[a-z])", ".convs.3.0."),
    (r"\.convs\.conv1\.", ".convs.0."),
    (r"\.convs\.conv2\.", ".convs.2."),
    (r"^(mod[67]\.\d)\.convs\.conv3\.", r"\1.convs.5."),
    (r"\.convs\.conv3\.", ".convs.4."),
]

TORCHVISION_VIT: List[Rule] = [
    (r"^conv_proj\.", "patch_embed."),
    (r"^encoder\.layers\.encoder_layer_(\d+)\.", r"blocks.\1."),
    (r"\.ln_([12])\.", r".norm\1."),
    (r"\.self_attention\.in_proj_(weight|bias)$", r".attn.qkv.\1"),
    (r"\.self_attention\.out_proj\.", ".attn.proj."),
    (r"\.mlp\.(?:0|linear_1)\.", ".mlp.fc1."),
    (r"\.mlp\.(?:3|linear_2)\.", ".mlp.fc2."),
    (r"^encoder\.ln\.", "norm."),
]


def vit_tensors(tensors: Tensors) -> Tensors:
    """Tensors of ViT as timm has them, of files of its authors (JAX: `Transformer/encoderblock_0/...`), whose
    matrices lie the other way and whose heads are apart, and of torchvision."""
    tensors = dict(tensors)
    for theirs, ours in (("encoder.pos_embedding", "pos_embed"), ("class_token", "cls_token")):
        if theirs in tensors:
            tensors[ours] = tensors.pop(theirs)
    if "embedding/kernel" not in tensors:
        return tensors
    found: Tensors = {
        "patch_embed.weight": np.transpose(tensors["embedding/kernel"], (3, 2, 0, 1)),
        "pos_embed": tensors["Transformer/posembed_input/pos_embedding"],
    }
    for theirs, ours in (("embedding/bias", "patch_embed.bias"), ("cls", "cls_token")):
        if theirs in tensors:
            found[ours] = tensors[theirs]
    for part, ours in (("scale", "norm.weight"), ("bias", "norm.bias")):
        found[ours] = tensors[f"Transformer/encoder_norm/{part}"]
    number = 0
    while f"Transformer/encoderblock_{number}/LayerNorm_0/scale" in tensors:
        before = f"Transformer/encoderblock_{number}/"
        block = {n[len(before) :]: np.asarray(t) for n, t in tensors.items() if n.startswith(before)}
        found.update({f"blocks.{number}.{name}": array for name, array in _jax_block(block).items()})
        number += 1
    return found


def _jax_block(block: Tensors) -> Tensors:
    width = len(block["LayerNorm_0/scale"])
    attention = "MultiHeadDotProductAttention_1/"
    found = {}
    for theirs, ours in (("LayerNorm_0", "norm1"), ("LayerNorm_2", "norm2")):
        found[f"{ours}.weight"], found[f"{ours}.bias"] = block[f"{theirs}/scale"], block[f"{theirs}/bias"]
    kernels = [
        block[f"{attention}{part}/kernel"].reshape(width, width).T for part in ("query", "key", "value")
    ]
    biases = [block[f"{attention}{part}/bias"].ravel() for part in ("query", "key", "value")]
    found["attn.qkv.weight"], found["attn.qkv.bias"] = np.concatenate(kernels), np.concatenate(biases)
    found["attn.proj.weight"] = block[f"{attention}out/kernel"].reshape(width, width).T
    found["attn.proj.bias"] = block[f"{attention}out/bias"]
    for number, ours in ((0, "fc1"), (1, "fc2")):
        found[f"mlp.{ours}.weight"] = block[f"MlpBlock_3/Dense_{number}/kernel"].T
        found[f"mlp.{ours}.bias"] = block[f"MlpBlock_3/Dense_{number}/bias"]
    return found

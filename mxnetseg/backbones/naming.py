"""How other libraries call the tensors of each family of backbones; read without MXNet.

A rule is (regular expression, replacement), applied in order to a name; together they lead to the structural
name of our parameter (batch norms may keep PyTorch's `weight` and `bias`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Callable, Dict, List, Match, Sequence, Tuple, Union

import numpy as np

Rule = Tuple[str, Union[str, Callable[[Match], str]]]
# The ImageNet classifier and what only it uses, in any of the libraries.
CLASSIFIER = (
    r"^(fc|output|classifier|linear|head|heads|head_dist|final_layer|conv_last|conv_head|bn|norm)\.",
    r"^(incre|downsamp)_(modules|blocks)\.",
    r"^features\.(\d+|conv5|norm5_extra)\.",
)


@dataclass(frozen=True)
class ImageNetNames:
    """Names in files of ImageNet weights: `rules` to ours, patterns of tensors that segmentation never
    runs (`unused`), and of parameters of ours that classifiers do not have (`fresh`). `layouts` are the rules
    of further publishers, each set for itself; that which fits a file best is taken."""

    rules: Sequence[Rule] = ()
    unused: Sequence[str] = CLASSIFIER
    fresh: Sequence[str] = ()
    layouts: Sequence[Sequence[Rule]] = ()


def rewrite(name: str, rules: Sequence[Rule]) -> str:
    """`name` after every rule in turn."""
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def under(prefix: str, rules: Sequence[Rule], ours: str = "backbone.") -> List[Rule]:
    """Rules for bare names as rules for names under `prefix`, which becomes `ours`."""
    pattern = rf"^{re.escape(prefix)}(.*)$"
    return [(pattern, lambda found: ours + rewrite(found.group(1), rules))]


_DENSE_LAYER = {"norm1": 0, "conv1": 2, "norm2": 3, "conv2": 5}


def _dense_layer(match: Match) -> str:
    block, layer, part = int(match.group(1)), int(match.group(2)), match.group(3) + match.group(4)
    return f"layer{block}.{int(block > 1)}.{layer - 1}.1.{_DENSE_LAYER[part]}."


# torchvision's names of DenseNet.
DENSENET = ImageNetNames(
    [
        (r"^features\.conv0\.", "stem.0."),
        (r"^features\.norm0\.", "stem.1."),
        (r"^features\.norm5\.", "layer4.2."),
        (r"^features\.denseblock(\d)\.denselayer(\d+)\.(norm|conv)\.?([12])\.", _dense_layer),
        (r"^features\.transition(\d)\.norm\.", lambda m: f"layer{int(m.group(1)) + 1}.0.0."),
        (r"^features\.transition(\d)\.conv\.", lambda m: f"layer{int(m.group(1)) + 1}.0.2."),
    ],
)


def _inverted_residual(match: Match) -> str:
    """torchvision's features.<k>.conv.<i>[.<j>] of MobileNet v2 in GluonCV's numbering."""
    k, i, j = int(match.group(1)), int(match.group(2)), match.group(3)
    level, first = next((n, f) for n, f, last in ((1, 1, 3), (2, 4, 6), (3, 7, 13), (4, 14, 17)) if k <= last)
    index = k - first + (3 if level == 1 else 0)
    # A unit is conv, norm, activation; the last one, without activation, is written flat.
    linear = 1 if k == 1 else 2
    unit = 3 * i + int(j) if j is not None else 3 * linear + (i - linear)
    return f"layer{level}.{index}.out.{unit}."


# torchvision's names of MobileNet v2.
MOBILENETV2 = ImageNetNames(
    [
        (r"^features\.0\.([01])\.", r"layer1.\1."),
        (r"^features\.(\d+)\.conv\.(\d)(?:\.(\d))?\.(?=[a-z])", _inverted_residual),
        # The closing 1x1 convolution, where the backbone has it.
        (r"^features\.18\.([01])\.", lambda m: f"layer4.{4 + int(m.group(1))}."),
    ],
    (*CLASSIFIER, r"^features\.18\."),
)


# Parts of a block of MobileNet v3: mmsegmentation's names and GluonCV's.
_V3_PARTS = {"expand_conv": "expand", "depthwise_conv": "conv1", "linear_conv": "conv2"}


def mobilenetv3_names(ends: Sequence[int]) -> ImageNetNames:
    """Names of MobileNet v3 in torchvision (features.<k>, backbone.<k>) and mmsegmentation (layer<k>), where
    the four levels end before GluonCV's children `ends`."""

    def place(k: int) -> str:
        child = k + 2  # the stem is three children
        level = next((n for n, end in enumerate(ends) if child < end), len(ends) - 1)
        return f"layer{level + 1}.{child - (ends[level - 1] if level else 0)}"

    def chained(match: Match) -> str:
        k, index, rest = int(match.group(1)), int(match.group(2)), match.group(3)
        if rest.startswith("fc"):
            return f"{place(k)}.se.conv{rest[2]}."
        index += k == 1  # the first block does not expand
        part = {0: "expand", 1: "conv1"}.get(index, "conv2")
        return f"{place(k)}.{part}.{'conv' if rest == '0.' else 'bn'}."

    def closing(match: Match) -> str:
        k, part = int(match.group(1)), match.group(2)
        level, _, child = place(k).rpartition(".")
        return f"{level}.{int(child) + (part in ('1', 'bn'))}."

    rules: List[Rule] = [
        (r"^(?:features\.)?0\.([01])\.", r"layer1.\1."),
        (r"^(?:features\.)?(\d+)\.block\.(\d)\.(fc[12]\.|[01]\.)", chained),
        (r"^(?:features\.)?(\d+)\.([01])\.", closing),
        (r"^layer0\.conv\.", "layer1.0."),
        (r"^layer0\.bn\.", "layer1.1."),
        (r"^layer(\d+)\.se\.conv([12])\.conv\.", lambda m: f"{place(int(m[1]))}.se.conv{m[2]}."),
        (
            r"^layer(\d+)\.(expand_conv|depthwise_conv|linear_conv)\.",
            lambda m: f"{place(int(m[1]))}.{_V3_PARTS[m[2]]}.",
        ),
        (r"^layer(\d+)\.(conv|bn)\.(?=weight|bias|running)", closing),
    ]
    return ImageNetNames(rules)


def _mmseg_inverted_residual(match: Match) -> str:
    """mmsegmentation's layer<k>.<block>.conv.<i>.<conv or bn> of MobileNet v2 in GluonCV's numbering."""
    k, block, i, kind = (match.group(n) for n in (1, 2, 3, 4))
    level, first = {
        "1": (1, 3),
        "2": (1, 4),
        "3": (2, 0),
        "4": (3, 0),
        "5": (3, 4),
        "6": (4, 0),
        "7": (4, 3),
    }[k]
    return f"layer{level}.{first + int(block)}.out.{3 * int(i) + (kind == 'bn')}."


# mmsegmentation's names of MobileNet v2.
MMSEG_MOBILENETV2: List[Rule] = [
    (r"^layer(\d)\.(\d)\.conv\.(\d)\.(conv|bn)\.", _mmseg_inverted_residual),
    (r"^conv1\.conv\.", "layer1.0."),
    (r"^conv1\.bn\.", "layer1.1."),
]


# Parts of an inverted residual of EfficientNet in torchvision, for blocks that do not expand and those that
# do; in timm; ours are segmentation_models.pytorch's without the underscores.
_TORCHVISION_MBCONV = (("depthwise", "se", "project"), ("expand", "depthwise", "se", "project"))
_MBCONV_NORMS = {"expand": "bn0", "depthwise": "bn1", "project": "bn2"}
_TIMM_MBCONV = (
    {"conv_dw": "depthwise_conv", "bn1": "bn1", "conv_pw": "project_conv", "bn2": "bn2"},
    {
        **{"conv_pw": "expand_conv", "bn1": "bn0", "conv_dw": "depthwise_conv", "bn2": "bn1"},
        **{"conv_pwl": "project_conv", "bn3": "bn2"},
    },
)


def efficientnet_names(blocks: Sequence[int]) -> ImageNetNames:
    """Names of EfficientNet in torchvision, timm and segmentation_models.pytorch; `blocks` of each stage."""

    def place(stage: str, index: str) -> str:
        return f"blocks.{sum(blocks[: int(stage)]) + int(index)}."

    def torchvision(match: Match) -> str:
        stage, index, part, rest = match.groups()
        kind = _TORCHVISION_MBCONV[int(stage) > 1][int(part)]
        block = place(str(int(stage) - 1), index)
        if kind == "se":
            return f"{block}{'se_reduce' if rest == 'fc1' else 'se_expand'}."
        return f"{block}{f'{kind}_conv' if rest == '0' else _MBCONV_NORMS[kind]}."

    def timm(match: Match) -> str:
        stage, index, part = match.groups()
        return f"{place(stage, index)}{_TIMM_MBCONV[int(stage) > 0][part]}."

    rules: List[Rule] = [
        (r"^features\.0\.0\.", "conv_stem."),
        (r"^(features\.0\.1|bn1)\.", "bn0."),
        (r"^features\.([1-7])\.(\d+)\.block\.(\d)\.(fc[12]|[01])\.", torchvision),
        (r"^blocks\.(\d)\.(\d+)\.(conv_\w+|bn\d)\.", timm),
        (r"^blocks\.(\d)\.(\d+)\.se\.conv_(reduce|expand)\.", lambda m: f"{place(m[1], m[2])}se_{m[3]}."),
        (r"^_(conv_stem|bn0)\.", r"\1."),
        (r"^_blocks\.(\d+)\._", r"blocks.\1."),
    ]
    return ImageNetNames(rules, (*CLASSIFIER, r"^features\.8\.", r"^(_conv_head|_bn1|_fc|conv_head|bn2)\."))


def _hrnet_chain(match: Match) -> str:
    """Strided chains between branches: ours are flat, with the activations numbered too."""
    return f"{match.group(1)}.{3 * int(match.group(2)) + int(match.group(3))}."


# mmsegmentation's names of HRNet against GluonCV's, whose blocks are numbered sequences.
HRNET = [
    (r"^", "trunk."),
    (
        r"^(trunk\.(?:layer1\.\d|stage\d\.\d\.branches\.\d\.\d))\.(conv|bn)([123])\.",
        lambda m: f"{m.group(1)}.body.{3 * int(m.group(3)) - (3 if m.group(2) == 'conv' else 2)}.",
    ),
    (r"^(trunk\.stage\d\.\d\.fuse_layers\.\d\.\d)\.(\d)\.([01])\.", _hrnet_chain),
]


def _hf_inverted_residual(match: Match) -> str:
    """transformers' layer.<k> of MobileNet v2, counted from the second block, in GluonCV's numbering."""
    k, part, kind = int(match.group(1)), match.group(2), match.group(3)
    child = k + 4  # stem and first block are four children
    level, first = next(
        (n, f) for n, f, end in ((1, 0, 6), (2, 6, 9), (3, 9, 16), (4, 16, 20)) if child < end
    )
    unit = {"expand_1x1": 0, "conv_3x3": 3, "reduce_1x1": 6}[part] + (kind == "normalization")
    return f"layer{level}.{child - first}.out.{unit}."


# transformers' names of MobileNet v2.
HF_MOBILENETV2: List[Rule] = [
    (r"^conv_stem\.first_conv\.convolution\.", "layer1.0."),
    (r"^conv_stem\.first_conv\.normalization\.", "layer1.1."),
    (r"^conv_stem\.conv_3x3\.convolution\.", "layer1.3.out.0."),
    (r"^conv_stem\.conv_3x3\.normalization\.", "layer1.3.out.1."),
    (r"^conv_stem\.reduce_1x1\.convolution\.", "layer1.3.out.3."),
    (r"^conv_stem\.reduce_1x1\.normalization\.", "layer1.3.out.4."),
    (
        r"^layer\.(\d+)\.(expand_1x1|conv_3x3|reduce_1x1)\.(convolution|normalization)\.",
        _hf_inverted_residual,
    ),
]


def mobilevit_in_rgb(tensors: Dict[str, np.ndarray]) -> Dict[str, np.ndarray]:
    """Tensors of a file of MobileViT; transformers' read pictures of blue, green, red, and no longer do."""
    stem = re.compile(r"^(mobilevit(v2)?\.)?conv_stem\.convolution\.weight$")
    return {name: t[:, ::-1] if stem.search(name) else t for name, t in tensors.items()}


# transformers' names of MobileViT, first and second version.
_MOBILEVITS: List[Rule] = [
    (r"^(?:mobilevit(?:v2)?\.)?conv_stem\.", "stem.act."),
    (r"^(?:mobilevit(?:v2)?\.)?encoder\.layer\.0\.layer\.0\.", "level0."),
    (r"^(?:mobilevit(?:v2)?\.)?encoder\.layer\.1\.layer\.", "level1."),
    (
        r"^(?:mobilevit(?:v2)?\.)?encoder\.layer\.([234])\.",
        lambda m: f"stages.{int(m.group(1)) - 2}.",
    ),
    (r"\.downsampling_layer\.", ".down."),
    (r"\.(expand)_1x1\.", ".expand.act."),
    (r"\.conv_3x3\.", ".depthwise.act."),
    (r"\.reduce_1x1\.", ".reduce."),
    (r"\.conv_kxk\.", ".local.act."),
    (r"\.transformer\.layer\.", ".blocks."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"\.layernorm\.", ".norm."),
]
_CONVOLUTION: List[Rule] = [
    (r"\.act\.(convolution|normalization)\.", r".unit.\1."),
    (r"\.convolution\.", ".conv."),
    (r"\.normalization\.", ".bn."),
]
MOBILEVIT: List[Rule] = [
    *_MOBILEVITS,
    (r"\.conv_1x1\.convolution\.", ".widen."),
    (r"\.attention\.attention\.(query|key|value)\.", r".\1."),
    (r"\.attention\.output\.dense\.", ".proj."),
    (r"\.intermediate\.dense\.", ".fc1."),
    (r"\.output\.dense\.", ".fc2."),
    (r"\.conv_projection\.", ".narrow.act."),
    (r"\.fusion\.", ".join.act."),
    *_CONVOLUTION,
]
MOBILEVITV2: List[Rule] = [
    *_MOBILEVITS,
    (r"\.conv_1x1\.convolution\.", ".mix."),
    (r"\.attention\.qkv_proj\.convolution\.", ".qkv."),
    (r"\.attention\.out_proj\.convolution\.", ".proj."),
    (r"\.ffn\.conv([12])\.convolution\.", r".fc\1."),
    (r"\.conv_projection\.", ".out."),
    *_CONVOLUTION,
]


# The authors' names of mix transformers and PVT v2 (patch_embed1, block1, norm1), timm's of PVT v2
# (downsample) and mmsegmentation's (layers.0).
MIT = [
    (r"^patch_embed\.(proj|norm)\.", r"stages.0.downsample.\1."),
    (r"^stages\.(\d)\.downsample\.proj\.", r"stages.\1.patch."),
    (r"^stages\.(\d)\.downsample\.norm\.", r"stages.\1.patch_norm."),
    (r"^patch_embed(\d)\.proj\.", lambda m: f"stages.{int(m.group(1)) - 1}.patch."),
    (r"^patch_embed(\d)\.norm\.", lambda m: f"stages.{int(m.group(1)) - 1}.patch_norm."),
    (r"^block(\d)\.", lambda m: f"stages.{int(m.group(1)) - 1}.blocks."),
    (r"^norm(\d)\.", lambda m: f"stages.{int(m.group(1)) - 1}.norm."),
    (r"\.dwconv\.dwconv\.", ".dwconv."),
    (r"^layers\.(\d)\.0\.projection\.", r"stages.\1.patch."),
    (r"^layers\.(\d)\.0\.norm\.", r"stages.\1.patch_norm."),
    (r"^layers\.(\d)\.1\.", r"stages.\1.blocks."),
    (r"^layers\.(\d)\.2\.", r"stages.\1.norm."),
    (r"\.attn\.attn\.out_proj\.", ".attn.proj."),
    (r"\.attn\.attn\.(q|kv)_", r".attn.\1."),
    (r"\.ffn\.layers\.0\.", ".mlp.fc1."),
    (r"\.ffn\.layers\.1\.", ".mlp.dwconv."),
    (r"\.ffn\.layers\.4\.", ".mlp.fc2."),
]

# transformers' names of them.
HF_MIT: List[Rule] = [
    (r"\.patch_embeddings\.proj\.", ".patch."),
    (r"\.patch_embeddings\.layer_norm\.", ".patch_norm."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"\.attention\.q_proj\.", ".attn.q."),
    (r"\.attention\.kv\.", ".attn.kv."),
    (r"\.attention\.o_proj\.", ".attn.proj."),
    (r"\.attention\.sequence_reduction\.sequence_reduction\.", ".attn.sr."),
    (r"\.attention\.sequence_reduction\.layer_norm\.", ".attn.norm."),
    (r"\.dwconv\.dwconv\.", ".dwconv."),
    (r"^(stages\.\d)\.layer_norm\.", r"\1.norm."),
]


def split_projections(tensors: Dict[str, np.ndarray]) -> Dict[str, np.ndarray]:
    """mmsegmentation's `in_proj_*` of attention as `q_*` and `kv_*`: queries read another map."""
    split = {}
    for name, tensor in tensors.items():
        before, found, kind = name.rpartition("in_proj_")
        if found:
            tensor = np.asarray(tensor)
            third = len(tensor) // 3
            split[f"{before}q_{kind}"], split[f"{before}kv_{kind}"] = tensor[:third], tensor[third:]
        else:
            split[name] = tensor
    return split


# mmsegmentation's names of DDRNet and PIDNet.
_RESIDUAL_UNITS: List[Rule] = [
    (r"\.conv([123])\.(conv|bn)\.", lambda m: f".units.{int(m.group(1)) - 1}.{m.group(2)}."),
    (r"\.downsample\.0\.", ".down.conv."),
    (r"\.downsample\.1\.", ".down.bn."),
    (r"\.downsample\.", ".down."),
    (r"^stem\.4\.", "stem_down."),
]
_WINDOW_POOLING: List[Rule] = [
    (r"^spp\.scales\.0\.", "pooling.scales.0."),
    (r"^spp\.scales\.(\d)\.1\.", r"pooling.scales.\1."),
    (r"^spp\.processes\.", "pooling.blends."),
    (r"^spp\.compression\.", "pooling.compress."),
    (r"^spp\.shortcut\.", "pooling.shortcut."),
]
DDRNET: List[Rule] = [
    *_RESIDUAL_UNITS,
    *_WINDOW_POOLING,
    (r"^context_branch_layers\.", "context."),
    (r"^spatial_branch_layers\.", "detail."),
    (r"^compression_([12])\.", lambda m: f"up.{int(m.group(1)) - 1}."),
    (r"^down_([12])\.", lambda m: f"down.{int(m.group(1)) - 1}."),
]
PIDNET: List[Rule] = [
    # The boundary branch's first stages are lone blocks there, stages of one here.
    (r"^d_branch_layers\.([01])\.(?=conv|downsample)", r"d_branch_layers.\1.0."),
    (r"^spp\.processes\.(?=conv|bn)", "spp.processes.0."),
    *_RESIDUAL_UNITS,
    *_WINDOW_POOLING,
    (r"^([ipd])_branch_layers\.", r"\1_branch."),
    (r"^compression_([12])\.", lambda m: f"compress.{int(m.group(1)) - 1}."),
    (r"^diff_([12])\.", lambda m: f"derive.{int(m.group(1)) - 1}."),
    (r"^pag_([12])\.", lambda m: f"agree.{int(m.group(1)) - 1}."),
    (r"^(agree\.\d)\.f_([ip])\.", r"\1.embed_\2."),
    (r"^dfm\.f_([ip])\.", r"fuse.blend_\1."),
    (r"^dfm\.conv\.", "fuse.blend."),
]


def grid_of(patches: int) -> Tuple[int, int]:
    """Rows and columns of a grid that holds so many patches: as near to a square as there is, and not
    higher than wide."""
    rows = next(n for n in range(int(patches**0.5), 0, -1) if patches % n == 0)
    return rows, patches // rows


# mmcv numbers the deep stem's last batch norm with its convolutions; SFSegNets' segmentation
# checkpoints call stem and batch norm layer0. torchvision, timm and GluonCV use our names.
RESNET = [
    (r"^stem\.7\.", "bn1."),
    (r"^stem\.", "conv1."),
    (r"^layer0\.0\.", "conv1."),
    (r"^layer0\.1\.", "bn1."),
]


def stdc(version: int) -> List[Rule]:
    """Names of STDC of the authors and the SFNet repository, who number blocks through all stages, and of
    mmsegmentation, where the stem is the first two of five stages."""
    starts = {"8": 2, "16": 4, "32": 6} if version == 1 else {"8": 2, "16": 6, "32": 11}
    stages = {"8": 0, "16": 1, "32": 2}

    def block(match: Match) -> str:
        stage, index = match.group(1), int(match.group(2))
        return f"stages.{stages[stage]}.{index - starts[stage]}."

    def layers(match: Match) -> str:
        part = "units" if match.group(3) == "layers" else "down"
        return f"stages.{int(match.group(1)) - 2}.{match.group(2)}.{part}."

    return [
        (r"^x2\.0\.0\.", "stem.0."),
        (r"^x4\.0\.1\.", "stem.1."),
        (r"^stages\.([01])\.(conv|bn)\.", r"stem.\1.\2."),
        (r"^stages\.(\d)\.(\d)\.(layers|downsample)\.", layers),
        (r"^x(8|16|32)\.0\.(\d+)\.", block),
        (r"^(stages\.\d\.\d)\.conv_list\.", r"\1.units."),
        (r"^(stages\.\d\.\d)\.avd_layer\.0\.", r"\1.down.conv."),
        (r"^(stages\.\d\.\d)\.avd_layer\.1\.", r"\1.down.bn."),
    ]

"""ImageNet weights for backbones, in the names of torchvision, timm, mmcv, GluonCV and the SFNet
repositories.

Files are looked for locally only: in the weights folder (`MXNETSEG_WEIGHTS`, default
`weights/imagenet` of the repository), where `python -m mxnetseg.weights fetch` puts them.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np

from mxnetseg.errors import CheckpointError
from mxnetseg.weights.fetch import read_index
from mxnetseg.weights.loading import assign
from mxnetseg.weights.reading import read_tensors
from mxnetseg.weights.rename import match, translate
from mxnetseg.weights.tables import common

FOLDER = Path(__file__).resolve().parents[2] / "weights" / "imagenet"
SUFFIXES = (".params", ".pth", ".pt", ".tar", ".bin", ".safetensors", ".npz")
# The ImageNet classifier and what only it uses, in any of the libraries.
CLASSIFIER = (
    r"^(fc|output|classifier|linear|head|head_dist|final_layer|conv_last|bn|norm)\.",
    r"^(incre_modules|downsamp_modules)\.",
    r"^features\.(\d+|conv5|norm5_extra)\.",
)
# mmcv numbers the deep stem's last batch norm with its convolutions; SFSegNets' segmentation
# checkpoints call stem and batch norm layer0. torchvision, timm and GluonCV use our names.
RESNET = [
    (r"^stem\.7\.", "bn1."),
    (r"^stem\.", "conv1."),
    (r"^layer0\.0\.", "conv1."),
    (r"^layer0\.1\.", "bn1."),
]
_DENSE_LAYER = {"norm1": 0, "conv1": 2, "norm2": 3, "conv2": 5}


def _dense_layer(match):
    block, layer, part = int(match.group(1)), int(match.group(2)), match.group(3) + match.group(4)
    return f"layer{block}.{int(block > 1)}.{layer - 1}.1.{_DENSE_LAYER[part]}."


DENSENET = [
    (r"^features\.conv0\.", "stem.0."),
    (r"^features\.norm0\.", "stem.1."),
    (r"^features\.norm5\.", "layer4.2."),
    (r"^features\.denseblock(\d)\.denselayer(\d+)\.(norm|conv)\.?([12])\.", _dense_layer),
    (r"^features\.transition(\d)\.norm\.", lambda m: f"layer{int(m.group(1)) + 1}.0.0."),
    (r"^features\.transition(\d)\.conv\.", lambda m: f"layer{int(m.group(1)) + 1}.0.2."),
]


def _inverted_residual(match):
    """torchvision's features.<k>.conv.<i>[.<j>] of MobileNet v2 in GluonCV's numbering."""
    k, i, j = int(match.group(1)), int(match.group(2)), match.group(3)
    level, first = next((n, f) for n, f, last in ((1, 1, 3), (2, 4, 6), (3, 7, 13), (4, 14, 17)) if k <= last)
    index = k - first + (3 if level == 1 else 0)
    # A unit is conv, norm, activation; the last one, without activation, is written flat.
    linear = 1 if k == 1 else 2
    unit = 3 * i + int(j) if j is not None else 3 * linear + (i - linear)
    return f"layer{level}.{index}.out.{unit}."


MOBILENETV2 = [
    (r"^features\.0\.([01])\.", r"layer1.\1."),
    (r"^features\.(\d+)\.conv\.(\d)(?:\.(\d))?\.(?=[a-z])", _inverted_residual),
]


# timm's and mmsegmentation's names of ViT; the position embedding is the backbone's own affair.
VIT = [
    (r"^patch_embed\.proj(ection)?\.", "patch_embed."),
    (r"^layers\.", "blocks."),
    (r"\.ln([12])\.", r".norm\1."),
    (r"\.attn\.attn\.in_proj_(weight|bias)$", r".attn.qkv.\1"),
    (r"\.attn\.attn\.out_proj\.", ".attn.proj."),
    (r"\.ffn\.layers\.0\.0\.", ".mlp.fc1."),
    (r"\.ffn\.layers\.1\.", ".mlp.fc2."),
]
# The authors' names of mix transformers (patch_embed1, block1, norm1) and mmsegmentation's (layers.0).
MIT = [
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


def _prefixed(rules):
    """Rules written for names under `backbone.`, applied to bare ones."""
    return [(r"^", "backbone."), *rules, (r"^backbone\.", "")]


# family -> (rules, patterns of tensors that segmentation never runs). The first family that the
# backbone's name starts with counts; those without an entry use ResNet's.
RULES = {
    "densenet": (DENSENET, CLASSIFIER),
    "mobilenetv2": (MOBILENETV2, (*CLASSIFIER, r"^features\.18\.")),
    "mit": (MIT, CLASSIFIER),
    "vit": (VIT, CLASSIFIER),
    "hrnet": (_prefixed(common.MMSEG_HRNET), CLASSIFIER),
    "stdc1": (_prefixed(common.stdc_backbone(1)), CLASSIFIER),
    "stdc2": (_prefixed(common.stdc_backbone(2)), CLASSIFIER),
}


def folder():
    """Where local ImageNet weights live."""
    return Path(os.environ.get("MXNETSEG_WEIGHTS", FOLDER))


def load_backbone(backbone, source):
    """Fill a `Backbone` from ImageNet weights; `source` is True (the local folder) or a file's path.

    Every backbone parameter must be found; what is left over may only be the classifier.
    Raises CheckpointError naming the file, or where it was looked for and how to get it.
    """
    name = backbone.registered_name
    path = _local_file(name) if source is True else Path(source)
    tensors = {n[9:] if n.startswith("backbone.") else n: t for n, t in read_tensors(path).items()}
    rules, unused = RULES.get(_family(name), (RESNET, CLASSIFIER))
    tensors = backbone.rearrange(tensors)
    parameters = backbone.parameters_by_name()
    # GluonCV's classifiers number their layers; a backbone cut from one knows which became what.
    zoo = getattr(backbone, "zoo_prefixes", {})
    tables = [rules, [(rf"^{re.escape(theirs)}", ours) for theirs, ours in zoo.items()]]
    rules = max(tables, key=lambda table: sum(translate(n, table, parameters) is not None for n in tensors))
    kept = {
        n: t
        for n, t in _inflate(tensors, backbone).items()
        if translate(n, rules, parameters) or not any(re.search(pattern, n) for pattern in unused)
    }
    values, problems = match(kept, rules, parameters)
    if problems:
        raise CheckpointError(f"{path} does not fit backbone {name!r}; {problems}")
    assign(parameters, values)
    return path


def _inflate(tensors, backbone):
    """Give the first convolution as many input channels as the backbone has.

    The colour channels are repeated in turn and scaled so that an image whose channels all are the
    same excites the layer as before.
    """
    wanted = backbone.in_channels
    if wanted == 3:
        return tensors
    first = next((n for n, t in tensors.items() if np.ndim(t) == 4 and t.shape[1] == 3), None)
    if first is None:
        return tensors
    weight = tensors[first]
    turns = [weight[:, c % 3] for c in range(wanted)]
    return {**tensors, first: np.stack(turns, 1) * (3 / wanted)}


def _family(name):
    return next((family for family in RULES if name.startswith(family)), None)


def _local_file(name):
    places = [folder() / f"{name}{suffix}" for suffix in SUFFIXES]
    found = next((p for p in places if p.is_file()), None)
    if found is None:
        known = [n for n, e in read_index().items() if e.get("backbone") == name]
        advice = (
            f"`python -m mxnetseg.weights fetch {known[0]}` downloads them"
            if known
            else "put a torchvision, timm, mmcv or GluonCV file there"
        )
        raise CheckpointError(
            f"no ImageNet weights of {name!r} at {places[0]} (or {', '.join(SUFFIXES[1:])}): "
            f"{advice}, or train from scratch with --no-pretrained"
        )
    return found

"""ImageNet weights for backbones, in the names of torchvision, timm, mmcv, GluonCV and the SFNet
repositories.

Files are looked for locally only: in the weights folder (`MXNETSEG_WEIGHTS`, default
`weights/imagenet` of the repository), where `python -m mxnetseg.weights fetch` puts them.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from mxnetseg.errors import CheckpointError
from mxnetseg.weights.fetch import read_index
from mxnetseg.weights.reading import read_tensors
from mxnetseg.weights.rename import assign, match

FOLDER = Path(__file__).resolve().parents[2] / "weights" / "imagenet"
SUFFIXES = (".params", ".pth", ".pt", ".tar", ".npz")
# mmcv numbers the deep stem's last batch norm with its convolutions; SFSegNets' segmentation
# checkpoints call stem and batch norm layer0. torchvision, timm and GluonCV use our names.
RESNET = [
    (r"^backbone\.", ""),
    (r"^stem\.7\.", "bn1."),
    (r"^stem\.", "conv1."),
    (r"^layer0\.0\.", "conv1."),
    (r"^layer0\.1\.", "bn1."),
]
# The ImageNet classifier and what only it uses.
CLASSIFIER = (r"^(backbone\.)?(fc|output|classifier|linear|head|conv_last|bn)\.",)


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
    tensors = read_tensors(path)
    parameters = backbone._collect_params_with_prefix()
    tensors = _inflate(tensors, backbone)
    rules, unused = RULES.get(_family(name), (RESNET, CLASSIFIER))
    values, problems = match(tensors, rules, parameters, unused)
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


# family -> (rules, unused); the families without an entry use the names of ResNet's.
RULES = {}


def _local_file(name):
    places = [folder() / f"{name}{suffix}" for suffix in SUFFIXES]
    found = next((p for p in places if p.is_file()), None)
    if found is None:
        known = [n for n, e in read_index().items() if e.get("backbone") == name]
        advice = (
            f"`python -m mxnetseg.weights fetch {known[0]}` downloads them" if known
            else "put a torchvision, timm, mmcv or GluonCV file there"
        )  # fmt: skip
        raise CheckpointError(
            f"no ImageNet weights of {name!r} at {folder() / name}.params (or .pth, .npz): {advice}, "
            f"or train from scratch with --no-pretrained"
        )
    return found

"""ImageNet weights for backbones, in the names of torchvision, timm, mmcv, GluonCV and the SFNet
repositories.

Files are looked for locally only: in the weights folder (`MXNETSEG_WEIGHTS`, default
`weights/imagenet` of the repository), where `python -m mxnetseg.weights fetch` puts them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, Optional, Union
from urllib.parse import urlsplit

import numpy as np

from mxnetseg.backbones.base import Backbone
from mxnetseg.errors import CheckpointError
from mxnetseg.places import imagenet_folder
from mxnetseg.weights.fetch import by_hand, file_name
from mxnetseg.weights.index import Entry, read_index, urls_of
from mxnetseg.weights.loading import assign
from mxnetseg.weights.reading import read_tensors
from mxnetseg.weights.rename import fitting, match, translate

SUFFIXES = (".params", ".pth", ".pt", ".tar", ".bin", ".safetensors", ".npz")


def load_backbone(backbone: Backbone, source: Union[bool, str, Path]) -> Path:
    """Fill a `Backbone` from ImageNet weights; `source` is True (the local folder) or a file's path.

    `backbone`: that of a `Segmentor`. Every parameter must be found but those that no classifier has (norms
    of maps), which stay as they are; what is left over may only be the classifier.
    Raises CheckpointError naming the file, or where it was looked for and how to get it.
    """
    backbone = backbone.pretrainable
    name = backbone.imagenet_name or backbone.registered_name
    path = _required_file(name) if source is True else Path(source)
    tensors = {n[9:] if n.startswith("backbone.") else n: t for n, t in read_tensors(path).items()}
    rules, unused = backbone.imagenet.rules, backbone.imagenet.unused
    with fitting(f"{path} does not fit backbone {name!r}"):
        tensors = backbone.rearrange(tensors)
    parameters = backbone.parameters_by_name()
    # GluonCV's classifiers number their layers; a backbone cut from one knows which became what.
    zoo = [(rf"^{re.escape(theirs)}", ours) for theirs, ours in backbone.zoo_prefixes.items()]
    tables = [rules, *backbone.imagenet.layouts, zoo]
    rules = max(tables, key=lambda table: sum(translate(n, table, parameters) is not None for n in tensors))
    kept = {
        n: t
        for n, t in _inflate(tensors, backbone).items()
        if translate(n, rules, parameters) or not any(re.search(pattern, n) for pattern in unused)
    }
    read = {translate(n, rules, parameters) for n in kept}
    fresh = {n for n in parameters if any(re.search(pattern, n) for pattern in backbone.imagenet.fresh)}
    parameters = {n: p for n, p in parameters.items() if n in read or n not in fresh}
    values, problems = match(kept, rules, parameters)
    if problems:
        raise CheckpointError(f"{path} does not fit backbone {name!r}; {problems}")
    assign(parameters, values)
    return path


def _inflate(tensors: Dict[str, np.ndarray], backbone: Backbone) -> Dict[str, np.ndarray]:
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


def local_file(name: str, place: Path) -> Optional[Path]:
    """The weights of a backbone in the folder `place`; None where there are none."""
    return next((p for p in (place / f"{name}{suffix}" for suffix in SUFFIXES) if p.is_file()), None)


def _required_file(name: str) -> Path:
    """The weights of a backbone in the local folder: under its name, or under that of a publisher."""
    known = {n: entry for n, entry in read_index().items() if entry.get("backbone") == name}
    found = local_file(name, imagenet_folder())
    if found is None:
        files = [file_name(url) for entry in known.values() for url in urls_of(entry)]
        files += [entry["file"] for entry in known.values() if "file" in entry]
        there = [imagenet_folder() / file for file in files if file.endswith(SUFFIXES)]
        found = next((file for file in there if file.is_file()), None)
    if found is None:
        raise CheckpointError(
            f"no ImageNet weights of {name!r} at {imagenet_folder() / name}{SUFFIXES[0]} "
            f"(or {', '.join(SUFFIXES[1:])}): {_advice(known)}, or train from scratch with "
            f"model.pretrained: false"
        )
    return found


def _advice(known: Dict[str, Entry]) -> str:
    """How to come by the weights of a backbone, from its entries of the index."""
    fetched = [n for n, entry in known.items() if urls_of(entry)]
    linked = [entry for entry in known.values() if not urls_of(entry)]
    if fetched:
        host = urlsplit(urls_of(known[fetched[0]])[0]).hostname
        return f"`python -m mxnetseg.weights fetch {fetched[0]}` downloads them from {host}"
    if linked:
        return by_hand(linked[0])
    return "nobody is known to publish them, but a file of this very network put there is taken"

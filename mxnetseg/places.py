"""Where what comes with the library lies: in a checkout beside the package, in an installation inside it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import List

PACKAGE = Path(__file__).resolve().parent
CHECKOUT = PACKAGE.parent


def configs_folders() -> List[Path]:
    """Folders of recipes, first found first: the checkout's or the installed ones, then ./configs."""
    folders = [CHECKOUT / "configs", PACKAGE / "configs", Path.cwd() / "configs"]
    unique = {folder.resolve(): folder for folder in reversed(folders) if folder.is_dir()}
    return list(reversed(unique.values()))


def weights_index() -> Path:
    """The list of published weights that can be fetched."""
    beside = CHECKOUT / "weights" / "index.yaml"
    return beside if beside.is_file() else PACKAGE / "weights" / "index.yaml"


def imagenet_folder() -> Path:
    """ImageNet weights: $MXNETSEG_WEIGHTS, else weights/imagenet of the checkout or of the current folder."""
    if os.environ.get("MXNETSEG_WEIGHTS"):
        return Path(os.environ["MXNETSEG_WEIGHTS"])
    return (CHECKOUT if _is_checkout() else Path()) / "weights" / "imagenet"


def _is_checkout() -> bool:
    return (CHECKOUT / "configs").is_dir() and (CHECKOUT / "pyproject.toml").is_file()

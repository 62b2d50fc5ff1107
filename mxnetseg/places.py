"""Where what comes with the library lies: in a checkout beside the package, in an installation inside it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import List, Optional

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
    """ImageNet weights: the folder $MXNETSEG_WEIGHTS, else weights/imagenet of the checkout or of the current
    folder."""
    return weights_folder() or (CHECKOUT if _is_checkout() else Path()) / "weights" / "imagenet"


def weights_folder() -> Optional[Path]:
    """The folder of files already downloaded that $MXNETSEG_WEIGHTS names; None where it names none."""
    named = os.environ.get("MXNETSEG_WEIGHTS")
    return Path(named) if named and not _is_address(named) else None


def weights_mirror() -> Optional[str]:
    """The address that $MXNETSEG_WEIGHTS has in place of the publishers'; None where it has none."""
    named = os.environ.get("MXNETSEG_WEIGHTS")
    return named.rstrip("/") if named and _is_address(named) else None


def _is_address(text: str) -> bool:
    return text.startswith(("http://", "https://"))


def _is_checkout() -> bool:
    return (CHECKOUT / "configs").is_dir() and (CHECKOUT / "pyproject.toml").is_file()

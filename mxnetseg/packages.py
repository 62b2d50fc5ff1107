"""The packages that the library uses, and what to tell where they are missing. Standard library only."""

from __future__ import annotations

import importlib.util
import sys
from typing import List, NamedTuple


class Package(NamedTuple):
    """`module`: as it is imported. `distribution`: as pip knows it. `needed`: by every command."""

    module: str
    distribution: str
    purpose: str
    needed: bool = True


PACKAGES = (
    Package("gluoncv", "gluoncv", "backbones, pretrained ImageNet weights"),
    Package("numpy", "numpy", "arrays; below 2, which MXNet cannot use"),
    Package("cv2", "opencv-python-headless", "reading, resizing and augmenting pictures"),
    Package("PIL", "pillow", "label files with palettes, writing PNG"),
    Package("scipy", "scipy", "GluonCV imports it; .mat label files"),
    Package("isal", "isal", "inflating PNG files"),
    Package("pyspng", "pyspng", "decoding PNG files"),
    Package("safetensors", "safetensors", "weight files of that name"),
    Package("pydantic", "pydantic", "recipes"),
    Package("yaml", "PyYAML", "recipes"),
    Package("tqdm", "tqdm", "progress bars"),
    Package("wandb", "wandb", "logging to Weights & Biases", needed=False),
    Package("onnx", "onnx", "ONNX export", needed=False),
    Package("onnxruntime", "onnxruntime", "running and checking exported networks", needed=False),
    Package("openvino", "openvino", "running exported networks on CPUs", needed=False),
    Package("torch", "torch", "computing with PyTorch in place of MXNet", needed=False),
    Package("pytest", "pytest", "make test", needed=False),
)

# Python versions that run MXNet 1.9.1 with these packages.
PYTHONS = ((3, 9), (3, 10), (3, 11), (3, 12))
PYTHONS_IN_WORDS = "Python {}.{} to {}.{}".format(*PYTHONS[0], *PYTHONS[-1])


def missing_packages() -> List[str]:
    """Modules that every command needs and this Python lacks."""
    return [p.module for p in PACKAGES if p.needed and importlib.util.find_spec(p.module) is None]


def require_packages() -> None:
    """End the command with one line where the requirements are not installed; else do nothing.

    For commands only, before their imports: later it would be a ModuleNotFoundError's traceback.
    """
    missing = missing_packages()
    if missing:
        print(
            f"error: {sys.executable} lacks {', '.join(missing)}: run `make venv` in the repository "
            f"and use .venv/bin/python, or `pip install -r requirements.txt`",
            file=sys.stderr,
        )
        raise SystemExit(2)

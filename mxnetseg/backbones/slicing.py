"""Cutting GluonCV's flat classifiers into the four levels of a pyramid, and holding their strides."""

from __future__ import annotations

from typing import Dict, Iterable, Tuple

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.nn.surgery import children, set_dilation, set_stride, settings


def cut(backbone: Backbone, features: HybridBlock, levels: Dict[str, Tuple[int, int]]) -> None:
    """Move children of `features` into `backbone.<name>` sequentials, renumbered from 0.

    `levels`: {name: (first, last + 1)} of child indices. What was `features.7.` in GluonCV's parameter
    files is recorded in `backbone.zoo_prefixes` as {"features.7.": "layer2.1."}.
    """
    parts = list(children(features).values())
    backbone.zoo_prefixes = {}
    for name, (first, end) in levels.items():
        level = nn.HybridSequential()
        for index in range(first, end):
            backbone.zoo_prefixes[f"features.{index}."] = f"{name}.{index - first}."
            level.add(parts[index])
        setattr(backbone, name, level)


def hold_stride(chain: Iterable[nn.Conv2D], stride: int, output_stride: int) -> None:
    """Turn strides beyond `output_stride` into dilation.

    `chain`: convolutions in running order; `stride`: of the map that the first one reads. A convolution
    that loses its stride keeps the dilation so far; those after it double it.
    """
    rate = 1
    for conv in chain:
        step = settings(conv)["stride"][0]
        if rate > 1 and settings(conv)["kernel"] != (1, 1):
            set_dilation(conv, rate)
        if step > 1 and stride >= output_stride:
            set_stride(conv, 1)
            rate *= step
        else:
            stride *= step

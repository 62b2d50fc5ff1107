"""Cutting GluonCV's flat classifiers into the four levels of a pyramid, and holding their strides."""

from __future__ import annotations

from typing import Dict, Iterable, Literal, Tuple

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


Dilation = Literal["after", "with"]


def hold_stride(
    chain: Iterable[nn.Conv2D], stride: int, output_stride: int, dilation: Dilation = "after"
) -> None:
    """Turn strides beyond `output_stride` into dilation.

    `chain`: convolutions in running order; `stride`: of the map that the first one reads. Those after a
    convolution that loses its stride double their dilation; itself, too, `with` them, or only those `after`.
    """
    rate = 1
    for conv in chain:
        step = settings(conv)["stride"][0]
        lost = step if step > 1 and stride >= output_stride else 1
        own = rate * lost if dilation == "with" else rate
        if own > 1 and settings(conv)["kernel"] != (1, 1):
            set_dilation(conv, own)
        if lost > 1:
            set_stride(conv, 1)
            rate *= lost
        else:
            stride *= step

"""Cutting GluonCV's flat classifiers into the four levels of a pyramid, and holding their strides."""

from __future__ import annotations

from mxnet.gluon import nn


def cut(backbone, features, levels):
    """Move children of `features` into `backbone.<name>` sequentials, renumbered from 0.

    `levels`: {name: (first, last + 1)} of child indices. What was `features.7.` in GluonCV's parameter
    files is recorded in `backbone.zoo_prefixes` as {"features.7.": "layer2.1."}.
    """
    children = list(features._children.values())
    backbone.zoo_prefixes = {}
    for name, (first, end) in levels.items():
        level = nn.HybridSequential()
        for index in range(first, end):
            backbone.zoo_prefixes[f"features.{index}."] = f"{name}.{index - first}."
            level.add(children[index])
        setattr(backbone, name, level)


def hold_stride(chain, stride, output_stride):
    """Turn strides beyond `output_stride` into dilation.

    `chain`: convolutions in running order; `stride`: of the map that the first one reads. A convolution
    that loses its stride keeps the dilation so far; those after it double it.
    """
    rate = 1
    for conv in chain:
        step = conv._kwargs["stride"][0]
        kernel = conv._kwargs["kernel"][0]
        if kernel > 1 and rate > 1:
            conv._kwargs["dilate"] = (rate, rate)
            conv._kwargs["pad"] = (rate * (kernel // 2),) * 2
        if step > 1 and stride >= output_stride:
            conv._kwargs["stride"] = (1, 1)
            rate *= step
        else:
            stride *= step


def convolutions(block):
    """Convolutions of a block, depth first: the running order of a chain."""
    if isinstance(block, nn.Conv2D):
        return [block]
    return [conv for child in block._children.values() for conv in convolutions(child)]

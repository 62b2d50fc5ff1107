"""Operators that are modules of a translated network, in the places of its layers: how each is made, and its
call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

import torch
from torch import nn

from mxnetseg.compute.torch.folding import fold
from mxnetseg.compute.torch.layers import BatchNorm, Dropout, WideConvolution
from mxnetseg.compute.torch.precision import must_be_wide
from mxnetseg.errors import ConfigError
from mxnetseg.symbols import Node

if TYPE_CHECKING:
    from mxnetseg.compute.torch.translate import Translator

# Attributes that choose between MXNet's own ways of computing.
IGNORED = {"workspace", "cudnn_tune", "cudnn_off", "num_args", "key", "ndev", "output_mean_var"}
STATISTICS = ("running_mean", "running_var")


def attribute(path: str) -> str:
    """`self.a["0"].b` of the structural name `a.0.b`."""
    parts = (f'["{part}"]' if part.isdigit() else f".{part}" for part in path.split("."))
    return "self" + "".join(parts)


def _convolution_module(node: Node, shape: torch.Size, bias: bool) -> nn.Module:
    a = node.attributes
    groups, dilation = a.get("num_group", 1), a.get("dilate") or (1, 1)
    kind = WideConvolution if must_be_wide(shape[1], dilation) else nn.Conv2d
    return kind(
        shape[1] * groups,
        shape[0],
        tuple(shape[2:]),
        stride=a.get("stride") or (1, 1),
        padding=a.get("pad") or (0, 0),
        dilation=dilation,
        groups=groups,
        bias=bias,
        device="meta",
    )


def _deconvolution_module(node: Node, shape: torch.Size, bias: bool) -> nn.Module:
    a = node.attributes
    groups = a.get("num_group", 1)
    return nn.ConvTranspose2d(
        shape[0],
        shape[1] * groups,
        tuple(shape[2:]),
        stride=a.get("stride") or (1, 1),
        padding=a.get("pad") or (0, 0),
        output_padding=a.get("adj") or (0, 0),
        dilation=a.get("dilate") or (1, 1),
        groups=groups,
        bias=bias,
        device="meta",
    )


CONVOLUTIONS = {"Convolution": _convolution_module, "Deconvolution": _deconvolution_module}


def _convolution(t: Translator, place: int, node: Node) -> Optional[str]:
    name = t.graph.parameter(node.inputs[1])
    if name is None:
        return None  # a computed kernel
    bias = len(node.inputs) > 2
    kept = {key: value for key, value in node.attributes.items() if key not in IGNORED}
    return t.layer(
        node,
        ("weight", "bias") if bias else ("weight",),
        lambda: CONVOLUTIONS[node.operator](node, t.parameters[name].shape, bias),
        *sorted((key, value) for key, value in kept.items() if not key.startswith("__")),
    )


def _fully_connected(t: Translator, place: int, node: Node) -> Optional[str]:
    a = node.attributes
    name = t.graph.parameter(node.inputs[1])
    if name is None or a.get("flatten", True):
        return None
    bias = not a.get("no_bias", False)
    outputs, inputs = t.parameters[name].shape

    def make() -> nn.Module:
        return nn.Linear(inputs, outputs, bias, device="meta")

    return t.layer(node, ("weight", "bias") if bias else ("weight",), make)


def _batch_norm(t: Translator, place: int, node: Node) -> str:
    a = node.attributes
    if a.get("axis", 1) != 1:
        raise ConfigError(f"layer {node.name}: batch norm over axis {a['axis']} has no PyTorch form")
    options = {key: a[key] for key in ("eps", "momentum", "fix_gamma", "use_global_stats") if key in a}
    if place in t.folded:
        return _folded_norm(t, place, node, BatchNorm(**options))
    options["synchronized"] = node.operator == "_contrib_SyncBatchNorm"
    turns = t.turns.get(t.graph.parameter(node.inputs[1]), [place])
    found = t.layer(
        node,
        ("gamma", "beta", *STATISTICS),
        lambda: BatchNorm(**options),
        *sorted(options.items()),
        keywords=f", turn={turns.index(place)}, turns={len(turns)}" if len(turns) > 1 else "",
    )
    if found is not None:
        return found
    states = [attribute(t.graph.parameter(entry)) for entry in node.inputs[3:]]
    inputs = [t.value(entry) for entry in node.inputs[:3]] + states
    return f"{t.own_layer(place, node, BatchNorm(**options))}({', '.join(inputs)})"


def _folded_norm(t: Translator, place: int, node: Node, norm: BatchNorm) -> str:
    before = t.graph.nodes[t.folded[place]]
    weight, *bias = (t.parameters[t.graph.parameter(entry)] for entry in before.inputs[1:])
    module = CONVOLUTIONS[before.operator](before, weight.shape, bias=True)
    statistics = [t.parameters[t.graph.parameter(entry)] for entry in node.inputs[1:]]
    fold(module, weight, bias[0] if bias else None, norm, *statistics)
    return f"{t.own_layer(place, before, module)}({t.value(before.inputs[0])})"


def _dropout(t: Translator, place: int, node: Node) -> str:
    module = Dropout(node.attributes.get("p", 0.5), node.attributes.get("axes", ()))
    return f"{t.own_layer(place, node, module)}({t.value(node.inputs[0])})"


LAYERS = {
    "Convolution": _convolution,
    "Deconvolution": _convolution,
    "FullyConnected": _fully_connected,
    "BatchNorm": _batch_norm,
    "_contrib_SyncBatchNorm": _batch_norm,
    "Dropout": _dropout,
}
NORMS = ("BatchNorm", "_contrib_SyncBatchNorm")
# Operators that give new memory, and whose gradients are computed without what they gave.
FRESH = (*NORMS, "Convolution", "elemwise_add")
MULTIPLE = ("SliceChannel",)  # operators that give a list

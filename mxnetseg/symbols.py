"""A network as a list of operators: what is counted, translated to PyTorch and written to ONNX.

MXNet traces `net(data)` into a symbol graph without computing anything; no weights are needed, and what
depends on the size of the image stays an operator of the graph. Nodes are known by their place in that
list: names are not unique where a block runs twice.
"""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

import mxnet as mx
import numpy as np
from mxnet import autograd

from mxnetseg.nn.surgery import named_parameters

VARIABLE = "null"  # MXNet's word for what is no operator: an input or a parameter

# (place of the node in the list, which of its outputs)
Entry = Tuple[int, int]


class Node(NamedTuple):
    """An operator with its inputs, or a variable (`operator` is VARIABLE). `attributes` are Python values:
    numbers, booleans, tuples, None, and text where they are words."""

    operator: str
    name: str
    attributes: Dict[str, Any]
    inputs: Tuple[Entry, ...]


@dataclass(frozen=True)
class Graph:
    """A traced network.

    nodes       in an order in which inputs come before what reads them
    outputs     what the network returns
    data        name of the variable that stands for the image
    parameters  variable name -> structural name of the parameter, as in `.params` files; of a parameter
                that has several structural names, the first
    symbol      MXNet's own form
    """

    nodes: Tuple[Node, ...]
    outputs: Tuple[Entry, ...]
    data: str
    parameters: Dict[str, str]
    symbol: mx.sym.Symbol
    _entries: Tuple[Entry, ...]

    def operators(self) -> Iterator[Tuple[int, Node]]:
        """(place, node) of everything but the variables."""
        return ((k, node) for k, node in enumerate(self.nodes) if node.operator != VARIABLE)

    def parameter(self, entry: Entry) -> Optional[str]:
        """Structural name of the parameter that an entry is; None where it is something else."""
        node = self.nodes[entry[0]]
        return self.parameters.get(node.name) if node.operator == VARIABLE else None

    def shapes(self, data_shape: Tuple[int, ...]) -> Dict[Entry, Tuple[int, ...]]:
        """Shape of every entry for an image batch of `data_shape` (N, C, H, W)."""
        _, shapes, _ = self.symbol.get_internals().infer_shape(**{self.data: data_shape})
        return dict(zip(self._entries, shapes))

    def types(self) -> Dict[Entry, str]:
        """Type of every entry by NumPy's name (`float32`, `int32`) for a float32 image."""
        _, types, _ = self.symbol.get_internals().infer_type(**{self.data: "float32"})
        return {entry: np.dtype(kind).name for entry, kind in zip(self._entries, types)}


def trace(net, data: str = "data", training: bool = False) -> Graph:
    """The graph of `net(data)`: any HybridBlock of one input that returns one output or several. `training`:
    that of networks which do something else in training."""
    with autograd.train_mode() if training else autograd.predict_mode():
        found = net(mx.sym.var(data))
    outputs = mx.sym.Group(list(found)) if isinstance(found, (tuple, list)) else found
    # The internals list every output of every node, in the order of shape inference.
    text = json.loads(outputs.get_internals().tojson())
    nodes = tuple(
        Node(
            node["op"],
            node["name"],
            {key: _value(word) for key, word in node.get("attrs", {}).items()},
            tuple((place, index) for place, index, *_ in node["inputs"]),
        )
        for node in text["nodes"]
    )
    heads = json.loads(outputs.tojson())["heads"]
    names: Dict[str, str] = {}
    for structural, parameter in named_parameters(net).items():
        names.setdefault(parameter.name, structural)
    return Graph(nodes, _entries(heads), data, names, outputs, _entries(text["heads"]))


def image_shape(net, batch: int = 1) -> Tuple[int, int, int, int]:
    """Shape of an image batch that the network is sure to take: what ranks and sizes are inferred with."""
    backbone = getattr(net, "backbone", None)
    side = getattr(backbone, "trace_size", 64)
    return (batch, getattr(backbone, "in_channels", 3), side, side)


def _entries(heads: List) -> Tuple[Entry, ...]:
    return tuple((place, index) for place, index, *_ in heads)


def _value(word: str) -> Any:
    """The Python value that an attribute's text spells; the text itself where it is a word."""
    try:
        return ast.literal_eval(word)
    except (ValueError, SyntaxError):
        return word

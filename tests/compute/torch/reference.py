"""What MXNet computes for a traced network, in double precision and without chance.

Random networks multiply rounding errors by thousands, so that two correct engines differ visibly in single
precision. What is compared here is the graph in float64 on both sides, dropout left out. MXNet resizes at
positions that it rounds to float32 whatever the type: `resize_as_mxnet` does so too.
"""

from __future__ import annotations

import json
from typing import Dict, List, NamedTuple

import mxnet as mx
import numpy as np
import torch
from mxnet import autograd

from mxnetseg.compute.torch.layers import Dropout
from mxnetseg.symbols import Graph, trace
from mxnetseg.weights.checkpoint import network_arrays


class Found(NamedTuple):
    outputs: List[np.ndarray]
    gradients: Dict[str, np.ndarray]
    states: Dict[str, np.ndarray]


def images(size, count, channels=3, seed=1) -> np.ndarray:
    return np.random.RandomState(seed).standard_normal((count, channels, *size))


def weights_of(outputs) -> List[np.ndarray]:
    """What each output is multiplied with to make one number of them all."""
    draw = np.random.RandomState(7)
    return [draw.standard_normal(y.shape) / np.prod(y.shape) for y in outputs]


def run_mxnet(net, x: np.ndarray, training: bool) -> Found:
    """The network in float64: outputs, gradients of `weights_of`, and statistics after the pass."""
    graph = trace(net)
    symbol = _in_double(graph)
    values = {name: mx.nd.array(v, dtype="float64") for name, v in network_arrays(net).items()}
    known = {name: values[structural] for name, structural in graph.parameters.items()}
    states = {name: known[name] for name in symbol.list_auxiliary_states()}
    inputs = {name: known[name] for name in symbol.list_arguments() if name != graph.data}
    gradients = {name: mx.nd.zeros_like(value) for name, value in inputs.items()}
    inputs[graph.data] = mx.nd.array(x, dtype="float64")
    executor = symbol.bind(
        mx.cpu(), inputs, gradients, {k: "write" if k in gradients else "null" for k in inputs}, states
    )
    with autograd.pause():
        outputs = executor.forward(is_train=training)
        if training:
            executor.backward([mx.nd.array(w, dtype="float64") for w in weights_of(outputs)])
    trained = [p.name for p in net.collect_params().values() if p.grad_req != "null"]
    return Found(
        [y.asnumpy() for y in outputs],
        {graph.parameters[name]: gradients[name].asnumpy() for name in trained if name in gradients},
        {graph.parameters[name]: value.asnumpy() for name, value in states.items()},
    )


def run_torch(module, x: np.ndarray, training: bool) -> Found:
    """The same of a translated network; it is left in float64."""
    module.double().train(training)
    for part in module.modules():
        if isinstance(part, Dropout):
            part.p = 0.0
    outputs = module(torch.from_numpy(x))
    if training:
        module.zero_grad()
        weights = [torch.from_numpy(w) for w in weights_of(outputs)]
        sum((y * w).sum() for y, w in zip(outputs, weights)).backward()
    gradients = {name: p.grad for name, p in module.named_parameters() if p.requires_grad}
    return Found(
        [y.detach().numpy() for y in outputs],
        {name: g.numpy() for name, g in gradients.items() if g is not None},
        {name: value.detach().numpy() for name, value in module.state_dict().items()},
    )


def _in_double(graph: Graph):
    """The symbol with every float32 in it double and no dropout."""
    content = json.loads(graph.symbol.tojson())
    for node in content["nodes"]:
        attributes = node.get("attrs", {})
        attributes.pop("__dtype__", None)
        if attributes.get("dtype") == "float32":
            attributes["dtype"] = "float64"
        if node["op"] == "Dropout":
            attributes["p"] = "0"
    return mx.sym.load_json(json.dumps(content))


def resize_as_mxnet(
    x,
    like=None,
    mode="size",
    height=0,
    width=0,
    scale_height=None,
    scale_width=None,
    align_corners=True,
):
    """`operators.bilinear_resize` at positions that are rounded to float32."""
    if mode == "like":
        height, width = like.shape[2:]
    elif scale_height is not None:
        height, width = int(x.shape[2] * scale_height), int(x.shape[3] * scale_width)
    for axis, new in ((2, height), (3, width)):
        old = x.shape[axis]
        places = np.arange(new, dtype=np.float32)
        if align_corners:
            source = places * (np.float32(old - 1) / np.float32(max(new - 1, 1)))
        else:
            scale = np.float32(old) / np.float32(new) if new > 1 else np.float32(0)
            # MXNet's halves are double, so that only the scale and what comes of it are rounded.
            source = np.maximum(float(scale) * (np.arange(new) + 0.5) - 0.5, 0).astype(np.float32)
        low = source.astype(np.int64)
        part = torch.from_numpy((source - low.astype(np.float32)).astype(np.float64)).to(x)
        part = part.reshape([-1 if k == axis else 1 for k in range(4)])
        high = np.minimum(low + 1, old - 1)
        lower, upper = (x.index_select(axis, torch.from_numpy(k)) for k in (low, high))
        x = lower * (1 - part) + upper * part
    return x


def difference(expected: np.ndarray, found: np.ndarray) -> float:
    """Largest |difference| over the expectation's standard deviation."""
    return float(np.abs(expected - found).max() / (expected.std() + 1e-12))


def relative(expected: Dict[str, np.ndarray], found: Dict[str, np.ndarray]) -> float:
    """Length of the difference over the length of the expectation, all arrays as one vector; what `found`
    lacks counts as zeros."""
    missing = {k: np.zeros_like(v) for k, v in expected.items() if k not in found}
    found = {**found, **missing}
    squares = sum(float(np.square(found[k] - v).sum()) for k, v in expected.items())
    return (squares / sum(float(np.square(v).sum()) for v in expected.values())) ** 0.5

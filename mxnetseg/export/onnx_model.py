"""A network as an ONNX model: translated, described, checked against MXNet, written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Tuple

import mxnet as mx
import numpy as np
import onnx
from onnx import helper

import mxnetseg
from mxnetseg.errors import ExportError
from mxnetseg.export.check import compare
from mxnetseg.export.form import IMAGE, Form, Input
from mxnetseg.export.graph import FLOAT, INT32, UINT8, Writer
from mxnetseg.export.operators import OPERATORS
from mxnetseg.export.quantize import Calibration, quantize
from mxnetseg.run_files import atomic_file
from mxnetseg.symbols import VARIABLE, Graph, image_shape, trace
from mxnetseg.weights.checkpoint import network_arrays

OPSET, IR_VERSION = 17, 8
LARGEST = 2**31 - 1  # bytes of a protobuf file


def to_onnx(
    net,
    path,
    size: Optional[Tuple[int, int]] = None,
    batch: Optional[int] = None,
    argmax: bool = False,
    uint8: bool = False,
    half: bool = False,
    statistics: Input = Input((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    metadata: Optional[Mapping[str, Any]] = None,
    int8: Optional[Calibration] = None,
) -> Dict[str, float]:
    """Write a `Segmentor` as an ONNX file; auxiliary heads are left out.

    The options are those of `Form`. `statistics` normalize inside with `uint8`, and are metadata otherwise.
    `metadata`: name -> text, or what JSON can hold. The file appears once `onnx.checker` took it and ONNX
    Runtime gave what MXNet gives on random pictures; returns what that comparison found (`compare`).
    `int8`: labelled pictures that 8-bit integers are calibrated on (`mxnetseg.export.quantize`); the result
    then also has mIoU on them before and after (0 to 1) and how many of how many layers stay in float32.
    Raises ExportError for a network or size that cannot be exported, or results that differ, and
    CheckpointError where `path` cannot be written.
    """
    net = net.deploy() if hasattr(net, "deploy") else net
    form = Form(size, batch, argmax, uint8, half)
    described = {
        "mxnetseg_version": mxnetseg.__version__,
        "mean": list(statistics.mean),
        "std": list(statistics.std),
        **(metadata or {}),
    }
    model = build(net, form, statistics, described)
    content = model.SerializeToString() if model.ByteSize() <= LARGEST else None
    if content is None:
        raise ExportError(
            f"{path}: the network takes more than the 2 GB that an ONNX file can hold: store half precision"
        )
    found = compare(net, content, form, statistics)
    if int8 is not None:
        quantized = quantize(model, int8)
        content = quantized.content
        found.update(quantized.facts())
    with atomic_file(Path(path)) as out:
        out.write(content)
    return found


def build(net, form: Form, statistics: Input, metadata: Mapping[str, Any] = {}) -> onnx.ModelProto:
    """The checked model of a deployed network."""
    graph, arrays = trace(net), _values(net)
    channels = image_shape(net)[1]
    writer = Writer(graph, arrays, _shapes(graph, net, form), form.half)
    pictures = _from_pictures(writer, statistics) if form.uint8 else IMAGE
    result = _translate(writer, pictures)
    nclass = graph.shapes(image_shape(net))[graph.outputs[0]][1]
    kind = FLOAT
    if form.argmax:
        kind = UINT8 if nclass <= 256 else INT32
        result = _labels(writer, result, nclass, kind)
    writer.nodes.append(helper.make_node("Identity", [result], [form.output], name=form.output))
    writer.keep_only_what_leads_to([form.output])
    batch, (height, width) = form.batch or "batch", form.size or ("height", "width")
    sides = [batch, height, width, channels] if form.uint8 else [batch, channels, height, width]
    taken = helper.make_tensor_value_info(IMAGE, UINT8 if form.uint8 else FLOAT, sides)
    sides = [batch, height, width] if form.argmax else [batch, nclass, height, width]
    given = helper.make_tensor_value_info(form.output, kind, sides)
    model = helper.make_model(
        helper.make_graph(
            writer.nodes, "mxnetseg", [taken], [given], initializer=list(writer.initializers.values())
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        producer_name="mxnetseg",
        producer_version=mxnetseg.__version__,
        ir_version=IR_VERSION,
    )
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in metadata.items()}
    helper.set_model_props(model, texts)
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise ExportError(f"the ONNX model is not valid: {error}") from error
    return model


def _values(net) -> Dict[str, np.ndarray]:
    try:
        return network_arrays(net)
    except RuntimeError as error:
        raise ExportError(f"the network has no values yet: initialize it ({error})") from error


def _shapes(graph: Graph, net, form: Form) -> Dict:
    """Shapes that ranks are read from; at the wanted size where one is, so that one the network cannot take
    is found here."""
    batch, channels, height, width = image_shape(net, form.batch or 1)
    if form.size:
        height, width = form.size
    try:
        return graph.shapes((batch, channels, height, width))
    except mx.MXNetError as error:
        raise ExportError(f"the network cannot take pictures of {height} x {width} pixels") from error


def _from_pictures(w: Writer, statistics: Input) -> str:
    """uint8 (N, H, W, C) to the network's input."""
    mean, std = (np.asarray(v, np.float64).reshape(-1, 1, 1) for v in statistics)
    planes = w.emit("Transpose", [w.cast(IMAGE, FLOAT)], perm=[0, 3, 1, 2])
    scaled = w.emit("Mul", [planes, w.constant(1 / (255 * std))])
    return w.emit("Sub", [scaled, w.constant(mean / std)])


def _labels(w: Writer, logits: str, nclass: int, kind: int) -> str:
    """The most probable class of each pixel, the first where equal; of one logit, whether it is above 0."""
    if nclass == 1:
        plane = w.emit("Squeeze", [logits, w.integers(1)])
        return w.cast(w.emit("Greater", [plane, w.constant(0.0)]), kind)
    return w.cast(w.emit("ArgMax", [logits], axis=1, keepdims=0), kind)


def _translate(w: Writer, image: str) -> str:
    """Add every operator that the main output depends on; the name of that output."""
    graph = w.graph
    needed, open_ = set(), [graph.outputs[0][0]]
    while open_:
        place = open_.pop()
        if place not in needed:
            needed.add(place)
            open_ += [source for source, _ in graph.nodes[place].inputs]
    for place in sorted(needed):
        node = graph.nodes[place]
        if node.operator == VARIABLE:
            if node.name == graph.data:
                w.values[place, 0] = image
            continue
        function = OPERATORS.get(node.operator)
        if function is None:
            raise ExportError(f"operator {node.operator} of layer {node.name} has no ONNX form")
        results = function(w, node, [w.value(entry) for entry in node.inputs])
        for index, result in enumerate(results if isinstance(results, list) else [results]):
            w.values[place, index] = result
    return w.value(graph.outputs[0])

"""A network as an ONNX model: translated, described, checked against MXNet, written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import mxnet as mx
import numpy as np
import onnx
from onnx import helper

import mxnetseg
from mxnetseg.errors import ExportError
from mxnetseg.export.graph import FLOAT, INT32, UINT8, Writer
from mxnetseg.export.operators import OPERATORS
from mxnetseg.run_files import atomic_file
from mxnetseg.symbols import VARIABLE, Graph, image_shape, trace
from mxnetseg.weights.checkpoint import network_arrays

OPSET, IR_VERSION = 17, 8
IMAGE = "image"
LARGEST = 2**31 - 1  # bytes of a protobuf file


class Form(NamedTuple):
    """What an exported file takes and gives.

    size, batch  fixed height and width, fixed number of images; None: free.
    argmax       label maps (N, H, W) in place of logits (N, nclass, H, W): `labels`, not `logits`.
    uint8        pictures as they are, uint8 RGB (N, H, W, 3); else normalized float32 (N, 3, H, W).
    half         parameters in float16: half the file; arithmetic stays in float32.
    """

    size: Optional[Tuple[int, int]] = None
    batch: Optional[int] = None
    argmax: bool = False
    uint8: bool = False
    half: bool = False

    @property
    def output(self) -> str:
        """Name of the result."""
        return "labels" if self.argmax else "logits"


class Input(NamedTuple):
    """How pictures become the network's input: (value / 255 - mean) / std, per channel."""

    mean: Sequence[float]
    std: Sequence[float]


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
) -> Dict[str, float]:
    """Write a `Segmentor` as an ONNX file; auxiliary heads are left out.

    The options are those of `Form`. `statistics` normalize inside with `uint8`, and are metadata otherwise.
    `metadata`: name -> text, or what JSON can hold. The file appears once `onnx.checker` took it and ONNX
    Runtime gave what MXNet gives on random pictures; returns what that comparison found (`compare`).
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


# ----- the comparison


def compare(net, content: bytes, form: Form, statistics: Input) -> Dict[str, float]:
    """ONNX Runtime against MXNet on random pictures, in one fixed size or two free ones.

    Returns {"difference": largest difference of logits over their standard deviation, "labels": share of
    pixels whose label differs}. Raises ExportError where the difference is above 1e-3 and also above ten
    times what rounding the pictures differently makes of MXNet's own logits, and for labels that differ
    where the two best logits are not that close.
    """
    session = _session(content)
    worst, apart = 0.0, 0.0
    for count, (height, width) in _trials(net, form):
        pictures, x = _pictures(net, form, statistics, (count, height, width))
        expected = net(mx.nd.array(x))[0].asnumpy()
        deviation = float(expected.std()) + 1e-12
        rounded = net(mx.nd.array(x * np.float32(1 + 2**-22)))[0].asnumpy()
        allowed = max(1e-3, 10 * float(np.abs(rounded - expected).max()) / deviation)
        (found,) = session.run([form.output], {IMAGE: pictures})
        if form.argmax:
            differs = found != _best(expected)
            margin = _margin(expected) / deviation
            worst = max(worst, float(margin[differs].max(initial=0)))
            apart = max(apart, float(differs.mean()))
        else:
            worst = max(worst, float(np.abs(found - expected).max()) / deviation)
            apart = max(apart, float((_best(found) != _best(expected)).mean()))
        allowed = max(allowed, 1e-2) if form.half else allowed
        if not worst <= allowed:
            raise ExportError(
                f"the exported network does not give what MXNet gives: logits differ by {worst:.1e} of their "
                f"standard deviation at {height} x {width} (at most {allowed:.1e}); nothing was written"
            )
    return {"difference": worst, "labels": apart}


def _session(content: bytes):
    try:
        import onnxruntime
    except ImportError as error:
        raise ExportError(
            "onnxruntime, which checks exported networks, is not installed: pip install -r requirements.txt"
        ) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ExportError(f"ONNX Runtime does not take the exported network: {error}") from error


def _trials(net, form: Form) -> List[Tuple[int, Tuple[int, int]]]:
    count = form.batch or 1
    if form.size:
        return [(count, form.size)]
    _, _, height, width = image_shape(net)
    return [(count, (height, width + 32)), (form.batch or 2, (height + 33, width + 3))]


def _pictures(net, form: Form, statistics: Input, shape: Tuple[int, int, int]):
    """(what the file takes, what MXNet's network takes) of random pictures."""
    draw = np.random.RandomState(0)
    count, height, width = shape
    channels = image_shape(net)[1]
    if not form.uint8:
        x = draw.standard_normal((count, channels, height, width)).astype(np.float32)
        return x, x
    pictures = draw.randint(0, 256, (count, height, width, channels)).astype(np.uint8)
    mean, std = (np.asarray(v, np.float64) for v in statistics)
    return pictures, ((pictures / 255 - mean) / std).transpose(0, 3, 1, 2).astype(np.float32)


def _best(logits: np.ndarray) -> np.ndarray:
    return logits[:, 0] > 0 if logits.shape[1] == 1 else logits.argmax(axis=1)


def _margin(logits: np.ndarray) -> np.ndarray:
    """How far the best logit of each pixel is above the second, or the only one from 0."""
    if logits.shape[1] == 1:
        return np.abs(logits[:, 0])
    two = np.partition(logits, -2, axis=1)[:, -2:]
    return two[:, 1] - two[:, 0]

"""Exported networks in 8-bit integers: static quantization by ONNX Runtime, calibrated on labelled pictures.

Convolutions and products with constant matrices compute in integers, weights per output channel, activations
per tensor with the ranges that the calibration pictures give (Jacob et al., CVPR 2018, arXiv 1712.05877).
Everything between them stays in float32. Layers that lose too much stay too: which, is found by measurement.
"""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Iterator, List, NamedTuple, Tuple

import numpy as np
import onnx

from mxnetseg.errors import ConfigError, DatasetError, EngineError, ExportError
from mxnetseg.export.check import best_labels, open_session
from mxnetseg.export.form import IMAGE, Form, Input
from mxnetseg.metrics import ConfusionMatrix

QUANTIZED = ("Conv", "MatMul", "Gemm")
MOST_LOST = 0.01  # of mIoU on the calibration pictures
_LARGEST = 512  # side of the picture that layers are ranked on: all their inputs are in memory at once


class Calibration(NamedTuple):
    """Labelled pictures: how many, what reads one as (what the file takes (1, ...), train ids (H, W)), and
    how they are scored."""

    count: int
    read: Callable[[int], Tuple[np.ndarray, np.ndarray]]
    nclass: int
    ignore_index: int

    def __iter__(self) -> Iterator[Tuple[np.ndarray, np.ndarray]]:
        return (self.read(number) for number in range(self.count))


class Quantized(NamedTuple):
    """The file, mIoU (0 to 1) on the calibration pictures before and after, and how many of the layers that
    could be quantized were left in float32."""

    content: bytes
    before: float
    after: float
    kept: int
    layers: int

    def facts(self) -> Dict[str, float]:
        """All but the file."""
        return {"before": self.before, "after": self.after, "kept": self.kept, "layers": self.layers}


def calibration_of(dataset: Any, form: Form, statistics: Input, count: int) -> Calibration:
    """`count` pictures evenly spread over a data set with labels, as a file of this form takes them.

    ConfigError for a form that takes no picture of the data set's channels or fixes a batch above 1;
    DatasetError for a data set without labels or pictures.
    """
    if form.batch not in (None, 1):
        raise ConfigError(f"8-bit integers are calibrated picture by picture: batch {form.batch} must be 1")
    if not len(dataset) or dataset[0].label is None:
        raise DatasetError(
            f"data set {dataset.name!r}, split {dataset.split!r}: calibration needs pictures with labels"
        )
    places = np.linspace(0, len(dataset) - 1, min(count, len(dataset))).round().astype(int)
    mean, std = (np.asarray(v, np.float32) for v in statistics)

    def read(number: int) -> Tuple[np.ndarray, np.ndarray]:
        import cv2

        sample = dataset[int(places[number])]
        image, label = sample.image, sample.label
        if form.size and image.shape[:2] != tuple(form.size):
            sides = form.size[::-1]
            image = cv2.resize(image, sides, interpolation=cv2.INTER_LINEAR)
            label = cv2.resize(label, sides, interpolation=cv2.INTER_NEAREST)
        if form.uint8:
            return image[None], label
        planes = ((image / np.float32(255) - mean) / std).transpose(2, 0, 1)
        return np.ascontiguousarray(planes[None], np.float32), label

    return Calibration(len(places), read, len(dataset.scored_classes), dataset.ignore_index)


def quantize(model: onnx.ModelProto, calibration: Calibration) -> Quantized:
    """A checked float32 model in 8-bit integers.

    Where the scores on the calibration pictures fall by more than `MOST_LOST`, the layers whose inputs suffer
    most stay in float32: one, then two, four and so on. ExportError where that does not help, EngineError
    where ONNX Runtime lacks what it takes.
    """
    try:
        from onnxruntime.quantization import shape_inference
    except ImportError as error:
        raise EngineError("onnxruntime is not installed: pip install -r requirements.txt") from error
    properties = {entry.key: entry.value for entry in model.metadata_props}
    with tempfile.TemporaryDirectory() as folder:
        given, prepared = str(Path(folder, "given.onnx")), str(Path(folder, "prepared.onnx"))
        onnx.save(model, given)
        # Folds batch norms into the convolutions before them, so that one scale serves both.
        shape_inference.quant_pre_process(given, prepared, skip_symbolic_shape=True)
        ranges = _ranges(prepared, calibration, folder)
        base = onnx.load(prepared)
    layers = _layers(base)
    before = _score(model.SerializeToString(), calibration)
    ranking: List[str] = []
    kept = 0
    while True:
        content = _in_integers(base, ranges, ranking[:kept], properties)
        after = _score(content, calibration)
        if before - after <= MOST_LOST:
            return Quantized(content, before, after, kept, len(layers))
        if kept >= len(layers):
            raise ExportError(
                f"in 8-bit integers mIoU on the calibration pictures falls from {100 * before:.1f} to "
                f"{100 * after:.1f} %, whichever layers stay in float32; nothing was written"
            )
        ranking = ranking or _most_sensitive(base, layers, ranges, calibration)
        kept = min(max(1, 2 * kept), len(layers))


def _layers(model: onnx.ModelProto) -> List[Any]:
    """The nodes that are quantized: those with a constant weight."""
    constants = {tensor.name for tensor in model.graph.initializer}
    return [n for n in model.graph.node if n.op_type in QUANTIZED and n.input[1] in constants]


def _ranges(path: str, calibration: Calibration, folder: str) -> Any:
    from onnxruntime.quantization import CalibrationMethod
    from onnxruntime.quantization.calibrate import create_calibrator

    calibrator = create_calibrator(
        path,
        list(QUANTIZED),
        augmented_model_path=str(Path(folder, "augmented.onnx")),
        calibrate_method=CalibrationMethod.MinMax,
    )
    calibrator.set_execution_providers(["CPUExecutionProvider"])
    calibrator.collect_data(_Reader(x for x, _ in calibration))
    return calibrator.compute_data()


class _Reader:
    """Pictures as ONNX Runtime's calibrator asks for them."""

    def __init__(self, pictures: Iterable[np.ndarray]):
        self._pictures = iter(pictures)

    def get_next(self):
        picture = next(self._pictures, None)
        return None if picture is None else {IMAGE: picture}


def _in_integers(base: onnx.ModelProto, ranges: Any, kept: List[str], properties: Dict[str, str]) -> bytes:
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

    model = onnx.ModelProto()
    model.CopyFrom(base)
    quantizer = QDQQuantizer(
        model,
        per_channel=True,
        reduce_range=False,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QUInt8,
        tensors_range=ranges,
        nodes_to_quantize=[],
        nodes_to_exclude=kept,
        op_types_to_quantize=list(QUANTIZED),
        extra_options={"MatMulConstBOnly": True},
    )
    quantizer.quantize_model()
    found = quantizer.model.model
    del found.metadata_props[:]
    onnx.helper.set_model_props(found, properties)
    return found.SerializeToString()


def _most_sensitive(
    base: onnx.ModelProto, layers: List[Any], ranges: Any, calibration: Calibration
) -> List[str]:
    """Names of the layers, first the one whose input loses the largest share of its power in 8 bits."""
    picture = calibration.read(0)[0]
    shown = onnx.ModelProto()
    shown.CopyFrom(base)
    names = sorted({layer.input[0] for layer in layers if layer.input[0] != IMAGE})
    shown.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = open_session(shown.SerializeToString())
    if session.get_inputs()[0].shape[-2:] != list(picture.shape[-2:]) and picture.dtype != np.uint8:
        picture = picture[:, :, :_LARGEST, :_LARGEST]
    values = dict(zip(names, session.run(names, {IMAGE: picture})))
    losses = {name: _loss(value, *_range(ranges, name)) for name, value in values.items()}
    return sorted((n.name for n in layers), key=lambda name: -losses.get(_input_of(layers, name), 0.0))


def _input_of(layers: List[Any], name: str) -> str:
    return next(layer.input[0] for layer in layers if layer.name == name)


def _range(ranges: Any, name: str) -> Tuple[float, float]:
    low, high = ranges[name].range_value
    return min(float(low), 0.0), max(float(high), 0.0)


def _loss(values: np.ndarray, low: float, high: float) -> float:
    """Power of the rounding error over that of the values."""
    step = (high - low) / 255 or 1.0
    rounded = np.clip(np.round(values / step), round(low / step), round(high / step)) * step
    power = float(np.square(values).mean())
    return float(np.square(values - rounded).mean()) / power if power else 0.0


def _score(content: bytes, calibration: Calibration) -> float:
    session = open_session(content)
    matrix = ConfusionMatrix(calibration.nclass, calibration.ignore_index)
    for picture, label in calibration:
        (found,) = session.run(None, {IMAGE: picture})
        (labels,) = best_labels(found) if found.ndim == 4 else found
        matrix.update(labels.astype(np.int32), label)
    score = matrix.scores()["miou"]
    if score is None or math.isnan(score):
        raise DatasetError("the calibration pictures have no labelled pixel")
    return score

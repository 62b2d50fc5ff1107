"""One forward pass by one engine, again and again: what `inference.py` runs for each side.

    python benchmarks/forward.py mxnet --model sfnet:resnet18 --size 512 1024

Waits for lines and answers each by {"forward": seconds}. With `--picture` the answer also has `decode`, the
reading of that file, `whole`, everything from the file to its label map, and `inside`, the forward pass in
that. The side `export` writes the ONNX
files that others take, and ends. A side that is not to be had here answers {"absent": why} and ends.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import time
from pathlib import Path

import numpy as np

NCLASS = 19
ENGINES = (
    "mxnet",
    "torch",
    "torch-bf16",
    "torch-compiled",
    "onnxruntime",
    "onnxruntime-int8",
    "openvino",
    "openvino-bf16",
    "openvino-int8",
)
RIVALS = ("rival-eager", "rival-traced", "rival-compiled")
CALIBRATION = (256, 512)  # pixels of the pictures that 8-bit integers are calibrated on


def network(model):
    """A network of this library with random weights. `model`: architecture:backbone, or the id of a published
    network as `python -m mxnetseg.weights list` gives it."""
    import mxnetseg  # noqa: F401  MXNet needs it first
    from mxnetseg.models import create_model
    from mxnetseg.weights import REFERENCES

    np.random.seed(0)
    if model in REFERENCES:
        entry = REFERENCES.get(model)
        return create_model(entry.model, NCLASS, **entry.keywords)
    name, _, backbone = model.partition(":")
    return create_model(name, NCLASS, backbone=backbone or None)


def export(options):
    """Write `float32.onnx` and `int8.onnx`; {"absent": why} where there are no 8-bit integers to be had.

    The labels are random, so that the scores say nothing and every layer is quantized.
    """
    net = network(options.model).deploy()
    from mxnetseg.errors import MxnetsegError
    from mxnetseg.export.form import Form, Input
    from mxnetseg.export.onnx_model import build
    from mxnetseg.export.quantize import Calibration, quantize

    model = build(net, Form(), Input((0.0,), (1.0,)))
    Path(options.folder, "float32.onnx").write_bytes(model.SerializeToString())
    if not options.int8:
        return {}

    def read(number):
        draw = np.random.default_rng(number)
        picture = draw.standard_normal((1, 3, *CALIBRATION), np.float32)
        return picture, draw.integers(0, NCLASS, CALIBRATION).astype(np.int32)

    try:
        found = quantize(model, Calibration(2, read, NCLASS, 255))
    except MxnetsegError as error:
        return {"absent": str(error)}
    Path(options.folder, "int8.onnx").write_bytes(found.content)
    return {"layers": found.layers, "in float32": found.kept}


def inference(side, options):
    """An engine of this library, ready to predict."""
    engine, _, form = side.partition("-")
    if engine in ("onnxruntime", "openvino"):
        import mxnetseg  # noqa: F401
        from mxnetseg.compute.onnx_inference import by_onnxruntime, by_openvino

        file = Path(options.folder, "int8.onnx" if form == "int8" else "float32.onnx")
        content = file.read_bytes()
        if engine == "onnxruntime":
            return by_onnxruntime(content, str(file))
        return by_openvino(content, str(file), narrow=form == "bf16")
    net = network(options.model)
    if engine == "mxnet":
        from mxnetseg.compute.mxnet_inference import MxnetInference

        return MxnetInference(net, static_shape=True)
    from mxnetseg.compute import to_torch
    from mxnetseg.recipe.fields import ComputeGroup

    compute = ComputeGroup(amp="bf16" if form == "bf16" else "none", compile=form == "compiled")
    module = to_torch(net.deploy(), folded=True)
    import torch

    from mxnetseg.compute.torch.devices import check_compute
    from mxnetseg.compute.torch.inference import TorchInference

    device = torch.device("cpu")
    check_compute(compute, [device])
    return TorchInference([module.to(memory_format=torch.channels_last)], [device], compute=compute)


def own_work(side, options):
    """The name of the engine, and a function that gives the seconds of one turn."""
    ready = inference(side, options)
    data = np.random.default_rng(0).standard_normal((1, 3, *options.size), np.float32)
    batch = ready.put(data)
    forward = timed(lambda: ready.forward(batch).wait())
    if not options.picture:
        return ready.engine, lambda: {"forward": forward()}
    from mxnetseg.data.reading import read_image
    from mxnetseg.predict.predictor import Predictor
    from mxnetseg.recipe.protocol import Protocol

    watched = watch(ready)
    predictor = Predictor(watched, Protocol(mode="whole"))
    decode = timed(lambda: read_image(options.picture))
    whole = timed(lambda: predictor.predict(read_image(options.picture)))

    def turn():
        found = {"forward": forward(), "decode": decode(), "whole": whole()}
        return {**found, "inside": watched.seconds}

    return ready.engine, turn


def watch(ready):
    """The same inference; `seconds` are those of its latest forward pass."""
    from mxnetseg.compute.inference import Inference

    class Watched(Inference):
        def put(self, images, device=0):
            return ready.put(images, device)

        def forward(self, batch):
            started = time.perf_counter()
            scores = ready.forward(batch)
            scores.wait()
            self.seconds = time.perf_counter() - started
            return scores

    return Watched()


def rival_work(side, options):
    """The same of `networks()` of the rivals' file: PyTorch without anything of this library."""
    import torch

    spec = importlib.util.spec_from_file_location("rivals", options.rivals)
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(Path(options.rivals).resolve().parent))
    spec.loader.exec_module(module)
    net = module.networks()[options.rival].eval().to(memory_format=torch.channels_last)
    x = torch.randn(1, 3, *options.size).contiguous(memory_format=torch.channels_last)
    form = side.partition("-")[2]
    if form == "traced":
        with torch.no_grad():
            net = torch.jit.freeze(torch.jit.trace(net, x, check_trace=False, strict=False))
    elif form == "compiled":
        net = torch.compile(net)

    def forward():
        with torch.inference_mode():
            net(x)

    forward = timed(forward)
    return f"PyTorch {torch.__version__}", lambda: {"forward": forward()}


def timed(work):
    """A function that does `work` and returns its seconds."""

    def measure():
        started = time.perf_counter()
        work()
        return time.perf_counter() - started

    return measure


def parser():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("side", choices=("export", *ENGINES, *RIVALS))
    p.add_argument("--model", default="sfnet:resnet18", help="architecture:backbone, or a published network")
    p.add_argument("--size", type=int, nargs=2, default=[512, 1024], metavar="PIXELS")
    p.add_argument("--folder", default=".", help="where the ONNX files are")
    p.add_argument("--int8", action="store_true", help="of side export: 8-bit integers too")
    p.add_argument("--picture", help="picture file of that size: also time it from file to label map")
    p.add_argument("--rivals", help="of the rivals' sides: file with a function networks()")
    p.add_argument("--rival", help="of the rivals' sides: which of its networks")
    return p


def main():
    options = parser().parse_args()
    if options.side == "export":
        print(json.dumps(export(options)))
        return
    if options.side.endswith("compiled"):
        os.environ["TORCHINDUCTOR_FREEZING"] = "1"  # weights become constants of the compiled code
    rival = options.side in RIVALS
    try:
        name, turn = (rival_work if rival else own_work)(options.side, options)
        for _ in range(2):  # memory is planned, kernels are chosen, code is compiled
            turn()
    except Exception as error:
        if not rival and not _expected(error):
            raise
        print(json.dumps({"absent": " ".join(str(error).split())[:200] or type(error).__name__}))
        return
    print(json.dumps({"engine": name}), flush=True)
    for _ in sys.stdin:
        print(json.dumps(turn()), flush=True)


def _expected(error):
    from mxnetseg.errors import MxnetsegError

    return isinstance(error, MxnetsegError)


if __name__ == "__main__":
    main()

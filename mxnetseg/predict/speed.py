"""How fast a network predicts, measured so that two people get the same number.

The number comes with what was measured: auxiliary heads are dropped, the first runs do not count (memory is
planned and kernels are chosen in them), and every run ends when the device has finished, not when the work
has been queued.
"""

from __future__ import annotations

import os
import statistics
import time
from typing import Any, Callable, Dict, List, Tuple

import numpy as np

from mxnetseg.compute.inference import Inference
from mxnetseg.predict.predictor import Predictor
from mxnetseg.recipe.protocol import Protocol

_WARM_UP = 3  # runs that do not count
_SECONDS = 10.0  # of measuring, as far as the bounds on the number of runs allow
_RUNS = (5, 200)


def measure_speed(
    inference: Inference,
    size: Tuple[int, int],
    batch: int = 1,
    in_channels: int = 3,
) -> Dict[str, Any]:
    """Time the forward pass on random input (batch, in_channels, *size), and the prediction of a picture.

    The first device is measured. As many runs as fit into about ten seconds are timed. Returns plain
    values, times in milliseconds: `forward` and `predict` with `median_ms`, `p95_ms`, `runs`;
    `images_per_second` of the forward pass; `parameters` and `multiply_adds` of one image (None where the
    engine cannot tell), and what the numbers depend on.
    """
    cost = inference.cost(size, in_channels)
    data = np.random.default_rng(0).normal(0, 1, (batch, in_channels, *size)).astype(np.float32)
    x = inference.put(data)
    timed = _time(lambda: inference.forward(x).wait())
    picture = np.random.default_rng(0).integers(0, 256, (*size, in_channels)).astype(np.uint8)
    half = [0.5] * in_channels
    predictor = Predictor(inference, Protocol(mode="whole"), mean=half, std=half)
    return {
        "size": list(size),
        "batch": batch,
        "dtype": "float32",
        "device": str(inference.devices[0]),
        "threads": int(os.environ.get("OMP_NUM_THREADS", 0)) or os.cpu_count(),
        "engine": inference.engine,
        "warm_up": _WARM_UP,
        "parameters": cost.parameters if cost else None,
        "multiply_adds": cost.multiply_adds if cost else None,
        "forward": timed,
        "images_per_second": 1e3 * batch / timed["median_ms"],
        "predict": _time(lambda: predictor.predict(picture)),
    }


def describe_speed(result: Dict[str, Any]) -> List[str]:
    """The result in lines for people, with everything the number depends on."""
    height, width = result["size"]
    forward, predict = result["forward"], result["predict"]
    device = result["device"] + (f", {result['threads']} threads" if "cpu" in result["device"] else "")
    lines = [
        f"input {result['batch']} x {height} x {width} (height x width), {result['dtype']}, on {device}, "
        f"{result['engine']}"
    ]
    if result["parameters"] is not None:
        lines.append(
            f"network: {result['parameters'] / 1e6:.2f} M parameters, "
            f"{result['multiply_adds'] / 1e9:.1f} G multiply-adds an image, auxiliary heads dropped"
        )
    return [
        *lines,
        f"forward pass: {_shown(forward)}, {result['images_per_second']:.2f} images/s",
        f"picture to label map: {_shown(predict)}",
        f"{forward['runs']} and {predict['runs']} runs, each waiting for the device, "
        f"after {result['warm_up']} that do not count",
    ]


def _shown(timed: Dict[str, Any]) -> str:
    return f"median {timed['median_ms']:.1f} ms, 95th percentile {timed['p95_ms']:.1f} ms"


def _time(work: Callable[[], Any]) -> Dict[str, Any]:
    for _ in range(_WARM_UP):
        started = time.perf_counter()
        work()
        latest = time.perf_counter() - started
    runs = int(min(max(_SECONDS / max(latest, 1e-9), _RUNS[0]), _RUNS[1]))
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        work()
        times.append(1e3 * (time.perf_counter() - started))
    return {
        "median_ms": statistics.median(times),
        "p95_ms": float(np.percentile(times, 95)),
        "runs": runs,
    }

"""What evaluation costs beside the network, and how much memory predictions take.

    python benchmarks/evaluation.py                    # host reductions against MXNet's own, 19 x 1024 x 2048
    python benchmarks/evaluation.py --memory fcn       # resident memory of predictions, image by image

Every comparison is made in one run; the ratio is what to read, since the milliseconds are the machine's.
The medians of `--repeat` rounds are shown, after one round that does not count.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Callable, Dict, List, Tuple

import mxnetseg  # noqa: F401  before mxnet

import cv2  # isort: skip
import mxnet as mx  # isort: skip
import numpy as np  # isort: skip


def milliseconds(work: Callable, repeat: int) -> float:
    """Median wall time of `work`, with everything that MXNet queued done."""
    times = []
    for _ in range(repeat + 1):
        started = time.perf_counter()
        work()
        mx.nd.waitall()
        times.append(time.perf_counter() - started)
    return 1e3 * statistics.median(times[1:])


def reductions(nclass: int, height: int, width: int, repeat: int) -> List[Tuple[str, float, float]]:
    """(what, MXNet's or NumPy's milliseconds, ours) for each step after the network's forward pass."""
    from mxnetseg.data.datasets.base import IMAGENET_MEAN, IMAGENET_STD
    from mxnetseg.metrics import ConfusionMatrix
    from mxnetseg.predict.bands import RowResizer, most_probable, to_probabilities
    from mxnetseg.predict.views import Normalizer

    rng = np.random.default_rng(0)
    logits = cv2.resize(
        rng.normal(0, 3, (height // 16, width // 16, nclass)).astype(np.float32), (width, height)
    )
    logits = np.ascontiguousarray(logits.transpose(2, 0, 1))  # smooth, as a network's logits are
    device = mx.nd.array(logits[None])
    small = np.ascontiguousarray(logits[:, : height * 3 // 4, : width * 3 // 4])
    small_device = mx.nd.array(small[None])
    image = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
    label = logits.argmax(0).astype(np.int32)
    prediction = np.roll(label, 3, 1).astype(np.uint8)
    total = np.zeros_like(logits)
    scratch = logits.copy()

    def softmax():
        np.copyto(scratch, logits)
        to_probabilities(scratch)

    def mxnet_resize():
        mx.nd.contrib.BilinearResize2D(small_device, height=height, width=width, align_corners=False)

    def masked_count():
        valid = label != 255
        np.bincount(label[valid].astype(np.int64) * nclass + prediction[valid], minlength=nclass**2)

    def mxnet_normalize():
        array = mx.nd.image.to_tensor(mx.nd.array(image, dtype="uint8"))
        mx.nd.image.normalize(array, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

    normalize = Normalizer(IMAGENET_MEAN, IMAGENET_STD)
    matrix = ConfusionMatrix(nclass)
    pairs: Dict[str, Tuple[Callable, Callable]] = {
        "normalize the picture": (
            mxnet_normalize,
            lambda: normalize(image),
        ),
        "argmax over classes": (lambda: device.argmax(axis=1), lambda: most_probable(logits)),
        "softmax over classes": (lambda: mx.nd.softmax(device, axis=1), softmax),
        "resize a 3/4 map and add it": (
            mxnet_resize,
            lambda: RowResizer(small.shape[1:], total).add(0, small),
        ),
        "count the confusion matrix": (masked_count, lambda: matrix.update(prediction, label)),
    }
    assert (most_probable(logits) == logits.argmax(0)).all()
    return [(name, milliseconds(a, repeat), milliseconds(b, repeat)) for name, (a, b) in pairs.items()]


def memory(model: str, height: int, width: int, count: int, options: dict) -> None:
    """Print resident and peak memory after each of `count` predictions of random pictures."""
    import resource

    import psutil

    from mxnetseg.compute.mxnet_inference import MxnetInference
    from mxnetseg.models import create_model
    from mxnetseg.predict.predictor import Predictor
    from mxnetseg.recipe.protocol import Protocol

    inference = MxnetInference(create_model(model, 19, backbone="resnet18"))
    predictor = Predictor(inference, Protocol(**options))
    process = psutil.Process()
    size = 19 * 4 * height * width / 1e6
    print(f"{model} resnet18, {width} x {height}; a float32 map of 19 classes is {size:.0f} MB")
    print(f"{'image':>5}  {'seconds':>8}  {'resident MB':>11}  {'peak MB':>8}")
    print(f"{'-':>5}  {'':>8}  {process.memory_info().rss / 1e6:>11.0f}")
    for index in range(count):
        image = np.random.default_rng(index).integers(0, 256, (height, width, 3)).astype(np.uint8)
        started = time.perf_counter()
        predictor.predict(image)
        seconds = time.perf_counter() - started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        print(
            f"{index:>5}  {seconds:>8.2f}  {process.memory_info().rss / 1e6:>11.0f}  {peak:>8.0f}", flush=True
        )
    print(f"protocol: {predictor.describe()}")


def main() -> None:
    """Parse arguments, measure, print a table."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--classes", type=int, default=19)
    p.add_argument("--size", type=int, nargs=2, default=(1024, 2048), metavar=("H", "W"))
    p.add_argument("--repeat", type=int, default=5)
    p.add_argument("--memory", metavar="MODEL", help="measure memory of this model instead")
    p.add_argument("--images", type=int, default=4, help="how many pictures with --memory")
    p.add_argument("--slide", type=int, metavar="PX", help="with --memory: windows of this size")
    p.add_argument("--flip", action="store_true", help="with --memory: also the mirrored picture")
    p.add_argument("--scales", type=float, nargs="+", default=[1.0], help="with --memory: scales")
    options = p.parse_args()
    if options.memory:
        protocol = {"scales": options.scales, "flip": options.flip}
        if options.slide:
            protocol.update(mode="slide", crop=options.slide)
        memory(options.memory, *options.size, options.images, protocol)
        return
    rows = reductions(options.classes, *options.size, options.repeat)
    height, width = options.size
    print(
        f"{options.classes} classes, {width} x {height}, median of {options.repeat}, milliseconds on the CPU"
    )
    print(f"{'step':<28}  {'MXNet/NumPy':>11}  {'here':>7}  {'ratio':>6}")
    for name, theirs, ours in rows:
        print(f"{name:<28}  {theirs:>11.1f}  {ours:>7.1f}  {theirs / ours:>5.1f}x")


if __name__ == "__main__":
    main()

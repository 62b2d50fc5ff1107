"""From a picture of any size to its label map: scales, flip, whole image or sliding windows, any context.

What every prediction is: the mean of class probabilities (softmax; sigmoid where the network has one logit)
over scales, mirrored copies and overlapping windows, brought back to the picture's own size bilinearly,
and the most probable class of each pixel. One scale without windows or mirroring is the plain argmax of the
logits.

The map of one scale is produced in bands of rows, top to bottom, and each band is reduced and dropped as
soon as no later window touches it, so that memory follows the window size and not the picture. On the CPU the
reduction is done with NumPy and OpenCV on blocks that fit the cache: measured by
`benchmarks/evaluation.py` they are many times faster there than MXNet's own argmax, softmax and resize.
On a GPU whole-image maps are reduced on the device and only the label map is transferred.
"""

from __future__ import annotations

import contextlib
import math
import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Iterable, Iterator, List, Optional, Sequence, Tuple, Union

import cv2
import mxnet as mx
import numpy as np

from mxnetseg.errors import ConfigError

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
DIVISOR = 32  # network inputs are padded to a multiple of this, the deepest stride of any backbone
PIXEL_BUDGET = 2048 * 2048  # mode `auto` slides over scaled pictures with more pixels than this
DEVICE_MAP_BYTES = 1 << 30  # a larger map of probabilities is reduced on the host
MODES = ("auto", "whole", "slide")

Size = Tuple[int, int]


class Predictor:
    """Runs a segmentation network on uint8 pictures of any size.

    Parameters
    ----------
    net : Segmentor
        Called on float32 (N, C, H, W), gives a tuple of logits (N, nclass, H, W), main first. Where it has
        `deploy()`, its auxiliary heads are left out.
    contexts : list of mx.Context, optional
        Where the network's parameters are or will be put; default the CPU.
    mean, std : sequence of float
        Of the training pictures per channel, in units of the full range 0 .. 1.
    scales : sequence of float
        Factors on the base size. flip : also the mirrored picture.
    mode : {"auto", "whole", "slide"}
        Whole picture at once, sliding windows, or windows only above `pixel_budget` pixels.
    crop : int or (height, width), optional
        Window size in pixels of the scaled picture; default 1024.
    stride : float
        Step between windows as a fraction of the window, in (0, 1].
    base : int, optional
        Long side in pixels at scale 1; default the picture's own.
    batch : int
        Windows (mirrored copies included) per forward pass.
    threshold : float
        Of the probability, for networks with one logit.
    reduce : {"auto", "host", "device"}
        Where probabilities are averaged; auto is the device for a GPU and the host for the CPU.

    Safe to call from several threads.
    """

    def __init__(
        self,
        net,
        contexts: Optional[Sequence[mx.Context]] = None,
        mean: Sequence[float] = MEAN,
        std: Sequence[float] = STD,
        scales: Sequence[float] = (1.0,),
        flip: bool = False,
        mode: str = "auto",
        crop: Union[int, Size, None] = None,
        stride: float = 2 / 3,
        base: Optional[int] = None,
        batch: int = 1,
        pixel_budget: int = PIXEL_BUDGET,
        threshold: float = 0.5,
        reduce: str = "auto",
    ):
        _check(mode in MODES, f"evaluation mode {mode!r} is not one of {', '.join(MODES)}")
        _check(reduce in ("auto", "host", "device"), f"reduce {reduce!r} is not auto, host or device")
        _check(
            len(scales) > 0 and all(s > 0 for s in scales), f"scales {list(scales)} must be positive numbers"
        )
        _check(0 < stride <= 1, f"stride {stride} must be in (0, 1]: it is a fraction of the window")
        _check(base is None or base >= 1, f"base {base} must be at least 1 pixel")
        _check(batch >= 1, f"batch {batch} must be at least 1")
        _check(0 < threshold < 1, f"threshold {threshold} must be in (0, 1)")
        _check(
            len(mean) == len(std) and all(s > 0 for s in std),
            "mean and std must have one value per channel, std > 0",
        )
        crop = (crop, crop) if isinstance(crop, int) else tuple(crop) if crop else (1024, 1024)
        _check(len(crop) == 2 and min(crop) >= 1, f"crop {crop} must be one or two numbers of pixels")
        self.contexts = list(contexts) if contexts else [mx.cpu()]
        self.scales = tuple(float(s) for s in scales)
        self.flip = bool(flip)
        self.mode = mode
        self.crop = crop
        self.stride = float(stride)
        self.base = base
        self.batch = int(batch)
        self.pixel_budget = pixel_budget
        self.threshold = float(threshold)
        self.reduce = reduce
        # Normalization of an 8-bit channel is a table look-up, which OpenCV does faster than the arithmetic.
        levels = np.arange(256, dtype=np.float32) / 255
        self._tables = [((levels - m) / s).astype(np.float32)[None] for m, s in zip(mean, std)]
        self.nclass: Optional[int] = (
            None  # the network's number of logits, known after the first forward pass
        )
        self._modes_used = set()  # of mode auto, so that `describe` says what was done
        self._net = _on_contexts(net, self.contexts)
        # Gluon builds and calls cached graphs with state that threads share; the call only queues work.
        self._lock = threading.Lock()

    def predict(self, image: np.ndarray, context: Optional[mx.Context] = None) -> np.ndarray:
        """Label map (H, W) of a uint8 picture (H, W, C): uint8, or int16 for more than 256 classes."""
        context = context or self.contexts[0]
        size = image.shape[:2]
        if self._reduces_on_device(image, context):
            return self._predict_on_device(image, context)
        if len(self.scales) == 1 and self._scaled_size(size, self.scales[0]) == size:
            return self._label_bands(self._bands(image, self.scales[0], context, plain=True), size)
        return self._label_bands([(0, self.probabilities(image, context), True)], size)

    def probabilities(self, image: np.ndarray, context: Optional[mx.Context] = None) -> np.ndarray:
        """Class probabilities float32 (nclass, H, W) of a uint8 picture (H, W, C): mean of all views."""
        context = context or self.contexts[0]
        size = image.shape[:2]
        total = None
        for scale in self.scales:
            scaled = self._scaled_size(size, scale)
            resizer = None
            for top, band, _ in self._bands(image, scale, context):
                if total is None:
                    total = np.zeros((band.shape[0],) + size, np.float32)
                resizer = resizer or _RowResizer(scaled, total)
                resizer.add(top, band)
        if len(self.scales) > 1:
            total *= np.float32(1 / len(self.scales))
        return total

    def stream(self, samples: Iterable) -> Iterator[Tuple[object, np.ndarray]]:
        """Pairs (sample, label map) in the order of `samples`, whose `.image` is predicted.

        Several contexts work on different pictures at the same time; what is computed for a picture does not
        depend on how many there are.
        """
        if len(self.contexts) == 1:
            for sample in samples:
                yield sample, self.predict(sample.image)
            return
        free: queue.Queue[mx.Context] = queue.Queue()
        for context in self.contexts:
            free.put(context)

        def work(sample):
            context = free.get()
            try:
                return self.predict(sample.image, context)
            finally:
                free.put(context)

        with ThreadPoolExecutor(len(self.contexts)) as pool:
            pending: List[tuple] = []
            try:
                for sample in samples:
                    pending.append((sample, pool.submit(work, sample)))
                    if len(pending) > len(self.contexts):
                        first, future = pending.pop(0)
                        yield first, future.result()
                while pending:
                    first, future = pending.pop(0)
                    yield first, future.result()
            finally:
                for _, future in pending:
                    future.cancel()

    def describe(self) -> str:
        """The protocol in words, for printing beside a score; of mode `auto` what was done so far."""
        height, width = self.crop
        mode = self.mode
        if mode == "auto" and len(self._modes_used) == 1:
            mode = next(iter(self._modes_used))
        windows = f"windows of {width} x {height} every {_number(100 * self.stride)}%"
        how = {
            "whole": "whole images",
            "slide": f"sliding {windows}",
            "auto": f"whole images up to {self.pixel_budget / 1e6:.1f} megapixels, {windows} above",
        }[mode]
        size = f"long side {self.base}" if self.base else "own size"
        scales = (
            f"scale {_number(self.scales[0])}"
            if len(self.scales) == 1
            else "scales " + ", ".join(_number(s) for s in self.scales)
        )
        return f"{how}, {size}, {scales}, {'with' if self.flip else 'no'} flip, scored at label size"

    # ----- geometry

    def _scaled_size(self, size: Size, scale: float) -> Size:
        factor = scale * (self.base / max(size) if self.base else 1.0)
        return tuple(max(1, int(side * factor + 0.5)) for side in size)

    def _slides(self, scaled: Size) -> bool:
        if self.mode != "auto":
            return self.mode == "slide"
        slides = scaled[0] * scaled[1] > self.pixel_budget
        self._modes_used.add("slide" if slides else "whole")
        return slides

    # ----- host path

    def _bands(self, image, scale, context, plain=False) -> Iterator[Tuple[int, np.ndarray, bool]]:
        """Yields (top row, scores float32 (nclass, rows, width), are probabilities) of the scaled picture.

        Scores are probabilities averaged over windows and mirroring; with `plain` they may stay logits where
        only one view exists, since the argmax is the same. They are valid until the next are asked for.
        """
        scaled = self._scaled_size(image.shape[:2], scale)
        picture = (
            image
            if scaled == image.shape[:2]
            else cv2.resize(image, scaled[::-1], interpolation=cv2.INTER_LINEAR).reshape(
                scaled + image.shape[2:]
            )
        )
        window = tuple(min(c, s) for c, s in zip(self.crop, scaled)) if self._slides(scaled) else scaled
        tops = _starts(scaled[0], window[0], self.stride)
        lefts = _starts(scaled[1], window[1], self.stride)
        if len(tops) == len(lefts) == 1 and not self.flip:
            logits = self._forward([self._input(picture, 0, 0, window, False)], context)[0]
            logits = logits[:, : window[0], : window[1]]
            yield 0, logits if plain else _to_probabilities(logits), not plain
            return

        views = [
            (left, mirrored) for left in lefts for mirrored in ((False, True) if self.flip else (False,))
        ]
        columns = _visits(lefts, window[1], scaled[1]) * (2 if self.flip else 1)
        band, rows = (
            None,
            np.zeros(0, np.float32),
        )  # running sum from row `top` on, and how often rows were visited
        for index, top in enumerate(tops):
            for chunk in range(0, len(views), self.batch):
                group = views[chunk : chunk + self.batch]
                outputs = self._forward(
                    [self._input(picture, top, left, window, m) for left, m in group], context
                )
                if band is None:
                    band = np.zeros((outputs.shape[1], window[0], scaled[1]), np.float32)
                    rows = np.zeros(window[0], np.float32)
                for (left, mirrored), logits in zip(group, outputs):
                    part = _to_probabilities(logits[:, : window[0], : window[1]])
                    band[:, :, left : left + window[1]] += part[:, :, ::-1] if mirrored else part
                del outputs, logits, part
            rows += 1
            done = (tops[index + 1] - top) if index + 1 < len(tops) else window[0]
            visits = rows[:done, None] * columns
            for plane in band:  # plane by plane: no second band is ever in memory
                plane[:done] /= visits
            yield top, band[:, :done], True
            if index + 1 < len(tops):
                for plane in band:
                    plane[: window[0] - done] = plane[done:]
                    plane[window[0] - done :] = 0
                rows = np.concatenate([rows[done:], np.zeros(done, np.float32)])

    def _input(self, picture, top, left, window, mirrored) -> np.ndarray:
        """Normalized float32 (C, h, w) of one window, padded with the mean colour (0) to the divisor."""
        height, width = (math.ceil(side / DIVISOR) * DIVISOR for side in window)
        view = picture[top : top + window[0], left : left + window[1]]
        view = view[:, ::-1] if mirrored else view
        if view.ndim == 2:
            view = view[..., None]
        if view.dtype != np.uint8 or view.shape[2] != len(self._tables):
            raise ValueError(
                f"expected a uint8 picture of {len(self._tables)} channels, got {view.dtype}"
                f" with {view.shape[2]}"
            )
        output = np.zeros((len(self._tables), height, width), np.float32)
        for channel, table in enumerate(self._tables):
            output[channel, : window[0], : window[1]] = cv2.LUT(
                np.ascontiguousarray(view[..., channel]), table
            )
        return output

    def _queue(self, inputs: List[np.ndarray], context) -> mx.nd.NDArray:
        stacked = inputs[0][None] if len(inputs) == 1 else np.stack(inputs)
        with self._lock, mx.autograd.pause():
            logits = self._net(mx.nd.array(stacked, ctx=context, dtype="float32"))[0]
        self.nclass = logits.shape[1]
        return logits

    def _forward(self, inputs: List[np.ndarray], context) -> np.ndarray:
        return self._queue(inputs, context).asnumpy()

    def _label_bands(self, bands, size: Size) -> np.ndarray:
        labels = None
        for top, scores, are_probabilities in bands:
            if labels is None:
                labels = np.empty(size, np.uint8 if scores.shape[0] <= 256 else np.int16)
            limit = self.threshold if are_probabilities else math.log(self.threshold / (1 - self.threshold))
            labels[top : top + scores.shape[1]] = most_probable(scores, limit)
        return labels

    # ----- device path

    def _reduces_on_device(self, image, context) -> bool:
        if self.reduce == "host" or (self.reduce == "auto" and context.device_type != "gpu"):
            return False
        sizes = [self._scaled_size(image.shape[:2], scale) for scale in self.scales]
        largest = max(height * width for height, width in [*sizes, image.shape[:2]])
        fits = 4 * (self.nclass or 1) * largest <= DEVICE_MAP_BYTES
        return fits and not any(self._slides(size) for size in sizes)

    def _predict_on_device(self, image, context) -> np.ndarray:
        size = image.shape[:2]
        total = None
        single = len(self.scales) == 1 and not self.flip and self._scaled_size(size, self.scales[0]) == size
        for scale in self.scales:
            scaled = self._scaled_size(size, scale)
            picture = (
                image
                if scaled == size
                else cv2.resize(image, scaled[::-1], interpolation=cv2.INTER_LINEAR).reshape(
                    scaled + image.shape[2:]
                )
            )
            for mirrored in (False, True) if self.flip else (False,):
                scores = self._queue([self._input(picture, 0, 0, scaled, mirrored)], context)
                scores = scores[:, :, : scaled[0], : scaled[1]]
                if not single:
                    scores = mx.nd.sigmoid(scores) if scores.shape[1] == 1 else mx.nd.softmax(scores, axis=1)
                if mirrored:
                    scores = mx.nd.flip(scores, axis=3)
                if scaled != size:
                    scores = mx.nd.contrib.BilinearResize2D(
                        scores, height=size[0], width=size[1], align_corners=False
                    )
                if total is None:
                    total = scores
                else:
                    total += scores
        if total.shape[1] == 1:
            views = len(self.scales) * (2 if self.flip else 1)
            limit = math.log(self.threshold / (1 - self.threshold)) if single else self.threshold * views
            labels = total[:, 0] > limit
        else:
            labels = mx.nd.argmax(total, axis=1)
        kind = "uint8" if total.shape[1] <= 256 else "int32"
        return labels.astype(kind).asnumpy()[0].astype(np.uint8 if kind == "uint8" else np.int16, copy=False)


def most_probable(scores: np.ndarray, limit: float = 0.5) -> np.ndarray:
    """Index of the largest of (nclass, H, W) scores per pixel, the first where equal; (H, W).

    uint8 for up to 256 classes, else int16. One score only: whether it is above `limit`. Exactly
    `scores.argmax(0)`, several times faster (`benchmarks/evaluation.py`).
    """
    nclass, height, width = scores.shape
    if nclass == 1:
        return (scores[0] > limit).astype(np.uint8)
    labels = np.zeros((height, width), np.uint8 if nclass <= 256 else np.int16)
    rows = _block_rows(width)
    for top in range(0, height, rows):
        best = scores[0, top : top + rows].copy()
        winner = labels[top : top + rows]
        for c in range(1, nclass):
            plane = scores[c, top : top + rows]
            beaten = cv2.compare(plane, best, cv2.CMP_GT)  # 255 where true
            cv2.max(plane, best, dst=best)
            # Class indices only grow, so that the maximum with c where beaten is the newest winner.
            if nclass <= 256:
                cv2.max(winner, cv2.bitwise_and(beaten, c), dst=winner)
            else:
                winner[beaten > 0] = c
    return labels


def _to_probabilities(logits: np.ndarray) -> np.ndarray:
    """Softmax over axis 0 (sigmoid for one class) of (nclass, H, W), in place, blocks fitting the cache."""
    if logits.shape[0] == 1:
        np.negative(logits, out=logits)
        with np.errstate(over="ignore"):
            np.exp(logits, out=logits)
        logits += 1
        return np.reciprocal(logits, out=logits)
    rows = _block_rows(logits.shape[2])
    for top in range(0, logits.shape[1], rows):
        block = logits[:, top : top + rows]
        block -= block.max(axis=0)
        np.exp(block, out=block)
        block *= 1 / block.sum(axis=0)
    return logits


class _RowResizer:
    """Adds bands of rows of a scaled map (nclass, h, w) to `total` (nclass, H, W), resized bilinearly.

    Pixel areas correspond (half-pixel centres), as in `cv2.resize`; bands come top to bottom without gaps.
    """

    def __init__(self, scaled: Size, total: np.ndarray):
        self.scaled = scaled
        self.total = total
        self.size = total.shape[1:]
        source = (np.arange(self.size[0]) + 0.5) * (scaled[0] / self.size[0]) - 0.5
        source = np.clip(source, 0, scaled[0] - 1)
        self.lower = np.floor(source).astype(np.int64)
        self.upper = np.minimum(self.lower + 1, scaled[0] - 1)
        self.part = (source - self.lower).astype(np.float32)[:, None]
        self.written = 0  # rows of `total` done so far
        self.kept_top, self.kept = 0, None  # horizontally resized rows that the next band still needs

    def add(self, top: int, band: np.ndarray) -> None:
        if self.scaled == self.size:
            self.total[:, top : top + band.shape[1]] += band
        elif band.shape[1] == self.scaled[0]:
            for c, plane in enumerate(band):
                self.total[c] += cv2.resize(plane, self.size[::-1], interpolation=cv2.INTER_LINEAR)
        else:
            self._add_part(top, band)

    def _add_part(self, top: int, band: np.ndarray) -> None:
        height, width = self.size
        bottom = top + band.shape[1]
        done = int(np.searchsorted(self.upper, bottom))  # rows of `total` whose two sources are known by now
        kept_rows = 0 if self.kept is None else self.kept.shape[1]
        start = top - kept_rows
        lower, upper = self.lower[self.written : done] - start, self.upper[self.written : done] - start
        part = self.part[self.written : done]
        keep_from = self.lower[done] if done < height else bottom
        keep = np.empty((band.shape[0], max(bottom - keep_from, 0), width), np.float32)
        for c, plane in enumerate(band):
            rows = cv2.resize(plane, (width, plane.shape[0]), interpolation=cv2.INTER_LINEAR)
            if kept_rows:
                rows = np.concatenate([self.kept[c], rows])
            if done > self.written:
                self.total[c, self.written : done] += rows[lower] * (1 - part) + rows[upper] * part
            keep[c] = rows[keep_from - start :]
        self.written, self.kept = done, keep


def _starts(side: int, window: int, stride: float) -> List[int]:
    """First pixels of the windows along one axis; the last one ends at the border."""
    step = max(1, int(window * stride))
    last = side - window
    return list(range(0, last, step)) + [last]


def _visits(starts: Sequence[int], window: int, side: int) -> np.ndarray:
    visits = np.zeros(side, np.float32)
    for start in starts:
        visits[start : start + window] += 1
    return visits


def _block_rows(width: int) -> int:
    return max(1, (1 << 16) // max(width, 1))


def _on_contexts(net, contexts):
    """The deployed network, hybridized, its parameters on the contexts."""
    parameters = net.collect_params()
    have = set()
    for parameter in parameters.values():
        have.update(parameter.list_ctx())
        break
    if not set(contexts) <= have:
        parameters.reset_ctx(list(contexts))
    net = net.deploy() if hasattr(net, "deploy") else net
    with contextlib.suppress(AttributeError):
        net.hybridize(static_alloc=True)
    return net


def _check(condition, message):
    if not condition:
        raise ConfigError(message)


def _number(value: float) -> str:
    return f"{value:.4g}"

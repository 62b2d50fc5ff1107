"""What the network sees of a picture: its size at a scale, its windows, their pixels.

Sizes are (height, width). Pictures are uint8 (H, W, C); network inputs float32 (C, h, w), normalized.
"""

from __future__ import annotations

import math
from typing import List, NamedTuple, Sequence, Tuple

import cv2
import numpy as np

from mxnetseg.data.tiles import flush_spans
from mxnetseg.data.transforms import normalize
from mxnetseg.predict.bands import resize_map
from mxnetseg.recipe.protocol import Protocol

Size = Tuple[int, int]
Span = Tuple[int, int]  # first pixel, and the one after the last


def scaled_size(protocol: Protocol, size: Size, scale: float) -> Size:
    """Size that a picture of `size` has at `scale` under a resolved protocol."""
    height, width = size
    if protocol.rounding == "box":
        if protocol.resize is None and protocol.base is None:
            if scale == 1:
                return size
            target = (int(width * scale + 0.5), int(height * scale + 0.5))
        else:
            longest, shortest = protocol.resize or (protocol.base, protocol.base)
            target = (int(longest * scale + 0.5), int(shortest * scale + 0.5))
        factor = min(max(target) / max(size), min(target) / min(size))
        if protocol.base is not None:
            factor = max(target) / max(size)
        return _sides(size, lambda side: int(side * factor + 0.5))
    if protocol.rounding == "long_up":
        own = max(size)
        longest = math.ceil((_fitted(protocol, size) or own) * scale)
        return _sides(size, lambda side: longest if side == own else int(side * longest / own + 0.5))
    fitted = _fitted(protocol, size)
    factor = scale * (fitted / max(size) if fitted else 1.0)
    if protocol.rounding == "truncate":
        return _sides(size, lambda side: int(side * factor))
    return _sides(size, lambda side: int(side * factor + 0.5))


def _fitted(protocol: Protocol, size: Size) -> float:
    """The long side at scale 1; 0 for the picture's own."""
    if protocol.resize is None:
        return protocol.base or 0
    factor = min(max(protocol.resize) / max(size), min(protocol.resize) / min(size))
    return factor * max(size)


def _sides(size: Size, rule) -> Size:
    return max(1, rule(size[0])), max(1, rule(size[1]))


class Normalizer:
    """(value / 255 - mean) / std per channel; `mean` and `std` in units of the full range 0 .. 1."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]):
        self._mean, self._std = tuple(mean), tuple(std)

    def __call__(self, view: np.ndarray) -> np.ndarray:
        """float32 (C, h, w) of uint8 (h, w, C)."""
        if view.dtype != np.uint8 or view.shape[2:] != (len(self._mean),):
            raise ValueError(f"expected uint8 (H, W, {len(self._mean)}), got {view.dtype} {view.shape}")
        return normalize(view, self._mean, self._std)

    def colour(self, fill) -> np.ndarray:
        """A colour 0 .. 255 (one number for all channels will do), normalized; None: the mean, which is 0."""
        if fill is None:
            return np.zeros(len(self._mean), np.float32)
        colour = np.resize(np.asarray(fill, np.float64), len(self._mean))
        return ((colour / 255 - np.array(self._mean)) / np.array(self._std)).astype(np.float32)


class Picture:
    """A picture at one scale, from which windows are cut."""

    def __init__(self, image: np.ndarray, size: Size, protocol: Protocol, normalizer: Normalizer):
        self.size = size
        self._normalizer = normalizer
        self._fill = normalizer.colour(protocol.fill)
        # GluonCV pads first, so that the padding of a mirrored window comes to lie on its left.
        self._pads_first = protocol.windows == "gluoncv"
        self._image, self._planes = image, None
        if image.shape[:2] != size:
            if protocol.resample == "float":
                self._planes = resize_map(normalizer(image), size, protocol.align_corners)
            else:
                self._image = resize_picture(image, size, protocol.resample)

    def view(self, rows: Span, columns: Span, mirrored: bool, inputs: Size) -> np.ndarray:
        """Normalized float32 (C, *inputs) of a window, filled up right and below."""
        if self._planes is not None:
            planes = self._planes[:, slice(*rows), slice(*columns)]
        else:
            planes = self._normalizer(self._image[slice(*rows), slice(*columns)])
        if mirrored and not self._pads_first:
            planes = planes[:, :, ::-1]
        if planes.shape[1:] != inputs:
            padded = np.empty((len(planes), *inputs), np.float32)
            padded[:] = self._fill[:, None, None]
            padded[:, : planes.shape[1], : planes.shape[2]] = planes
            planes = padded
        if mirrored and self._pads_first:
            planes = planes[:, :, ::-1]
        return np.ascontiguousarray(planes)


def resize_picture(image: np.ndarray, size: Size, resample: str) -> np.ndarray:
    """uint8 (*size, C) of (H, W, C), bilinear in 8 bits by `opencv` or `pillow`."""
    return _RESIZES[resample](image, size)


def _resize_opencv(image: np.ndarray, size: Size) -> np.ndarray:
    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR).reshape(size + image.shape[2:])


def _resize_pillow(image: np.ndarray, size: Size) -> np.ndarray:
    from PIL import Image

    planes = image.reshape(*image.shape[:2], -1)
    if planes.shape[2] == 3:
        return np.asarray(Image.fromarray(image).resize(size[::-1], Image.BILINEAR))
    # Pillow works on channels one by one.
    channels = np.moveaxis(planes, 2, 0)
    resized = [
        Image.fromarray(np.ascontiguousarray(channel)).resize(size[::-1], Image.BILINEAR)
        for channel in channels
    ]
    return np.stack([np.asarray(channel) for channel in resized], axis=2)


_RESIZES = {"opencv": _resize_opencv, "pillow": _resize_pillow}


class Windows(NamedTuple):
    """The windows of a scaled picture: every span of `rows` with every span of `columns`.

    `inputs` is the size of the network's input, which a window is filled up to.
    """

    size: Size
    rows: List[Span]
    columns: List[Span]
    inputs: Size
    rule: str

    def weights(self, nclass: int) -> Tuple[np.ndarray, np.ndarray]:
        """What the sum over windows is divided by, as factors of rows (1 or nclass, H) and columns (W)."""
        if self.rule != "sfsegnets":
            return _visits(self.rows, self.size[0])[None], _visits(self.columns, self.size[1])
        # Its counter is indexed [class, row] where [row, column] was meant: a class is a row there, and a
        # row a column. Rows that it never counts (of pictures higher than wide) are left undivided here.
        counts = np.zeros((nclass, self.size[0]), np.float32)
        for first_row, last_row in self.rows:
            for first_column, last_column in self.columns:
                counts[first_row:last_row, first_column:last_column] += 1
        return np.maximum(counts, 1), np.ones(self.size[1], np.float32)


def lay_windows(protocol: Protocol, scaled: Size, scale: float, slides: bool) -> Windows:
    """The windows of a picture of size `scaled`: the whole of it as one where it is not slid over."""
    rule = protocol.windows
    if not slides:
        spans: List[List[Span]] = [[(0, side)] for side in scaled]
        window = scaled
        rule = "flush"
    else:
        window = protocol.crop
        if rule == "sfsegnets":
            window = tuple(int(side * max(scale, 1.0)) for side in window)
        if rule != "gluoncv":
            window = tuple(min(side, extent) for side, extent in zip(window, scaled))
        spans = []
        for axis in range(2):
            step = _step(protocol, axis, window[axis])
            spread = _padded_spans if rule == "gluoncv" else flush_spans
            spans.append(spread(scaled[axis], window[axis], step))
    inputs = tuple(math.ceil(side / protocol.divisor) * protocol.divisor for side in window)
    return Windows(scaled, spans[0], spans[1], inputs, rule)


def _step(protocol: Protocol, axis: int, window: int) -> int:
    stride = protocol.stride
    if isinstance(stride, tuple):
        return stride[axis]
    if stride > 1:
        return int(stride)
    share = window * stride
    return max(1, math.ceil(share) if protocol.windows == "sfsegnets" else int(share))


def _padded_spans(side: int, window: int, step: int) -> List[Span]:
    """Windows at multiples of `step`; the last is cut at the border, to be filled up."""
    starts = range(0, max(0, math.ceil((side - window) / step)) * step + 1, step)
    return [(start, min(start + window, side)) for start in starts]


def _visits(spans: Sequence[Span], side: int) -> np.ndarray:
    visits = np.zeros(side, np.float32)
    for first, last in spans:
        visits[first:last] += 1
    return visits

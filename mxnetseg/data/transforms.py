"""From a sample to what the network trains on: random scale, crop, flip, colour, blur, normalization.

Scaling a picture to 2048 x 1024 to keep 768 x 768 of it wastes most of the work, so scale, crop and flip
are one affine map that computes only the pixels kept (`scaled_window`); tests hold it against the plain
scale-then-crop. Everything random comes from the generator passed in, nothing from global state.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Callable, Optional, Sequence, Tuple, Union

import cv2
import numpy as np

from mxnetseg.data.datasets.base import IMAGENET_MEAN, IMAGENET_STD, Sample

# How often a crop that one class dominates is drawn again (`max_class_ratio`).
_CROP_ATTEMPTS = 10


def normalize(
    image: np.ndarray,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """uint8 (H, W, C) -> float32 (C, H, W): (value / 255 - mean) / std.

    `mean` and `std` in [0, 1] units, per channel. `out`: float32 (C, H, W), contiguous, written in place.
    """
    if out is None:
        out = np.empty((len(mean), *image.shape[:2]), np.float32)
    tables = _normalization_tables(tuple(mean), tuple(std))
    for channel in range(len(mean)):
        # A table of the 256 values is exact and a third of the time of the arithmetic.
        cv2.LUT(cv2.extractChannel(image, channel), tables[channel], out[channel])
    return out


@lru_cache(maxsize=16)
def _normalization_tables(mean: tuple[float, ...], std: tuple[float, ...]) -> np.ndarray:
    values = np.arange(256)[None] / 255.0
    return ((values - np.array(mean)[:, None]) / np.array(std)[:, None]).astype(np.float32)


def scaled_window(
    image: np.ndarray,
    size: Tuple[int, int],
    corner: Tuple[int, int],
    crop: Tuple[int, int],
    flip: bool,
    fill: Sequence[float],
) -> np.ndarray:
    """The window at `corner` (y, x), of `crop` (h, w) pixels, of the image scaled to `size` (h, w).

    Bilinear with half-pixel centres, as `cv2.resize`; what lies outside the scaled image becomes `fill`
    (per channel, 0..255); mirrored left-right at the end if `flip`. Computes only pixels of the window.
    """
    top, bottom, left, right = _inside(size, corner, crop)
    out = np.empty((*crop, image.shape[2]), np.uint8)
    if bottom - top < crop[0] or right - left < crop[1]:
        out[:] = np.asarray(fill, np.float32).round().astype(np.uint8)
    if bottom > top and right > left:
        step_y, step_x = image.shape[0] / size[0], image.shape[1] / size[1]
        # Source coordinate of the window's first valid pixel, then one step per pixel.
        first_y = (corner[0] + top + 0.5) * step_y - 0.5
        first_x = (corner[1] + left + 0.5) * step_x - 0.5
        target = out[top:bottom, left:right]
        if flip:
            target = out[top:bottom, crop[1] - right : crop[1] - left]
            first_x += (right - left - 1) * step_x
            step_x = -step_x
        source = np.float64([[step_x, 0, first_x], [0, step_y, first_y]])
        for first in range(0, image.shape[2], 4):  # OpenCV maps at most four channels at a time
            part = np.s_[..., first : first + 4]
            target[part] = cv2.warpAffine(
                image if image.shape[2] <= 4 else np.ascontiguousarray(image[part]),
                source,
                (right - left, bottom - top),
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REPLICATE,
            ).reshape(*target.shape[:2], -1)
    return out


def scaled_label_window(
    label: np.ndarray,
    size: Tuple[int, int],
    corner: Tuple[int, int],
    crop: Tuple[int, int],
    flip: bool,
    fill: int,
) -> np.ndarray:
    """As `scaled_window` for a label map: the nearest pixel under the same half-pixel centres, int32."""
    top, bottom, left, right = _inside(size, corner, crop)
    out = np.full(crop, fill, np.int32)
    if bottom > top and right > left:
        # floor((i + 0.5) * source / target) in whole numbers: the pixel whose centre is nearest.
        rows = np.arange(corner[0] + top, corner[0] + bottom)
        cols = np.arange(corner[1] + left, corner[1] + right)
        rows = (2 * rows + 1) * label.shape[0] // (2 * size[0])
        cols = (2 * cols + 1) * label.shape[1] // (2 * size[1])
        if flip:
            cols = cols[::-1]
            left, right = crop[1] - right, crop[1] - left
        out[top:bottom, left:right] = label.take(rows, axis=0).take(cols, axis=1)
    return out


def _inside(size, corner, crop) -> Tuple[int, int, int, int]:
    """top, bottom, left, right of the part of the window, in window pixels, that the scaled image covers."""
    spans = []
    for length, start, extent in zip(size, corner, crop):
        first = min(max(0, -start), extent)
        spans += [first, max(first, min(extent, length - start))]
    return spans[0], spans[1], spans[2], spans[3]


@dataclass(frozen=True)
class ColorJitter:
    """Brightness, contrast, saturation by factors in [1 - x, 1 + x], hue by a turn in [-hue, hue].

    The four are applied in random order. `hue` is a share of the colour circle, at most 0.5.
    """

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        strengths = (self.brightness, self.contrast, self.saturation, self.hue)
        amounts = rng.uniform(-1.0, 1.0, 4) * strengths
        for which in rng.permutation(4):
            if strengths[which]:
                image = _JITTERS[which](image, float(amounts[which]))
        return image


def _brightness(image: np.ndarray, amount: float) -> np.ndarray:
    return cv2.LUT(image, _clip_table(np.arange(256) * (1.0 + amount)))


def _contrast(image: np.ndarray, amount: float) -> np.ndarray:
    grey = cv2.mean(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))[0]
    return cv2.LUT(image, _clip_table((np.arange(256) - grey) * (1.0 + amount) + grey))


def _saturation(image: np.ndarray, amount: float) -> np.ndarray:
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return cv2.addWeighted(image, 1.0 + amount, grey, -amount, 0.0)


def _hue(image: np.ndarray, amount: float) -> np.ndarray:
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL)
    turned = (np.arange(256) + round(amount * 256)) % 256
    same = np.arange(256)
    table = np.stack([turned, same, same], axis=-1).astype(np.uint8)[None]
    return cv2.cvtColor(cv2.LUT(hsv, table), cv2.COLOR_HSV2RGB_FULL)


def _clip_table(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


_JITTERS = (_brightness, _contrast, _saturation, _hue)


@dataclass(frozen=True)
class GaussianBlur:
    """With probability `chance`, blur with a standard deviation drawn from `sigma` (low, high), pixels."""

    chance: float = 0.5
    sigma: Tuple[float, float] = (0.0, 1.0)

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        draw, sigma = rng.random(), rng.uniform(*self.sigma)
        if draw >= self.chance or sigma < 0.1:  # below that the kernel is one pixel
            return image
        return cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)


@dataclass(frozen=True)
class TrainTransform:
    """(sample, rng) -> (float32 (C, h, w) normalized image, int32 (h, w) train ids).

    crop          (h, w) or one number for a square, pixels.
    scale_min/max the size drawn for the whole image before cropping. With `base` None: a factor on
                  the image's own size, uniform (the SFNet recipes: 0.5, 2.0). With `base`: the long side in
                  pixels is a whole number uniform in [base * scale_min, base * scale_max] (GluonCV's way).
                  With `resize`, (long, short) in pixels: a factor on that box, into which the image is fitted
                  (mmsegmentation's way).
    flip          probability of mirroring left-right.
    photometric   functions (uint8 image, rng) -> uint8 image applied to the crop, in order.
    max_class_ratio  draw the crop again (up to ten times) while one class takes more than this share of
                  its labelled pixels; 1 turns it off.
    fill          colour 0..255 painted outside the image; None: the mean colour, 0 after normalization.
    label_fill    train id painted outside it; None: `ignore_index`.

    Where the scaled image is smaller than the crop it lands at a random place and the rest is filled.
    """

    crop: Union[int, Tuple[int, int]]
    scale_min: float = 0.5
    scale_max: float = 2.0
    base: Optional[int] = None
    resize: Optional[Tuple[int, int]] = None
    flip: float = 0.5
    photometric: Sequence[Callable[[np.ndarray, np.random.Generator], np.ndarray]] = field(default=())
    max_class_ratio: float = 1.0
    mean: Sequence[float] = IMAGENET_MEAN
    std: Sequence[float] = IMAGENET_STD
    ignore_index: int = 255
    fill: Optional[Sequence[float]] = None
    label_fill: Optional[int] = None

    @property
    def output_size(self) -> Tuple[int, int]:
        """(h, w) of what comes out; the loader sizes its buffers by it."""
        return (self.crop, self.crop) if isinstance(self.crop, int) else (self.crop[0], self.crop[1])

    def __call__(
        self,
        sample: Sample,
        rng: np.random.Generator,
        hint: Any = None,
        out: Optional[np.ndarray] = None,
    ) -> Tuple[np.ndarray, np.ndarray]:
        """`hint`: (y, x), a pixel of the sample that the crop must contain (class-uniform sampling).

        `out`: float32 (C, h, w) to write the image into.
        """
        image, label = self.augment(sample, rng, hint)
        return normalize(image, self.mean, self.std, out), label

    def augment(
        self, sample: Sample, rng: np.random.Generator, hint: Any = None
    ) -> Tuple[np.ndarray, np.ndarray]:
        """All but the normalization: (uint8 (h, w, C), int32 (h, w)), for looking at."""
        crop = self.output_size
        size = self._draw_size(sample.image.shape[:2], rng)
        flip = bool(rng.random() < self.flip)
        outside = self.ignore_index if self.label_fill is None else self.label_fill
        for _ in range(_CROP_ATTEMPTS):
            corner = _draw_corner(sample.image.shape[:2], size, crop, hint, rng)
            label = scaled_label_window(sample.label, size, corner, crop, flip, outside)
            if self.max_class_ratio >= 1 or self._balanced(label):
                break
        fill = [255 * m for m in self.mean] if self.fill is None else self.fill
        image = scaled_window(sample.image, size, corner, crop, flip, fill)
        for change in self.photometric:
            image = change(image, rng)
        return image, label

    def _draw_size(self, size: Tuple[int, int], rng: np.random.Generator) -> Tuple[int, int]:
        if self.resize is not None:
            factor = rng.uniform(self.scale_min, self.scale_max)
            box = [int(side * factor) for side in self.resize]
            factor = min(max(box) / max(size), min(box) / min(size))
        elif self.base is None:
            factor = rng.uniform(self.scale_min, self.scale_max)
        else:
            low, high = int(self.base * self.scale_min), int(self.base * self.scale_max)
            factor = int(rng.integers(low, high, endpoint=True)) / max(size)
        return max(1, int(size[0] * factor + 0.5)), max(1, int(size[1] * factor + 0.5))

    def _balanced(self, label: np.ndarray) -> bool:
        counts = np.bincount(label.ravel(), minlength=self.ignore_index + 1)
        counts[self.ignore_index] = 0
        return counts.max() <= self.max_class_ratio * counts.sum() and np.count_nonzero(counts) > 1


def _draw_corner(source, size, crop, hint, rng) -> Tuple[int, int]:
    """(y, x) of the window in the scaled image, negative where the image is smaller than the window."""
    corner = []
    for axis in range(2):
        spare = size[axis] - crop[axis]
        low, high = min(0, spare), max(0, spare)
        if hint is not None and spare > 0:
            point = min(int((hint[axis] + 0.5) * size[axis] / source[axis]), size[axis] - 1)
            low, high = max(0, point - crop[axis] + 1), min(spare, point)
        corner.append(int(rng.integers(low, high, endpoint=True)))
    return corner[0], corner[1]

"""Drawing annotations: run lengths and polygons of COCO, matrices of ids."""

from __future__ import annotations

from typing import Any, Sequence, Tuple, Union

import numpy as np

from mxnetseg.data.headers import most_pixels
from mxnetseg.errors import DatasetError


def run_length_mask(encoded: dict, path: str) -> np.ndarray:
    """COCO's run lengths `{"size": [h, w], "counts": text or numbers}` -> bool (h, w).

    Runs alternate between outside and inside, down the columns. As text each number is written in groups
    of five bits, lowest first, from the character 48 on; from the third on, as the difference to the one two
    before it.
    """
    try:
        height, width = (int(v) for v in encoded["size"])
        counts = encoded["counts"]
        runs = _numbers(counts) if isinstance(counts, (str, bytes)) else [int(c) for c in counts]
        check_size((height, width), path)
        if sum(runs) != height * width or min(runs, default=0) < 0:
            raise ValueError(f"runs cover {sum(runs)} pixels of {height}x{width}")
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
        raise DatasetError(f"{path}: a mask's run lengths are damaged ({error})") from error
    inside = np.arange(len(runs)) % 2 == 1
    return np.repeat(inside, runs).reshape(width, height).T


def _numbers(text: Union[str, bytes]) -> list:
    data = text.encode("ascii") if isinstance(text, str) else text
    runs: list = []
    position = 0
    while position < len(data):
        value = shift = 0
        while True:
            byte = data[position] - 48
            if not 0 <= byte < 64:
                raise ValueError(f"character {data[position]} among the run lengths")
            position += 1
            value |= (byte & 31) << shift
            shift += 5
            if not byte & 32:
                break
        if byte & 16:  # the sign is in the highest bit of the last group
            value -= 1 << shift
        if len(runs) > 2:
            value += runs[-2]
        runs.append(value)
    return runs


def check_size(size: Tuple[int, int], path: str) -> None:
    """DatasetError for (height, width) as an annotation states them that no picture has."""
    if min(size) < 1 or size[0] * size[1] > most_pixels():
        raise DatasetError(f"{path}: states an image of {size[1]}x{size[0]} pixels")


def fill_polygon(mask: np.ndarray, polygon: Sequence[float]) -> None:
    """Set the pixels of a bool (h, w) mask whose centres lie in the polygon `x0, y0, x1, y1, ...`.

    Coordinates in pixels, pixel (0, 0) covering [0, 1) x [0, 1). Inside is where a ray crosses the outline
    an odd number of times. This is COCO's own rule up to its rounding to a fifth of a pixel.
    """
    points = np.asarray(polygon, np.float64).reshape(-1, 2)
    following = np.roll(points, -1, axis=0)
    height, width = mask.shape
    first = max(0, int(np.floor(points[:, 1].min() - 0.5)))
    last = min(height - 1, int(np.ceil(points[:, 1].max() - 0.5)))
    for row in range(first, last + 1):
        centre = row + 0.5
        crossing = (points[:, 1] <= centre) != (following[:, 1] <= centre)
        start, end = points[crossing], following[crossing]
        part = (centre - start[:, 1]) / (end[:, 1] - start[:, 1])
        xs = np.sort(start[:, 0] + part * (end[:, 0] - start[:, 0]))
        columns = np.clip(np.ceil(xs - 0.5), 0, width).astype(int)
        for left, right in columns.reshape(-1, 2):
            mask[row, left:right] = True


def annotation_mask(segmentation: Any, size: Tuple[int, int], path: str) -> np.ndarray:
    """COCO's `segmentation`, polygons or run lengths -> bool (h, w)."""
    if isinstance(segmentation, dict):
        mask = run_length_mask(segmentation, path)
        if mask.shape != size:
            raise DatasetError(
                f"{path}: a mask is {mask.shape[1]}x{mask.shape[0]} but its image {size[1]}x{size[0]}"
            )
        return mask
    mask = np.zeros(size, bool)
    try:
        for polygon in segmentation:
            if len(polygon) >= 6:
                one = np.zeros(size, bool)
                fill_polygon(one, polygon[: len(polygon) // 2 * 2])
                mask |= one
    except (TypeError, ValueError, OverflowError) as error:
        raise DatasetError(f"{path}: an object's outline is damaged ({error})") from error
    return mask


def as_ids(values: Any, path: str) -> np.ndarray:
    """A MATLAB matrix of whole numbers 0..255 -> uint8 (H, W)."""
    values = np.asarray(values)
    if values.ndim != 2 or values.size == 0 or values.dtype.kind not in "uif":
        raise DatasetError(f"{path}: expected a label matrix, found {values.dtype} {values.shape}")
    whole = np.isfinite(values).all() and values.min() >= 0 and values.max() <= 255
    ids = values.astype(np.uint8) if whole else values
    if not whole or (ids != values).any():
        raise DatasetError(
            f"{path}: label matrix holds values {values.min()}..{values.max()}; expected whole numbers 0..255"
        )
    return ids

"""Class scores on the host: bands of rows resized, classes decided, all with NumPy and OpenCV.

Blocks fit the cache: measured by `benchmarks/evaluation.py` they are many times faster on the CPU than
MXNet's own argmax, softmax and resize.

Maps are float32 (nclass, height, width).
"""

from __future__ import annotations

from typing import Optional, Tuple

import cv2
import numpy as np

Size = Tuple[int, int]


class RowResizer:
    """Adds bands of rows of a scaled map (nclass, h, w) to `total` (nclass, H, W), resized bilinearly.

    Pixel areas correspond (half-pixel centres), as in `cv2.resize`, or with `align_corners` the centres of
    the corner pixels; bands come top to bottom without gaps.
    """

    def __init__(self, scaled: Size, total: np.ndarray, align_corners: bool = False):
        self.scaled = scaled
        self.total = total
        self.size = total.shape[1:]
        self.align_corners = align_corners
        self.lower, self.upper, part = _sources(scaled[0], self.size[0], align_corners)
        self.part = part[:, None]
        self.written = 0  # rows of `total` done so far
        self.kept: Optional[np.ndarray] = None  # horizontally resized rows that the next band still needs

    def add(self, top: int, band: np.ndarray) -> None:
        """Add the rows from `top` on."""
        if self.scaled == self.size:
            self.total[:, top : top + band.shape[1]] += band
        elif band.shape[1] == self.scaled[0]:
            for c, plane in enumerate(band):
                self.total[c] += _resize_plane(plane, self.size, self.align_corners)
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
            rows = _resize_rows(plane, width, self.align_corners)
            if kept_rows:
                rows = np.concatenate([self.kept[c], rows])
            if done > self.written:
                self.total[c, self.written : done] += rows[lower] * (1 - part) + rows[upper] * part
            keep[c] = rows[keep_from - start :]
        self.written, self.kept = done, keep


def resize_map(planes: np.ndarray, size: Size, align_corners: bool) -> np.ndarray:
    """float32 (C, *size) of (C, h, w), bilinear without smoothing."""
    return np.stack([_resize_plane(plane, size, align_corners) for plane in planes])


def _resize_plane(plane: np.ndarray, size: Size, align_corners: bool) -> np.ndarray:
    if not align_corners:
        return cv2.resize(plane, size[::-1], interpolation=cv2.INTER_LINEAR)
    rows = _resize_rows(plane, size[1], align_corners)
    lower, upper, part = _sources(plane.shape[0], size[0], align_corners)
    return rows[lower] * (1 - part[:, None]) + rows[upper] * part[:, None]


def _resize_rows(plane: np.ndarray, width: int, align_corners: bool) -> np.ndarray:
    if not align_corners:
        return cv2.resize(plane, (width, plane.shape[0]), interpolation=cv2.INTER_LINEAR)
    lower, upper, part = _sources(plane.shape[1], width, align_corners)
    return plane.take(lower, axis=1) * (1 - part) + plane.take(upper, axis=1) * part


def _sources(count: int, target: int, align_corners: bool) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each of `target` places the two neighbours among `count`, and the share of the upper one."""
    if align_corners:
        source = np.arange(target) * ((count - 1) / max(target - 1, 1))
    else:
        source = (np.arange(target) + 0.5) * (count / target) - 0.5
    source = np.clip(source, 0, count - 1)
    lower = np.floor(source).astype(np.int64)
    return lower, np.minimum(lower + 1, count - 1), (source - lower).astype(np.float32)


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


def to_probabilities(logits: np.ndarray) -> np.ndarray:
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


def _block_rows(width: int) -> int:
    return max(1, (1 << 16) // max(width, 1))

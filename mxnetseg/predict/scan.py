"""The class scores of one scaled picture: window after window, handed out in bands of rows.

A map is produced top to bottom, and each band is given away as soon as no later window touches it, so that
memory follows the window size and not the picture.
"""

from __future__ import annotations

from typing import Callable, Iterator, List, Optional, Sequence, Tuple

import numpy as np

from mxnetseg.predict.bands import to_probabilities
from mxnetseg.predict.views import Picture, Span, Windows
from mxnetseg.recipe.protocol import Protocol

# float32 inputs (C, h, w) of one size -> logits (N, nclass, h, w), free to be changed.
Forward = Callable[[List[np.ndarray]], np.ndarray]


def scan(
    picture: Picture, windows: Windows, protocol: Protocol, copies: Sequence[bool], forward: Forward
) -> Iterator[Tuple[int, np.ndarray, bool]]:
    """Yields (top row, scores float32 (nclass, rows, width), are logits).

    copies : whether each window is seen plain (False), mirrored (True) or both ways

    Scores are averaged over windows and copies; they are valid until the next are asked for.
    """
    alone = len(windows.rows) == len(windows.columns) == len(copies) == 1
    if alone and protocol.average != "exponentials" and windows.rule == "flush":
        for _, logits in _row(picture, windows, 0, protocol, copies, forward):
            yield 0, logits, True
        return
    paired = protocol.average == "exponentials" and len(copies) == 2
    turned = protocol.mirror == "picture" and copies[0]
    total = WindowSum(windows, 1 if paired else len(copies), turned)
    for index in range(len(windows.rows)):
        first = None
        for columns, logits in _row(picture, windows, index, protocol, copies, forward):
            if paired and first is None:
                first = logits
                continue
            total.add(columns, _combined(logits if first is None else first + logits, protocol.average))
            first = None
        yield (*total.finish(index), protocol.average in ("logits", "view_probabilities"))
        total.advance(index)


def _combined(logits: np.ndarray, average: str) -> np.ndarray:
    """What is summed over windows; logits may be changed."""
    if average == "probabilities":
        return to_probabilities(logits)
    if average == "exponentials":
        # One logit has no rivals to be compared with: its probability then.
        return to_probabilities(logits) if len(logits) == 1 else np.exp(logits)
    return logits


def _row(
    picture: Picture,
    windows: Windows,
    index: int,
    protocol: Protocol,
    copies: Sequence[bool],
    forward: Forward,
) -> Iterator[Tuple[Span, np.ndarray]]:
    """(columns, logits (nclass, h, w) as the picture lies) of one row of windows, in batches."""
    rows, width = windows.rows[index], windows.size[1]
    views = []
    for columns in windows.columns:
        for mirrored in copies:
            # Windows laid over the mirrored picture, seen from the plain one.
            turned = mirrored and protocol.mirror == "picture"
            views.append(((width - columns[1], width - columns[0]) if turned else columns, mirrored))
    for start in range(0, len(views), protocol.batch):
        group = views[start : start + protocol.batch]
        outputs = forward([picture.view(rows, columns, m, windows.inputs) for columns, m in group])
        for (columns, mirrored), logits in zip(group, outputs):
            height, extent = rows[1] - rows[0], columns[1] - columns[0]
            if mirrored and windows.rule == "gluoncv":  # its padding was mirrored too
                logits = logits[:, :, ::-1][:, :height, :extent]
            else:
                logits = logits[:, :height, :extent]
                logits = logits[:, :, ::-1] if mirrored else logits
            yield columns, logits


class WindowSum:
    """The weighted mean over overlapping windows, handed out in bands of rows.

    copies : how often each window is added (2 with its mirrored copy)
    turned : windows lie on the mirrored picture
    """

    def __init__(self, windows: Windows, copies: int, turned: bool = False):
        self._windows = windows
        self._copies, self._turned = copies, turned
        self._band: Optional[np.ndarray] = None  # running sum from the first row of the current windows on
        self._weights: Tuple[np.ndarray, np.ndarray]

    def add(self, columns: Span, part: np.ndarray) -> None:
        """Add the map of a window of the current row of windows."""
        if self._band is None:
            first, last = self._windows.rows[0]
            width = self._windows.size[1]
            self._band = np.zeros((part.shape[0], last - first, width), np.float32)
            rows, across = self._windows.weights(part.shape[0])
            self._weights = rows, (across[::-1] if self._turned else across) * self._copies
        self._band[:, : part.shape[1], slice(*columns)] += part

    def finish(self, index: int) -> Tuple[int, np.ndarray]:
        """(first row, means of the rows that no later row of windows touches), valid until the next `add`.

        `index`: of the row of windows that has been added.
        """
        spans = self._windows.rows
        top = spans[index][0]
        bottom = spans[index + 1][0] if index + 1 < len(spans) else self._windows.size[0]
        rows, across = self._weights
        band = self._band
        for c, plane in enumerate(band):  # plane by plane: no second band is ever in memory
            plane[: bottom - top] /= rows[c % len(rows), top:bottom, None] * across
        return top, band[:, : bottom - top]

    def advance(self, index: int) -> None:
        """Drop the rows that `finish(index)` gave."""
        spans = self._windows.rows
        if index + 1 == len(spans):
            return
        done = spans[index + 1][0] - spans[index][0]
        for plane in self._band:
            plane[: len(plane) - done] = plane[done:]
            plane[len(plane) - done :] = 0

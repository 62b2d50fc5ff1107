"""Where windows and tiles lie on a picture that is larger than they are."""

from __future__ import annotations

from typing import List, Tuple


def flush_spans(side: int, window: int, step: int) -> List[Tuple[int, int]]:
    """(first, one after last) of windows every `step` pixels of `side`; the last is moved back to the border.

    A side shorter than the window has one, as short as the side.
    """
    window = min(window, side)
    last = side - window
    return [(start, start + window) for start in [*range(0, last, step), last]]

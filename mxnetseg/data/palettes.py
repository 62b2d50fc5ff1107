"""Colours of classes."""

from __future__ import annotations

import colorsys
from typing import Sequence

import numpy as np


def palette_array(colours: Sequence[Sequence[int]]) -> np.ndarray:
    """RGB triples -> uint8 (nclass, 3)."""
    return np.asarray(colours, np.uint8).reshape(-1, 3)


def default_palette(nclass: int) -> np.ndarray:
    """`nclass` well separated colours, uint8 (nclass, 3), for data sets that have none.

    Hues go round by the golden angle, so that neighbours in the list differ most; lightness takes turns.
    """
    colours = []
    for index in range(nclass):
        hue = (0.05 + index * 0.381966) % 1
        colours.append(
            colorsys.hsv_to_rgb(hue, (0.78, 0.5, 0.92)[index % 3], (0.9, 0.7, 0.55, 0.98)[index % 4])
        )
    return (np.array(colours).reshape(-1, 3) * 255).astype(np.uint8)

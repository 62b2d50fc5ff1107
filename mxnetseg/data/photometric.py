"""The photometric distortion of SSD, as mmsegmentation trains with it.

Liu et al., "SSD: Single Shot MultiBox Detector", ECCV 2016. Strengths and order are
mmsegmentation's; values are cut off, not rounded, at every step as there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

import cv2
import numpy as np


@dataclass(frozen=True)
class PhotometricDistortion:
    """(uint8 (H, W, 3) RGB, rng) -> the same; each of four changes with probability `chance`.

    brightness  added to every value, uniform in [-brightness, brightness].
    contrast    factor on every value, uniform; before the two colour changes or after them by a coin.
    saturation  factor on HSV saturation, uniform.
    hue         turn in OpenCV's units of 2 degrees, a whole number uniform in [-hue, hue).
    """

    brightness: float = 32.0
    contrast: Tuple[float, float] = (0.5, 1.5)
    saturation: Tuple[float, float] = (0.5, 1.5)
    hue: int = 18
    chance: float = 0.5

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        # All numbers are drawn whether used or not: what follows in the stream then never moves.
        brighten, stretch, colour, turn, early = rng.random(5) < (*[self.chance] * 4, 0.5)
        shift = rng.uniform(-self.brightness, self.brightness)
        contrast = rng.uniform(*self.contrast)
        saturation = rng.uniform(*self.saturation)
        hue = int(rng.integers(-self.hue, self.hue)) if self.hue else 0
        values = np.arange(256, dtype=np.float32)
        if brighten:
            image = cv2.LUT(image, _cut(values + shift))
        if stretch and early:
            image = cv2.LUT(image, _cut(values * contrast))
        if colour:
            image = _change_hsv(image, 1, _cut(values * saturation))
        if turn:
            image = _change_hsv(image, 0, ((np.arange(256) + hue) % 180).astype(np.uint8))
        if stretch and not early:
            image = cv2.LUT(image, _cut(values * contrast))
        return image


def _cut(values: np.ndarray) -> np.ndarray:
    return np.clip(values, 0, 255).astype(np.uint8)


def _change_hsv(image: np.ndarray, channel: int, table: np.ndarray) -> np.ndarray:
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    hsv[:, :, channel] = cv2.LUT(np.ascontiguousarray(hsv[:, :, channel]), table)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)

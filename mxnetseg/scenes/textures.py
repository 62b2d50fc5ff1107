"""Noise that is drawn once per process and laid over every scene: grain, leaves, clouds, dirt.

Tiles are made with integer arithmetic only (8-bit fixed-point blur), so that they are the same bits on
every machine.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Tuple

import cv2
import numpy as np

from mxnetseg.scenes import canvas as c

TILE = 512

# Amplitude (grey levels) of fine grain, leaf-sized blobs and broad stains, by train id.
_GRAIN = {c.ROAD: 9, c.SIDEWALK: 8, c.TERRAIN: 15, c.VEGETATION: 14, c.WALL: 8, c.BUILDING: 5}
_BLOBS = {c.VEGETATION: 40, c.TERRAIN: 20, c.WALL: 8, c.FENCE: 4, c.BUILDING: 5, c.ROAD: 4}
_STAINS = {c.ROAD: 12, c.SIDEWALK: 12, c.BUILDING: 14, c.WALL: 16, c.TERRAIN: 20, c.VEGETATION: 16}
_LEAST_GRAIN = 3


@lru_cache(maxsize=1)
def tiles() -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(grain, blobs, stains), each int16 (2 * TILE, 2 * TILE) in -127..128, repeating after TILE."""
    made = (_noise(1, 1), _noise(2, 4), _noise(3, 32))
    return tuple(np.tile(tile.astype(np.int16) - 127, (2, 2)) for tile in made)


@lru_cache(maxsize=1)
def clouds() -> np.ndarray:
    """Opacity of clouds, uint8 (TILE, 2 * TILE), repeating to the right after TILE."""
    octaves = ((11, 128, 8), (12, 64, 6), (13, 32, 3), (14, 16, 2), (15, 8, 1))
    total = sum(weight * _noise(seed, cell).astype(np.int32) for seed, cell, weight in octaves)
    opacity = np.clip((total // 20 - 110) * 4, 0, 255).astype(np.uint8)
    return np.hstack([opacity, opacity])


def _noise(seed: int, cell: int) -> np.ndarray:
    """Smooth noise with features of `cell` pixels, uint8 (TILE, TILE) over 0..255, repeating."""
    count = TILE // cell
    generator = np.random.Generator(np.random.PCG64(seed))
    noise = generator.integers(0, 256, (count, count), np.uint8)
    if cell > 1:
        # Enlarged with its neighbours on the other side of the seam, so that the tile repeats.
        margin = 2
        noise = np.pad(noise, margin, mode="wrap")
        noise = cv2.resize(noise, None, fx=cell, fy=cell, interpolation=cv2.INTER_LINEAR_EXACT)
        noise = cv2.GaussianBlur(noise, (0, 0), cell / 3.0)
        edge = margin * cell
        noise = noise[edge:-edge, edge:-edge]
    low, high = (int(v) for v in np.percentile(noise, (1, 99), method="nearest"))
    stretched = (noise.astype(np.int32) - low) * 255 // max(1, high - low)
    return np.clip(stretched, 0, 255).astype(np.uint8)


@lru_cache(maxsize=1)
def _amplitudes() -> np.ndarray:
    table = np.zeros((3, 256), np.uint8)
    table[0] = _LEAST_GRAIN
    for row, amounts in enumerate((_GRAIN, _BLOBS, _STAINS)):
        for label, amount in amounts.items():
            table[row, label] = amount
    return table


def lay_over(image: np.ndarray, label: np.ndarray, dice: c.Dice) -> None:
    """Add to each class its texture, in place."""
    height, width = label.shape
    total = None
    for tile, amounts in zip(tiles(), _amplitudes()):
        part = _window(tile, height, width, dice)
        product = cv2.multiply(part, cv2.LUT(label, amounts), scale=1 / 127.0, dtype=cv2.CV_16S)
        total = product if total is None else cv2.add(total, product)
    cv2.add(image, cv2.merge([total, total, total]), dst=image, dtype=cv2.CV_8U)


def _window(tile: np.ndarray, height: int, width: int, dice: c.Dice) -> np.ndarray:
    top, left = dice.whole(0, TILE - 1), dice.whole(0, TILE - 1)
    if height <= TILE and width <= TILE:
        return tile[top : top + height, left : left + width]
    rows, columns = -(-height // TILE) + 1, -(-width // TILE) + 1
    return np.tile(tile[:TILE, :TILE], (rows, columns))[top : top + height, left : left + width]

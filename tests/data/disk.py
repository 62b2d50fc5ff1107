"""Miniature data sets on disk, made by the tests that read them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

SIZE = (24, 32)


def picture(size=SIZE, seed=0):
    """uint8 (h, w, 3), smooth enough that interpolation can be compared."""
    noise = np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype(np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 1.5)


def write(path, array):
    """Write RGB or one-channel pixels as the extension says."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if array.ndim == 3:
        array = array[:, :, ::-1] if array.shape[2] == 3 else array[:, :, [2, 1, 0, 3]]
    assert cv2.imwrite(str(path), array)
    return path


def labels(values, size=SIZE, seed=0, dtype=np.uint8):
    """(h, w) of the given values, each present."""
    values = np.asarray(values, dtype)
    drawn = np.random.default_rng(seed).choice(values, size)
    drawn.flat[: len(values)] = values
    return drawn


def cityscapes(root, splits=("train", "val", "test"), count=2, images="leftImg8bit", annotations="gtFine"):
    """The official layout in miniature; returns the root."""
    for split in splits:
        for k in range(count):
            city = ("aachen", "ulm")[k % 2]
            frame = f"{city}_{k:06d}_000019"
            write(root / images / split / city / f"{frame}_leftImg8bit.png", picture(seed=k))
            if split != "test":
                ids = labels([0, 4, 7, 8, 11, 19, 26, 33], seed=k)
                write(root / annotations / split / city / f"{frame}_gtFine_labelIds.png", ids)
    return root


def camvid(root, splits=("train", "val"), count=3):
    """The 11-class edition's layout in miniature; returns the root."""
    for split in splits:
        for k in range(count):
            write(root / split / f"f{k}.png", picture(seed=k))
            write(root / f"{split}annot" / f"f{k}.png", labels(range(12), seed=k))
    return root

"""Contact sheets: samples with their labels drawn over, as they are or as training sees them."""

from __future__ import annotations

from typing import Any, List, Optional, Sequence

import numpy as np

from mxnetseg.data.datasets.base import Dataset
from mxnetseg.report import visualize


def pick(dataset: Dataset, count: int, seed: Optional[int] = None) -> List[int]:
    """`count` indices spread evenly over the data set, or drawn at random with `seed`; in order."""
    count = min(count, len(dataset))
    if seed is None:
        return [k * len(dataset) // count for k in range(count)]
    drawn = np.random.default_rng(seed).choice(len(dataset), count, replace=False)
    return sorted(int(k) for k in drawn)


def sheet(dataset: Dataset, indices: Sequence[int], cell_width: int = 384) -> np.ndarray:
    """One row per sample: picture, labels over the picture, labels alone. Returns uint8 (H, W, 3) RGB."""
    palette = np.asarray(dataset.palette)
    rows, seen = [], np.zeros(dataset.ignore_index + 1, bool)
    for index in indices:
        image, label, name = dataset[index]
        pictures = [visualize.visible(image)]
        if label is not None:
            pictures += [visualize.overlay(image, label, palette), _colours(label, palette)]
            seen[np.unique(label)] = True
        height, width = image.shape[:2]
        rows.append((f"{index}: {name}, {width} x {height}", pictures))
    titles = ["image", "labels over it", "labels"] if dataset.has_labels else ["image"]
    return _compose(dataset, rows, titles, seen, cell_width, "")


def augmented_sheet(
    dataset: Dataset,
    indices: Sequence[int],
    transform: Any,
    variants: int = 4,
    cell_width: int = 256,
) -> np.ndarray:
    """One row per sample: the picture and `variants` of what `transform` makes of it, labels drawn over."""
    palette = np.asarray(dataset.palette)
    rows, seen = [], np.zeros(dataset.ignore_index + 1, bool)
    height, width = transform.output_size
    for index in indices:
        sample = dataset[index]
        pictures = [visualize.overlay(sample.image, sample.label, palette, opacity=_FAINT)]
        for variant in range(variants):
            rng = np.random.default_rng([0, index, variant])
            image, label = transform.augment(sample, rng)
            pictures.append(visualize.overlay(image, label, palette, opacity=_FAINT))
            seen[np.unique(label)] = True
        rows.append((f"{index}: {sample.name}", pictures))
    titles = ["sample"] + [f"augmented {k + 1}" for k in range(variants)]
    note = f"crops of {width} x {height}; plain areas without tint are ignored in training"
    return _compose(dataset, rows, titles, seen, cell_width, note)


# Colours of classes let the augmented colours of the picture through.
_FAINT = 0.3
# Ignored pixels where labels are shown alone: no class of the data sets is of this grey.
_IGNORED = (232, 232, 232)


def _colours(label: np.ndarray, palette: np.ndarray) -> np.ndarray:
    return visualize.colourize(label, palette, _IGNORED)


def _compose(dataset, rows, titles, seen, cell_width, note) -> np.ndarray:
    # A legend of 150 names helps nobody: only classes that the sheet shows.
    shown = [k for k in range(len(dataset.classes)) if seen[k]]
    names = [dataset.classes[k] for k in shown]
    colours = np.asarray(dataset.palette)[shown] if shown else np.zeros((0, 3), np.uint8)
    if seen[dataset.ignore_index]:
        names.append("ignored")
        colours = np.concatenate([colours, [_IGNORED]]).astype(np.uint8)
    return visualize.contact_sheet(
        rows,
        titles,
        names,
        colours,
        cell_width,
        heading=f"{dataset.title or dataset.name}: {dataset.split}, {len(dataset)} samples",
        note=note,
    )

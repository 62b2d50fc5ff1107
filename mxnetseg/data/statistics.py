"""How often classes occur in labels, and the class weights that follow."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mxnetseg.data.parallel import map_samples
from mxnetseg.errors import DatasetError

# ENet's constant: the largest weight is 1 / ln(1.02), about 50.
_ENET_OFFSET = 1.02


class ClassCounts(NamedTuple):
    """Pixels of each class in a set of label maps, and what the images that hold it have in all; int64
    `(nclass,)`. Ignored pixels are in neither."""

    pixels: np.ndarray
    pixels_where_present: np.ndarray

    @staticmethod
    def none(nclass: int) -> ClassCounts:
        """The counts of no label map."""
        return ClassCounts(np.zeros(nclass, np.int64), np.zeros(nclass, np.int64))

    def add(self, pixels: np.ndarray) -> None:
        """Count one label map with so many `pixels` of each class."""
        self.pixels[:] += pixels
        self.pixels_where_present[pixels > 0] += pixels.sum()

    def frequencies(self) -> np.ndarray:
        """Share of each class of all pixels that are not ignored, 0..1."""
        return self.pixels / max(1, self.pixels.sum())

    def median_frequency_weights(self) -> np.ndarray:
        """Median frequency balancing (Eigen and Fergus, ICCV 2015): the frequency of a class is its share of
        the pixels of images that hold it; its weight is the median frequency over its own. 0 for absent
        classes. Rounded to 6 digits: what `loss.class_weights: auto` trains with.
        """
        share = self.pixels / np.maximum(1, self.pixels_where_present)
        present = share > 0
        weights = np.zeros(len(share))
        if present.any():
            weights[present] = np.median(share[present]) / share[present]
        return weights.round(6)

    def enet_weights(self) -> np.ndarray:
        """1 / ln(1.02 + share) (Paszke et al., ENet, 2016); 0 for absent classes."""
        weights = 1.0 / np.log(_ENET_OFFSET + self.frequencies())
        return np.where(self.pixels > 0, weights, 0.0)


def count_pixels(label: np.ndarray, nclass: int) -> np.ndarray:
    """Pixels of each class in one label map of train ids, int64 `(nclass,)`; other values count nowhere."""
    inside = label[(label >= 0) & (label < nclass)]
    return np.bincount(inside, minlength=nclass).astype(np.int64)


def count_classes(dataset: Any, nclass: int, workers: int = 1) -> ClassCounts:
    """The counts over a data set, read by so many processes; DatasetError for a damaged label."""
    counts = ClassCounts.none(nclass)
    for pixels in map_samples(dataset, _Pixels(nclass), workers):
        if isinstance(pixels, str):
            raise DatasetError(pixels)
        counts.add(pixels)
    return counts


class _Pixels:
    """`count_pixels` of a sample, in a form that travels to another process."""

    def __init__(self, nclass: int):
        self.nclass = nclass

    def __call__(self, dataset: Any, index: int) -> np.ndarray:
        read = getattr(dataset, "read_label_file", None)
        return count_pixels(read(index) if read else dataset[index].label, self.nclass)

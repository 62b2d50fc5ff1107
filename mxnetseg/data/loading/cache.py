"""Decoded samples kept in memory, so that each is read and decoded once."""

from __future__ import annotations

import threading
from typing import Any, Dict

import numpy as np

from mxnetseg.data.datasets.base import Sample


class CachedSamples:
    """`dataset`, whose samples are kept as they come until they take `most` bytes; none is given up again.

    An epoch visits every sample once, in an order of its own: keeping some for good finds as many as memory
    allows, where giving up the oldest would find next to none. Arrays handed out cannot be written to.
    """

    def __init__(self, dataset: Any, most: int):
        self.dataset = dataset
        self.most = most
        self.held = 0  # bytes
        self._samples: Dict[int, Sample] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.dataset)

    def __getattr__(self, name: str) -> Any:
        # Until there is a data set (an empty copy of this object is being filled) nothing can be asked of it.
        if name == "dataset":
            raise AttributeError(name)
        return getattr(self.dataset, name)

    def __getitem__(self, index: int) -> Sample:
        """The sample as the data set gives it; whatever the data set raises for it."""
        found = self._samples.get(index)
        if found is not None:
            return found if found.label is None else found._replace(label=found.label.astype(np.int32))
        sample = self.dataset[index]
        self._keep(index, sample)
        return sample

    def _keep(self, index: int, sample: Sample) -> None:
        label = sample.label
        # Train ids are few: a byte does for nearly all data sets.
        if label is not None and label.min() >= 0 and label.max() < 256:
            label = label.astype(np.uint8)
        size = sample.image.nbytes + (0 if label is None else label.nbytes)
        with self._lock:
            if index in self._samples or self.held + size > self.most:
                return
            self.held += size
            sample.image.setflags(write=False)
            self._samples[index] = sample._replace(label=label)


def cached(dataset: Any, most: int) -> Any:
    """`dataset` with a cache of `most` bytes; itself for 0."""
    return CachedSamples(dataset, most) if most else dataset

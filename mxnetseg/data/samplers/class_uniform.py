"""Class-uniform sampling: a part of each epoch is crops around every class in turn, rare ones as often
as common.

Zhu et al., "Improving Semantic Segmentation via Video Propagation and Label Relaxation", CVPR 2019;
the SFNet recipes train with it. Every picture is divided into square tiles; where a class occurs in
a tile, the mean position of its pixels is a centroid, and a crop drawn for it contains that pixel.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from typing import Any, List, Optional, Sequence, Tuple, Union

import numpy as np

from mxnetseg.data.samplers.base import Visit, order_generator
from mxnetseg.errors import ConfigError, DatasetError

# Columns of the table of centroids.
_INDEX, _CLASS, _Y, _X = range(4)
_PROBED_FILES = 50


class ClassUniformSampler:
    """As many visits per epoch as samples: `percent` of them for the classes in equal parts, the rest plain.

    dataset       with `read_label_file` (every data set of files has it).
    percent       share of the epoch drawn by class, 0..1.
    tile          side of a tile, pixels. What is left at the right and bottom edge gives no centroid.
    boost_from    name of the part of a concatenation that gives only centroids, and only of `boost_classes`:
                  coarse annotations for rare classes. It does not count for the length of an epoch.
    boost_classes names of classes.
    cache         folder for the table of centroids; default: $MXNETSEG_CACHE, else ~/.cache/mxnetseg.
    workers       processes that read labels when the table is not cached.

    A class without any centroid gets no visits of its own; plain samples take its place.
    """

    def __init__(
        self,
        dataset: Any,
        percent: float = 0.5,
        tile: int = 1024,
        boost_from: Optional[str] = None,
        boost_classes: Sequence[str] = (),
        cache: Optional[str] = None,
        workers: int = 1,
    ):
        if not 0 <= percent <= 1:
            raise ConfigError(f"class-uniform sampling: percent {percent} must be 0..1")
        if tile < 1:
            raise ConfigError(f"class-uniform sampling: tile {tile} must be at least 1 pixel")
        self.percent = percent
        self.nclass = len(dataset.classes)
        plain, boosting = _divide(dataset, boost_from)
        self.plain = np.array(plain)
        table = cached_centroids(dataset, tile, cache, workers)
        keep = np.ones(len(table), bool)
        if boosting:
            boosted = [_class_id(dataset, name) for name in boost_classes]
            keep = ~np.isin(table[:, _INDEX], boosting) | np.isin(table[:, _CLASS], boosted)
        elif boost_classes:
            raise ConfigError("class-uniform sampling: boost_classes needs boost_from")
        table = table[keep]
        if percent and not len(table):
            raise DatasetError(
                f"class-uniform sampling found no centroid in {dataset.name!r}: no picture holds a tile of "
                f"{tile} x {tile} pixels with a label; set sampler_options.tile to their height or less"
            )
        self.by_class = [table[table[:, _CLASS] == k] for k in range(self.nclass)]

    def __len__(self) -> int:
        return len(self.plain)

    def __call__(self, epoch: int, seed: int) -> List[Visit]:
        rng = order_generator(seed, epoch)
        per_class = int(len(self.plain) * self.percent / self.nclass)
        visits: List[Visit] = []
        for rows in self.by_class:
            wanted = per_class if len(rows) else 0
            while wanted > 0:
                for place in rng.permutation(len(rows))[:wanted]:
                    row = rows[place]
                    visits.append((int(row[_INDEX]), (int(row[_Y]), int(row[_X]))))
                    wanted -= 1
        rest = len(self.plain) - len(visits)
        visits += [(int(index), None) for index in rng.permutation(self.plain)[:rest]]
        return [visits[place] for place in rng.permutation(len(visits))]


def centroids(label: np.ndarray, nclass: int, tile: int) -> List[Tuple[int, int, int]]:
    """(class, y, x) for each class in each full tile of a label map: the mean position of its pixels."""
    found = []
    for top in range(0, label.shape[0] - tile + 1, tile):
        for left in range(0, label.shape[1] - tile + 1, tile):
            part = label[top : top + tile, left : left + tile]
            # Ignored pixels, and whatever else is no class, in one last bin.
            part = np.where((part >= 0) & (part < nclass), part, nclass).astype(np.intp)
            # Sums of coordinates from two small histograms instead of one mask per class.
            rows = np.arange(tile)
            lines = np.bincount(
                (rows[:, None] * (nclass + 1) + part).ravel(), minlength=tile * (nclass + 1)
            ).reshape(tile, nclass + 1)
            columns = np.bincount(
                (rows[None, :] * (nclass + 1) + part).ravel(), minlength=tile * (nclass + 1)
            ).reshape(tile, nclass + 1)
            count = lines.sum(axis=0)
            for k in np.flatnonzero(count[:nclass]):
                y = int(rows @ lines[:, k] // count[k])
                x = int(rows @ columns[:, k] // count[k])
                found.append((int(k), top + y, left + x))
    return found


def cached_centroids(dataset: Any, tile: int, cache: Optional[str] = None, workers: int = 1) -> np.ndarray:
    """int32 (n, 4): sample, class, y, x; from the cache where the same labels were read before."""
    folder = cache or os.environ.get("MXNETSEG_CACHE") or os.path.expanduser("~/.cache/mxnetseg")
    key = _key(dataset, tile)
    path = os.path.join(folder, f"centroids-{dataset.name}-{dataset.split}-{tile}-{key[:16]}.npy")
    try:
        table = np.load(path, allow_pickle=False)
        if table.ndim == 2 and table.shape[1] == 4 and table.dtype == np.int32:
            return table
    except (OSError, ValueError, EOFError):
        pass  # not there, or cut short by a full disk: computed again
    table = _compute(dataset, tile, workers)
    _store(table, folder, path)
    return table


def _compute(dataset: Any, tile: int, workers: int) -> np.ndarray:
    from mxnetseg.data.parallel import map_samples
    from mxnetseg.data.prepare.workspace import progress_bar

    rows: List[Tuple[int, int, int, int]] = []
    bar = progress_bar(len(dataset), f"centroids of {dataset.name}")
    for index, found in enumerate(map_samples(dataset, _Finder(tile), workers)):
        if isinstance(found, str):
            raise DatasetError(found)
        rows += [(index, *one) for one in found]
        bar.update()
    bar.close()
    return np.array(rows, np.int32).reshape(-1, 4)


class _Finder:
    def __init__(self, tile: int):
        self.tile = tile

    def __call__(self, dataset: Any, index: int) -> List[Tuple[int, int, int]]:
        label = dataset.read_label_file(index)
        return [] if label is None else centroids(label, len(dataset.classes), self.tile)


def _store(table: np.ndarray, folder: str, path: str) -> None:
    try:
        os.makedirs(folder, exist_ok=True)
        handle, temporary = tempfile.mkstemp(suffix=".part", dir=folder)
        with os.fdopen(handle, "wb") as out:
            np.save(out, table)
        os.replace(temporary, path)
    except OSError:
        pass  # a cache that cannot be written costs time, not the run


def _key(dataset: Any, tile: int) -> str:
    """Changes with the files and with how they are read."""
    digest = hashlib.sha256()
    items = getattr(dataset, "items", None)
    table = getattr(dataset, "label_table", None)
    facts = (tile, len(dataset), list(dataset.classes), dataset.ignore_index, dataset.root, table)
    digest.update(repr(facts).encode())
    if items is not None:
        for item in items:
            digest.update(f"{item.label}\n".encode())
        for place in range(min(_PROBED_FILES, len(items))):
            label = items[place * len(items) // min(_PROBED_FILES, len(items))].label
            if label is not None and os.path.exists(label):
                found = os.stat(label)
                digest.update(f"{found.st_size} {found.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _divide(dataset: Any, boost_from: Optional[str]) -> Tuple[List[int], Union[range, List[int]]]:
    """Indices of plain samples, and of those that only give centroids."""
    if boost_from is None:
        return list(range(len(dataset))), []
    parts = getattr(dataset, "parts", None)
    names = [part.name for part in parts or ()]
    if boost_from not in names:
        raise ConfigError(
            f"class-uniform sampling: boost_from {boost_from!r} is no part of data set {dataset.name!r}"
            + (f"; its parts: {', '.join(names)}" if names else ", which has no parts (see 'concat')")
        )
    which = names.index(boost_from)
    boosting = range(dataset.starts[which], dataset.starts[which + 1])
    return [i for i in range(len(dataset)) if i not in boosting], boosting


def _class_id(dataset: Any, name: str) -> int:
    try:
        return list(dataset.classes).index(name)
    except ValueError:
        raise ConfigError(
            f"class-uniform sampling: no class {name!r} to boost; classes: {', '.join(dataset.classes)}"
        ) from None

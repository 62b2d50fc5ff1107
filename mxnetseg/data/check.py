"""Reading every file of a data set: what is damaged, what the pictures are like, how often classes occur."""

from __future__ import annotations

from collections import Counter
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from mxnetseg.data.datasets.base import Dataset, FileDataset
from mxnetseg.data.parallel import map_samples
from mxnetseg.data.prepare.workspace import progress_bar
from mxnetseg.data.reading import read_label
from mxnetseg.data.statistics import ClassCounts, count_pixels


class Examined(NamedTuple):
    """One sample: (height, width), pixels per class, ignored pixels, pixels per stored value."""

    size: Tuple[int, int]
    pixels: Optional[np.ndarray]
    ignored: int
    values: Optional[Dict[int, int]]


class SplitReport:
    """What a split is like; grows by one sample at a time."""

    def __init__(self, dataset: Dataset):
        self.name = dataset.name
        self.split = dataset.split
        self.classes = list(dataset.classes)
        self.samples = len(dataset)
        self.published = getattr(dataset, "sizes", {}).get(dataset.split)
        self.sizes: Counter = Counter()
        self.counts = ClassCounts.none(len(self.classes))
        self.images_with = np.zeros(len(self.classes), np.int64)
        self.ignored = 0
        self.labelled = 0
        self.values: Counter = Counter()
        self.bad: List[str] = []

    def add(self, examined: Examined) -> None:
        self.sizes[examined.size] += 1
        if examined.pixels is None:
            return
        self.labelled += 1
        self.counts.add(examined.pixels)
        self.images_with += examined.pixels > 0
        self.ignored += examined.ignored
        self.values.update(examined.values or {})

    def as_dict(self) -> Dict[str, Any]:
        """Everything as plain numbers and strings, for JSON."""
        return {
            "dataset": self.name,
            "split": self.split,
            "samples": self.samples,
            "published": self.published,
            "labelled": self.labelled,
            "bad": self.bad,
            "sizes": {f"{w}x{h}": count for (h, w), count in self.sizes.most_common()},
            "ignored_pixels": int(self.ignored),
            "classes": [
                {
                    "id": k,
                    "name": name,
                    "pixels": int(self.counts.pixels[k]),
                    "frequency": float(self.counts.frequencies()[k]),
                    "images": int(self.images_with[k]),
                    "weight_median": float(self.counts.median_frequency_weights()[k]),
                    "weight_enet": float(self.counts.enet_weights()[k]),
                }
                for k, name in enumerate(self.classes)
            ],
            "stored_values": {str(v): int(n) for v, n in sorted(self.values.items())},
        }

    def text(self, limit: int = 20) -> str:
        """The report for a terminal; at most `limit` bad files are listed."""
        lines = [f"{self.name}, split {self.split}: {self.samples} samples"]
        if self.published is not None:
            equal = "as published" if self.published == self.samples else f"{self.published} published"
            lines[0] += f" ({equal})"
        lines += [f"  {line}" for line in self._size_lines()]
        if self.labelled:
            lines += [f"  {line}" for line in self._class_lines()]
        else:
            lines.append("  no labels in this split")
        if self.bad:
            lines.append(f"  {len(self.bad)} damaged or unusable:")
            lines += [f"    {message}" for message in self.bad[:limit]]
            if len(self.bad) > limit:
                lines.append(f"    and {len(self.bad) - limit} more")
        else:
            lines.append("  every file was read and is usable")
        return "\n".join(lines)

    def _size_lines(self) -> Iterator[str]:
        if not self.sizes:
            return
        if len(self.sizes) == 1:
            ((h, w),) = self.sizes
            yield f"size {w} x {h} (width x height), all alike"
            return
        heights, widths = zip(*self.sizes.elements())
        (h, w), count = self.sizes.most_common(1)[0]
        yield (
            f"{len(self.sizes)} sizes: width {min(widths)}..{max(widths)} (median {int(np.median(widths))}), "
            f"height {min(heights)}..{max(heights)} (median {int(np.median(heights))}); most often {w} x {h} "
            f"({count} times)"
        )

    def _class_lines(self) -> Iterator[str]:
        total = self.counts.pixels.sum() + self.ignored
        yield f"ignored pixels: {100 * self.ignored / max(1, total):.2f} %"
        width = max(12, *(min(30, len(name)) for name in self.classes))
        yield f"{'id':>4}  {'class':<{width}} {'pixels %':>9} {'images':>7} {'median w':>9} {'ENet w':>7}"
        columns = zip(
            self.classes,
            self.counts.frequencies(),
            self.images_with,
            self.counts.median_frequency_weights(),
            self.counts.enet_weights(),
        )
        for k, (name, share, images, median, enet) in enumerate(columns):
            if images:
                numbers = f"{100 * share:>9.3f} {images:>7} {median:>9.3f} {enet:>7.2f}"
                yield f"{k:>4}  {name[:30]:<{width}} {numbers}"
            else:
                yield f"{k:>4}  {name[:30]:<{width}} {'absent':>9} {0:>7} {'-':>9} {'-':>7}"


def check(dataset: Dataset, workers: int = 1) -> SplitReport:
    """Read every sample of a data set. Damaged ones are in the report's `bad`; nothing is raised for them."""
    report = SplitReport(dataset)
    bar = progress_bar(len(dataset), f"{dataset.name} {dataset.split}")
    for examined in _examine_all(dataset, workers):
        if isinstance(examined, str):
            report.bad.append(examined)
        else:
            report.add(examined)
        bar.update()
    bar.close()
    return report


def shared_names(datasets: Sequence[Dataset]) -> List[Tuple[str, str, int]]:
    """(split, split, count) of image files that two splits share, which makes validation worthless."""
    found = []
    paths = [{item.image for item in getattr(dataset, "items", ())} for dataset in datasets]
    for i in range(len(datasets)):
        for j in range(i):
            count = len(paths[i] & paths[j])
            if count:
                found.append((datasets[j].split, datasets[i].split, count))
    return found


def examine(dataset: Dataset, index: int) -> Examined:
    """Read one sample; DatasetError where it is damaged."""
    owner, inner = dataset, index
    while hasattr(owner, "locate"):
        part, inner = owner.locate(inner)
        owner = owner.parts[part]
    # The common reading in its two halves, to see the values as they are stored.
    plain = isinstance(owner, FileDataset) and type(owner).__getitem__ is FileDataset.__getitem__
    values = None
    if plain and owner.items[inner].label is not None:
        item = owner.items[inner]
        image, raw = owner.read_picture(item), read_label(item.label)
        if raw.shape[:2] != image.shape[:2]:
            owner[inner]  # raises, in its own words
        if raw.ndim == 2:
            found, counts = np.unique(raw, return_counts=True)
            values = {int(v): int(n) for v, n in zip(found, counts)}
        label: Optional[np.ndarray] = owner.decode_label(raw, item.label)
    else:
        image, label, _ = owner[inner]
    if label is None:
        return Examined(image.shape[:2], None, 0, None)
    pixels = count_pixels(label, len(dataset.classes))
    return Examined(image.shape[:2], pixels, int(label.size - pixels.sum()), values)


def _examine_all(dataset: Dataset, workers: int) -> Iterator[Any]:
    return map_samples(dataset, examine, workers)

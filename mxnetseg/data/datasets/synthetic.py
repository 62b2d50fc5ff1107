"""Drawn street scenes under the 19 Cityscapes classes: no files, no download, any size.

Scene `i` of a seed is the same on every machine. The splits take disjoint stretches of scene numbers, so that
what is scored was never trained on, whatever the lengths.
"""

from __future__ import annotations

from typing import Optional, Sequence, Tuple, Union

import numpy as np

from mxnetseg.data.datasets.base import DATASETS, Dataset, Sample, Submission
from mxnetseg.data.datasets.cityscapes import CLASSES, IGNORE, LABEL_IDS, PALETTE
from mxnetseg.errors import DatasetError
from mxnetseg.scenes import draw_scene

# First scene number of each split; a split is at most as long as a stretch.
_STRETCH = 1_000_000_000
_FIRST = {"train": 0, "val": _STRETCH, "test": 2 * _STRETCH}
_LENGTH = {"train": 1000, "val": 100, "test": 20}


@DATASETS.register("synthetic")
class Synthetic(Dataset):
    """Options: `size` (h, w) in pixels, `length` of the split in scenes, `seed` of the world.

    `root` is accepted, as for any data set, and unused.
    """

    name = "synthetic"
    title = "Drawn street scenes"
    classes = CLASSES
    palette = PALETTE
    ignore_index = IGNORE
    splits = ("train", "val", "test")
    train_id_to_label_id = LABEL_IDS
    submission = Submission()
    scales = (0.75, 1.0, 1.25)  # short training sees no larger ones
    crop = 256
    base = 512
    layout = "no files: scenes are drawn when they are asked for"

    def __init__(
        self,
        root: Optional[str] = None,
        split: str = "train",
        size: Union[int, Sequence[int]] = (256, 512),
        length: Optional[int] = None,
        seed: int = 0,
    ):
        super().__init__(None, split)
        self.parts = split.split("+")
        for part in self.parts:
            if part not in _FIRST:
                raise DatasetError(
                    f"data set 'synthetic' has no split {part!r}; it has {', '.join(self.splits)}"
                )
        self.size = _checked_size(size)
        if length is not None and not 1 <= length <= _STRETCH:
            raise DatasetError(f"data set 'synthetic': length {length} must be 1 to {_STRETCH}")
        if seed < 0:
            raise DatasetError(f"data set 'synthetic': seed {seed} must not be negative")
        self.lengths = [_LENGTH[part] if length is None else length for part in self.parts]
        self.seed = seed

    def __len__(self) -> int:
        return sum(self.lengths)

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(f"scene {index} of {len(self)}")
        part = 0
        while index >= self.lengths[part]:
            index -= self.lengths[part]
            part += 1
        scene = _FIRST[self.parts[part]] + index
        image, label = draw_scene(self.seed, scene, self.size)
        return Sample(image, label.astype(np.int32), f"{self.parts[part]}_{index:06d}")


def _checked_size(size: Union[int, Sequence[int]]) -> Tuple[int, int]:
    sides = (size, size) if isinstance(size, int) else tuple(size)
    if len(sides) != 2 or not all(isinstance(s, int) and 16 <= s <= 8192 for s in sides):
        raise DatasetError(
            f"data set 'synthetic': size {size} must be [height, width], each 16 to 8192 pixels"
        )
    return sides[0], sides[1]

"""Weizmann Horses: 328 pictures of horses, horse against background.

Borenstein and Ullman, "Class-Specific, Top-Down Segmentation", ECCV 2002. There is no official
split: `prepare` takes the first 200 of the sorted list for training and the remaining 128 for
validation.
"""

from __future__ import annotations

import os
from typing import List

from mxnetseg.data.datasets.base import DATASETS, Item, palette_array
from mxnetseg.data.datasets.layouts import UnpackedDataset


@DATASETS.register("weizmann_horses")
class WeizmannHorses(UnpackedDataset):
    name = "weizmann_horses"
    title = "Weizmann Horses (2 classes)"
    paper = "Borenstein and Ullman, Class-Specific, Top-Down Segmentation, ECCV 2002"
    url = "https://www.msri.org/people/members/eranb/"
    classes = ("background", "horse")
    palette = palette_array([(0, 0, 0), (255, 255, 255)])
    # Masks are found as 0/1 and as 0/255.
    label_table = {0: 0, 1: 1, 255: 1}
    # No value of the files is ignored; this one only marks padding.
    ignore_index = 255
    splits = ("train", "val")
    root_variants = ("", "WeizHorses", "weizmann_horse_db")
    root_marker = "mask"
    layout = "horse/ and mask/ with files of the same names, and {train,val}.txt of file names"

    def list_items(self, split: str) -> List[Item]:
        items = []
        for words in self.read_list(split + ".txt"):
            name, _ = os.path.splitext(words[0])
            image = os.path.join(self.root, "horse", words[0])
            mask = os.path.join(self.root, "mask", words[0])
            if not os.path.exists(mask):
                mask = os.path.join(self.root, "mask", name + ".png")
            items.append(Item(image, mask, name))
        return items

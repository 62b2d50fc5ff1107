"""Multi-Human Parsing v1: 3000 / 1000 / 980 photographs of people in groups, 18 classes.

Li et al., "Multiple-Human Parsing in the Wild", 2017 (arXiv:1705.07206). Published with one label
file per person; `prepare` merges them, the first person's label standing where people overlap. In
the files 0 is background, ignored. The published training list of 4000 is cut into 3000 for
training and 1000 for validation.
"""

from __future__ import annotations

import os
from typing import List

from mxnetseg.data.datasets.base import DATASETS, Item, palette_array, stem
from mxnetseg.data.datasets.layouts import UnpackedDataset, shifted_table

_CLASSES = (
    ("hat", (165, 42, 42)),
    ("hair", (255, 0, 0)),
    ("sunglasses", (0, 128, 0)),
    ("upper clothes", (165, 42, 42)),
    ("skirt", (255, 69, 0)),
    ("pants", (255, 20, 147)),
    ("dress", (30, 144, 255)),
    ("belt", (85, 107, 47)),
    ("left shoe", (0, 128, 128)),
    ("right shoe", (139, 69, 19)),
    ("face", (70, 130, 180)),
    ("left leg", (50, 205, 50)),
    ("right leg", (0, 0, 205)),
    ("left arm", (0, 191, 255)),
    ("right arm", (0, 255, 255)),
    ("bag", (0, 250, 154)),
    ("scarf", (173, 255, 47)),
    ("torso skin", (255, 255, 0)),
)
_TRAIN_COUNT = 3000


@DATASETS.register("mhpv1")
class MHPv1(UnpackedDataset):
    name = "mhpv1"
    title = "Multi-Human Parsing v1 (18 classes)"
    paper = "Li et al., Multiple-Human Parsing in the Wild, arXiv:1705.07206"
    url = "https://github.com/ZhaoJ9014/Multi-Human-Parsing"
    classes = tuple(name for name, _ in _CLASSES)
    palette = palette_array([colour for _, colour in _CLASSES])
    label_table = shifted_table(len(_CLASSES))
    splits = ("train", "val", "test")
    sizes = {"train": 3000, "val": 1000, "test": 980}
    base = 768
    root_variants = ("", "LV-MHP-v1", "MHP/v1", "v1")
    root_marker = "images"
    layout = "images/*.jpg, labels/*.png (made by prepare from annotations/) and {train,test}_list.txt"

    def list_items(self, split: str) -> List[Item]:
        lines = self.read_list("test_list.txt" if split == "test" else "train_list.txt")
        if split != "test":
            # Smaller copies of the set keep the proportion.
            cut = _TRAIN_COUNT if len(lines) > _TRAIN_COUNT else len(lines) * 3 // 4
            lines = lines[:cut] if split == "train" else lines[cut:]
        return [
            Item(
                os.path.join(self.root, "images", words[0]),
                os.path.join(self.root, "labels", stem(words[0]) + ".png"),
                stem(words[0]),
            )
            for words in lines
        ]

"""CamVid, the 11-class edition at 480 x 360: 367 / 101 / 233 frames of driving videos.

Brostow et al., "Semantic object classes in video", Pattern Recognition Letters 2009; the edition is that of
SegNet (Badrinarayanan et al., TPAMI 2017).
"""

from __future__ import annotations

import os
from typing import List, Optional

from mxnetseg.data.datasets.base import DATASETS, FileDataset, Item, palette_array, stem

# The position is the id in the files and the train id; 11 in the files is unlabelled.
_CLASSES = (
    ("sky", (128, 128, 128)),
    ("building", (128, 0, 0)),
    ("pole", (192, 192, 128)),
    ("road", (128, 64, 128)),
    ("pavement", (0, 0, 192)),
    ("tree", (128, 128, 0)),
    ("sign symbol", (192, 128, 128)),
    ("fence", (64, 64, 128)),
    ("car", (64, 0, 128)),
    ("pedestrian", (64, 64, 0)),
    ("bicyclist", (0, 128, 192)),
)
_UNLABELLED = 11


@DATASETS.register("camvid")
class CamVid(FileDataset):
    """Reads the folders; the `.txt` lists that come along name the same files under foreign prefixes."""

    name = "camvid"
    title = "CamVid (11 classes, 480 x 360)"
    paper = "Brostow et al., Semantic object classes in video, Pattern Recognition Letters 2009"
    url = "http://mi.eng.cam.ac.uk/research/projects/VideoRec/CamVid/"
    classes = tuple(name for name, _ in _CLASSES)
    palette = palette_array([colour for _, colour in _CLASSES])
    ignore_index = 255
    label_table = {**{i: i for i in range(len(_CLASSES))}, _UNLABELLED: 255}
    splits = ("train", "val", "test")
    optional_labels = ("test",)  # some copies carry these frames for predicting only
    # Of frames of 480 x 360; what is larger than trained on takes from the score.
    scales = (0.75, 1.0, 1.25, 1.5)
    crop = 360
    base = 480
    layout = "{train,val,test}/*.png and {train,val,test}annot/ with labels of the same names"

    def __init__(self, root: Optional[str] = None, split: str = "train"):
        super().__init__(root, split)

    def list_items(self, split: str) -> List[Item]:
        labels = os.path.join(self.root, split + "annot")
        if split == "test" and not os.path.isdir(labels):
            return [Item(path, None, stem(path)) for path in self.find_files(split)]
        return [
            Item(path, os.path.join(labels, stem(path) + ".png"), stem(path))
            for path in self.find_files(split)
        ]

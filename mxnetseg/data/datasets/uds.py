"""UDS, unified driving segmentation: Mapillary, Cityscapes, IDD, BDD100K under Cityscapes' classes.

Li et al., "SFNet: Faster and Accurate Semantic Segmentation via Semantic Flow", IJCV 2023: 34968 /
4481 pictures. Its authors score everything resized to 2048 x 1024; here each picture keeps its
size.
"""

from __future__ import annotations

import os
from typing import Optional

from mxnetseg.data.datasets.base import DATASETS, default_root
from mxnetseg.data.datasets.bdd100k import BDD100K
from mxnetseg.data.datasets.cityscapes import CLASSES, LABEL_IDS, PALETTE, Cityscapes
from mxnetseg.data.datasets.concat import ConcatDataset
from mxnetseg.data.datasets.idd import IDD19
from mxnetseg.data.datasets.mapillary import Mapillary19
from mxnetseg.errors import DatasetError

# Folder under the root -> its reader.
PARTS = {"mapillary": Mapillary19, "cityscapes": Cityscapes, "idd": IDD19, "bdd100k": BDD100K}


@DATASETS.register("uds")
class UDS(ConcatDataset):
    name = "uds"
    title = "Unified driving segmentation (Mapillary, Cityscapes, IDD, BDD100K; 19 classes)"
    paper = "Li et al., SFNet: Faster and Accurate Semantic Segmentation via Semantic Flow, IJCV 2023"
    url = "https://github.com/lxtGH/SFSegNets"
    classes = CLASSES
    palette = PALETTE
    train_id_to_label_id = LABEL_IDS
    splits = ("train", "val")
    sizes = {"train": 34968, "val": 4481}
    scales = Cityscapes.scales
    crop = 1024
    base = 2048
    layout = "mapillary/, cityscapes/, idd/ and bdd100k/, each as its own data set expects"

    def __init__(self, root: Optional[str] = None, split: str = "train"):
        root = os.fspath(root) if root is not None else default_root(self.name)
        for part in split.split("+"):
            if part not in self.splits:
                raise DatasetError(f"data set 'uds' has no split {part!r}; it has train, val")
        lacking = [folder for folder in PARTS if not os.path.isdir(os.path.join(root, folder))]
        if lacking:
            raise DatasetError(
                f"{root}: the root of data set 'uds' lacks {', '.join(lacking)}; expected {self.layout} "
                f"(links to where they lie will do)"
            )
        super().__init__([PARTS[f](os.path.join(root, f), split) for f in PARTS])
        for fact in "name title paper url splits scales crop base layout".split():
            setattr(self, fact, getattr(type(self), fact))
        self.root = root
        self.split = split
        self.train_id_to_label_id = LABEL_IDS
        self.submission = None  # nobody's server takes the parts together

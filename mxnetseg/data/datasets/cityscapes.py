"""Cityscapes, fine annotations: 2975 / 500 / 1525 street frames of 2048 x 1024 in 50 cities, 19 classes.

Cordts et al., "The Cityscapes Dataset for Semantic Urban Scene Understanding", CVPR 2016.
"""

from __future__ import annotations

import os
from typing import List, NamedTuple, Optional, Tuple

from mxnetseg.data.datasets.base import DATASETS, FileDataset, Item, Submission, palette_array, stem
from mxnetseg.errors import DatasetError

# (class, label id in the files and on the server, colour); the position is the train id.
_CLASSES = (
    ("road", 7, (128, 64, 128)),
    ("sidewalk", 8, (244, 35, 232)),
    ("building", 11, (70, 70, 70)),
    ("wall", 12, (102, 102, 156)),
    ("fence", 13, (190, 153, 153)),
    ("pole", 17, (153, 153, 153)),
    ("traffic light", 19, (250, 170, 30)),
    ("traffic sign", 20, (220, 220, 0)),
    ("vegetation", 21, (107, 142, 35)),
    ("terrain", 22, (152, 251, 152)),
    ("sky", 23, (70, 130, 180)),
    ("person", 24, (220, 20, 60)),
    ("rider", 25, (255, 0, 0)),
    ("car", 26, (0, 0, 142)),
    ("truck", 27, (0, 0, 70)),
    ("bus", 28, (0, 60, 100)),
    ("train", 31, (0, 80, 100)),
    ("motorcycle", 32, (0, 0, 230)),
    ("bicycle", 33, (119, 11, 32)),
)
CLASSES = tuple(name for name, _, _ in _CLASSES)
LABEL_IDS = tuple(label_id for _, label_id, _ in _CLASSES)
PALETTE = palette_array([colour for _, _, colour in _CLASSES])
IGNORE = 255

# Ids 0..33 are the published table; 255 stands for -1, the licence plate, in 8 bits.
LABEL_TABLE = dict.fromkeys([*range(34), 255], IGNORE)
LABEL_TABLE.update({label_id: train_id for train_id, label_id in enumerate(LABEL_IDS)})
TRAIN_ID_TABLE = {**{i: i for i in range(len(CLASSES))}, IGNORE: IGNORE}

_IMAGE_END = "_leftImg8bit.png"


class Archive(NamedTuple):
    """The kind of annotation as file names have it, and the folders where images and labels may lie."""

    annotation: str
    images: Tuple[str, ...]
    labels: Tuple[str, ...]


@DATASETS.register("cityscapes")
class Cityscapes(FileDataset):
    """Option `label_type`: `labelIds` (as published) or `labelTrainIds` (as cityscapesScripts converts)."""

    name = "cityscapes"
    title = "Cityscapes (fine)"
    paper = "Cordts et al., The Cityscapes Dataset for Semantic Urban Scene Understanding, CVPR 2016"
    url = "https://www.cityscapes-dataset.com"
    classes = CLASSES
    palette = PALETTE
    ignore_index = IGNORE
    splits = ("train", "val", "test")
    unlabelled_splits = ("test",)
    train_id_to_label_id = LABEL_IDS
    submission = Submission()
    scales = (0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.25)
    crop = 768
    base = 2048
    layout = (
        "leftImg8bit/{train,val,test}/<city>/*_leftImg8bit.png and "
        "gtFine/{train,val}/<city>/*_gtFine_labelIds.png"
    )
    # Folders that the official archives unpack into; the first that exists is taken.
    fine = Archive(
        "gtFine",
        ("leftImg8bit", "leftImg8bit_trainvaltest/leftImg8bit", "leftImg8bit_trainvaltest"),
        ("gtFine", "gtFine_trainvaltest/gtFine", "gtFine_trainvaltest"),
    )

    def __init__(self, root: Optional[str] = None, split: str = "train", label_type: str = "labelIds"):
        if label_type not in ("labelIds", "labelTrainIds"):
            raise DatasetError(f"label_type {label_type!r}: expected 'labelIds' or 'labelTrainIds'")
        self.label_type = label_type
        self.label_table = LABEL_TABLE if label_type == "labelIds" else TRAIN_ID_TABLE
        super().__init__(root, split)

    def list_items(self, split: str) -> List[Item]:
        return self.items_of(self.fine, split, split not in self.unlabelled_splits)

    def items_of(self, archive: Archive, part: str, labelled: bool) -> List[Item]:
        """The frames of a part of an archive."""
        images = self._folder(archive.images, part)
        labels = self._folder(archive.labels, part) if labelled else None
        items = []
        for path in self.find_files(images, (_IMAGE_END,)):
            city = os.path.basename(os.path.dirname(path))
            frame = os.path.basename(path)[: -len(_IMAGE_END)]
            label = None
            if labels is not None:
                name = f"{frame}_{archive.annotation}_{self.label_type}.png"
                label = os.path.join(self.root, labels, city, name)
            items.append(Item(path, label, stem(path)))
        return items

    def _folder(self, candidates, split: str) -> str:
        """`candidate/split` under the root, the first there is."""
        for candidate in candidates:
            folder = os.path.join(candidate, split)
            if os.path.isdir(os.path.join(self.root, folder)):
                return folder
        raise self.missing(
            os.path.join(self.root, candidates[0], split), f"{candidates[0]}/{split}/<city>/ there"
        )

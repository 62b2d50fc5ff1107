"""SYNTHIA-RAND-CITYSCAPES: 9400 rendered street scenes of 1280 x 760 under the 19 classes of Cityscapes.

Ros et al., "The SYNTHIA Dataset: A Large Collection of Synthetic Images for Semantic Segmentation of Urban
Scenes", CVPR 2016. Terrain, truck and train never occur, so that scores on Cityscapes are published over
the other 16 classes. There is no official split: here every tenth scene, from the tenth on, is `val`, and
training for another data set takes `train+val`.
"""

from __future__ import annotations

from typing import List

from mxnetseg.data.datasets import cityscapes
from mxnetseg.data.datasets.base import DATASETS, Item
from mxnetseg.data.datasets.layouts import FolderPairsDataset

# The position is the id in the files; the class of Cityscapes, or None where it has none.
_IDS = (
    None,  # void
    "sky",
    "building",
    "road",
    "sidewalk",
    "fence",
    "vegetation",
    "pole",
    "car",
    "traffic sign",
    "person",
    "bicycle",
    "motorcycle",
    None,  # parking
    None,  # road works
    "traffic light",
    "terrain",
    "rider",
    "truck",
    "bus",
    "train",
    "wall",
    None,  # lane marking
)


@DATASETS.register("synthia")
class Synthia(FolderPairsDataset):
    name = "synthia"
    title = "SYNTHIA-RAND-CITYSCAPES (19 classes, 16 of which occur)"
    paper = (
        "Ros et al., The SYNTHIA Dataset: A Large Collection of Synthetic Images for Semantic "
        "Segmentation of Urban Scenes, CVPR 2016"
    )
    url = "https://synthia-dataset.net"
    classes = cityscapes.CLASSES
    palette = cityscapes.PALETTE
    label_table = {
        **{i: 255 if name is None else cityscapes.CLASSES.index(name) for i, name in enumerate(_IDS)},
        255: 255,
    }
    splits = ("train", "val")
    sizes = {"train": 8460, "val": 940}
    crop = 760
    base = 1280
    root_variants = ("", "RAND_CITYSCAPES", "SYNTHIA_RAND_CITYSCAPES", "SYNTHIA")
    root_marker = "RGB"
    image_ends = (".png",)
    folders = dict.fromkeys(splits, (("RGB", "labels"),))
    layout = "RGB/*.png and labels/*.png (made by prepare from the 16-bit GT/LABELS)"

    def list_items(self, split: str) -> List[Item]:
        items = super().list_items(split)
        return [item for i, item in enumerate(items) if (i % 10 == 9) == (split == "val")]

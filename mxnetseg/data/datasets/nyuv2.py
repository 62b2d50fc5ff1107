"""NYU Depth v2: 795 / 654 photographs of rooms, the 40 classes of Gupta et al.

Silberman et al., "Indoor Segmentation and Support Inference from RGBD Images", ECCV 2012; Gupta et
al., "Perceptual Organization and Recognition of Indoor Scenes from RGB-D Images", CVPR 2013. Depth
is not read. The set has no colours of its own: these are ScanNet's for the same classes.
"""

from __future__ import annotations

import os
from typing import List

from mxnetseg.data.datasets.base import DATASETS, Item, palette_array
from mxnetseg.data.datasets.layouts import ListedDataset, shifted_table

_CLASSES = (
    ("wall", (174, 199, 232)),
    ("floor", (152, 223, 138)),
    ("cabinet", (31, 119, 180)),
    ("bed", (255, 187, 120)),
    ("chair", (188, 189, 34)),
    ("sofa", (140, 86, 75)),
    ("table", (255, 152, 150)),
    ("door", (214, 39, 40)),
    ("window", (197, 176, 213)),
    ("bookshelf", (148, 103, 189)),
    ("picture", (196, 156, 148)),
    ("counter", (23, 190, 207)),
    ("blinds", (178, 76, 76)),
    ("desk", (247, 182, 210)),
    ("shelves", (66, 188, 102)),
    ("curtain", (219, 219, 141)),
    ("dresser", (140, 57, 197)),
    ("pillow", (202, 185, 52)),
    ("mirror", (51, 176, 203)),
    ("floor mat", (200, 54, 131)),
    ("clothes", (92, 193, 61)),
    ("ceiling", (78, 71, 183)),
    ("books", (172, 114, 82)),
    ("refridgerator", (255, 127, 14)),
    ("television", (91, 163, 138)),
    ("paper", (153, 98, 156)),
    ("towel", (140, 153, 101)),
    ("shower curtain", (158, 218, 229)),
    ("box", (100, 125, 154)),
    ("whiteboard", (178, 127, 135)),
    ("person", (120, 185, 128)),
    ("night stand", (146, 111, 194)),
    ("toilet", (44, 160, 44)),
    ("sink", (112, 128, 144)),
    ("lamp", (96, 207, 209)),
    ("bathtub", (227, 119, 194)),
    ("bag", (213, 92, 176)),
    ("otherstructure", (94, 106, 211)),
    ("otherfurniture", (82, 84, 163)),
    ("otherprop", (100, 85, 144)),
)
CLASSES = tuple(name for name, _ in _CLASSES)
PALETTE = palette_array([colour for _, colour in _CLASSES])


@DATASETS.register("nyuv2")
class NYUv2(ListedDataset):
    name = "nyuv2"
    title = "NYU Depth v2 (40 classes)"
    paper = "Silberman et al., Indoor Segmentation and Support Inference from RGBD Images, ECCV 2012"
    url = "https://cs.nyu.edu/~silberman/datasets/nyu_depth_v2.html"
    classes = CLASSES
    palette = PALETTE
    label_table = shifted_table(len(CLASSES))
    splits = ("train", "val")
    sizes = {"train": 795, "val": 654}
    root_variants = ("", "NYUv2")
    root_marker = "labels40"
    lists = {"train": "train.txt", "val": "val.txt"}
    image_path = "images/{id}.png"
    label_path = "labels40/{id}.png"
    layout = "images/*.png, labels40/*.png and {train,val}.txt (made by prepare from the .mat files)"

    def list_items(self, split: str) -> List[Item]:
        items = super().list_items(split)
        # Roots converted by other tools hold JPEG.
        if items and not os.path.exists(items[0].image):
            return [item._replace(image=item.image[:-4] + ".jpg") for item in items]
        return items

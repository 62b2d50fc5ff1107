"""COCO 2017 under the 21 classes of Pascal VOC, which is how networks are trained before VOC.

Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014. `prepare` draws the annotated
objects as label files, the first standing where objects overlap, and lists the images with more
than 1000 labelled pixels. Crowd regions count as their class; nothing is ignored.
"""

from __future__ import annotations

from mxnetseg.data.datasets.base import DATASETS
from mxnetseg.data.datasets.layouts import ListedDataset
from mxnetseg.data.datasets.voc import CLASSES, PALETTE

# COCO's category of each class; the first is background.
CATEGORY_IDS = (0, 5, 2, 16, 9, 44, 6, 3, 17, 62, 21, 67, 18, 19, 4, 1, 64, 20, 63, 7, 72)


@DATASETS.register("coco")
class COCO(ListedDataset):
    name = "coco"
    title = "COCO 2017 (20 classes of Pascal VOC and background)"
    paper = "Lin et al., Microsoft COCO: Common Objects in Context, ECCV 2014"
    url = "https://cocodataset.org"
    classes = CLASSES
    palette = PALETTE
    splits = ("train", "val")
    root_variants = ("", "COCO")
    root_marker = "labels21"
    lists = {"train": "labels21/train.txt", "val": "labels21/val.txt"}
    # The ids in the lists are `train2017/000000000009`.
    image_path = "{id}.jpg"
    label_path = "labels21/{id}.png"
    layout = (
        "{train2017,val2017}/*.jpg, labels21/{train2017,val2017}/*.png and labels21/{train,val}.txt "
        "(made by prepare from annotations/instances_*2017.json)"
    )

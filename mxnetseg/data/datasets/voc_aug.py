"""Pascal VOC 2012 with the additional labels of SBD: 10582 / 1449 photographs, 21 classes.

Hariharan et al., "Semantic Contours from Inverse Detectors", ICCV 2011. Training takes every
labelled image of both sets that is not in VOC's val split; where both label an image, VOC's label
counts. `trainval` adds val.
"""

from __future__ import annotations

from mxnetseg.data.datasets.base import DATASETS
from mxnetseg.data.datasets.layouts import PairListedDataset
from mxnetseg.data.datasets.voc import CLASSES, PALETTE


@DATASETS.register("voc_aug")
class VOCAug(PairListedDataset):
    name = "voc_aug"
    title = "Pascal VOC 2012 augmented with SBD (20 classes and background)"
    paper = "Hariharan et al., Semantic Contours from Inverse Detectors, ICCV 2011"
    url = "http://home.bharathh.info/pubs/codes/SBD/download.html"
    classes = CLASSES
    palette = PALETTE
    splits = ("train", "val", "trainval")
    sizes = {"train": 10582, "val": 1449, "trainval": 12031}
    root_variants = ("", "VOCAug", "VOCdevkit/VOCAug")
    root_marker = "train_aug.txt"
    lists = {"train": "train_aug.txt", "val": "val.txt", "trainval": "trainval_aug.txt"}
    image_folder = "img_aug"
    label_folder = "cls_aug"
    layout = "img_aug/*.jpg, cls_aug/*.png, {train_aug,val,trainval_aug}.txt of lines 'image-file label-file'"

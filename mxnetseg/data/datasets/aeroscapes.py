"""Aeroscapes: 2621 / 648 frames of drones flying at 5 to 50 m, 12 classes with background.

Nigam et al., "Ensemble Knowledge Transfer for Semantic Segmentation", WACV 2018. It has no ignored
pixels.
"""

from __future__ import annotations

from mxnetseg.data.datasets.base import DATASETS, palette_array
from mxnetseg.data.datasets.layouts import ListedDataset

_CLASSES = (
    ("background", (0, 0, 0)),
    ("person", (192, 128, 128)),
    ("bike", (0, 128, 0)),
    ("car", (128, 128, 128)),
    ("drone", (128, 0, 0)),
    ("boat", (0, 0, 128)),
    ("animal", (192, 0, 128)),
    ("obstacle", (192, 0, 0)),
    ("construction", (192, 128, 0)),
    ("vegetation", (0, 64, 0)),
    ("road", (128, 128, 0)),
    ("sky", (0, 128, 128)),
)


@DATASETS.register("aeroscapes")
class Aeroscapes(ListedDataset):
    name = "aeroscapes"
    title = "Aeroscapes (12 classes)"
    paper = "Nigam et al., Ensemble Knowledge Transfer for Semantic Segmentation, WACV 2018"
    url = "https://github.com/ishann/aeroscapes"
    classes = tuple(name for name, _ in _CLASSES)
    palette = palette_array([colour for _, colour in _CLASSES])
    splits = ("train", "val")
    sizes = {"train": 2621, "val": 648}
    root_variants = ("", "aeroscapes", "Aeroscapes")
    root_marker = "ImageSets"
    lists = {"train": "ImageSets/trn.txt", "val": "ImageSets/val.txt"}
    image_path = "JPEGImages/{id}.jpg"
    label_path = "SegmentationClass/{id}.png"
    layout = "JPEGImages/*.jpg, SegmentationClass/*.png and ImageSets/{trn,val}.txt"

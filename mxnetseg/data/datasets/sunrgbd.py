"""SUN RGB-D: 5285 / 5050 photographs of rooms, 37 classes. Depth is not read.

Song et al., "SUN RGB-D: A RGB-D Scene Understanding Benchmark Suite", CVPR 2015. The classes are
the first 37 of NYU Depth v2 in the same order; colours as there.
"""

from __future__ import annotations

from mxnetseg.data.datasets.base import DATASETS
from mxnetseg.data.datasets.layouts import PairListedDataset, shifted_table
from mxnetseg.data.datasets.nyuv2 import PALETTE

# The toolbox spells four of them its own way.
_CLASSES = (
    "wall",
    "floor",
    "cabinet",
    "bed",
    "chair",
    "sofa",
    "table",
    "door",
    "window",
    "bookshelf",
    "picture",
    "counter",
    "blinds",
    "desk",
    "shelves",
    "curtain",
    "dresser",
    "pillow",
    "mirror",
    "floor_mat",
    "clothes",
    "ceiling",
    "books",
    "fridge",
    "tv",
    "paper",
    "towel",
    "shower_curtain",
    "box",
    "whiteboard",
    "person",
    "night_stand",
    "toilet",
    "sink",
    "lamp",
    "bathtub",
    "bag",
)


@DATASETS.register("sunrgbd")
class SUNRGBD(PairListedDataset):
    name = "sunrgbd"
    title = "SUN RGB-D (37 classes)"
    paper = "Song et al., SUN RGB-D: A RGB-D Scene Understanding Benchmark Suite, CVPR 2015"
    url = "https://rgbd.cs.princeton.edu"
    classes = _CLASSES
    palette = PALETTE[: len(_CLASSES)]
    label_table = shifted_table(len(_CLASSES))
    splits = ("train", "test")
    sizes = {"train": 5285, "test": 5050}
    root_variants = ("", "SUNRGBD")
    root_marker = "train.txt"
    lists = {"train": "train.txt", "test": "test.txt"}
    layout = "images/, labels/ and {train,test}.txt of lines 'image-file label-file'"

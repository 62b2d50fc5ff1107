"""GATECH, geometric context from videos: frames of outdoor videos, 8 classes.

Raza et al., "Geometric Context from Videos", CVPR 2013. In the files 0 is unlabelled.
"""

from __future__ import annotations

from mxnetseg.data.datasets.base import DATASETS
from mxnetseg.data.datasets.layouts import ListedDataset, bit_palette, shifted_table

_CLASSES = (
    "sky",
    "ground",
    "solid",
    "porous",
    "humans",
    "cars",
    "vertical mix",
    "main mix",
)


@DATASETS.register("gatech")
class GATECH(ListedDataset):
    """Its test list serves as validation too, as is usual."""

    name = "gatech"
    title = "GATECH geometric context (8 classes)"
    paper = "Raza et al., Geometric Context from Videos, CVPR 2013"
    url = "http://www.cc.gatech.edu/cpl/projects/videogeometriccontext"
    classes = _CLASSES
    palette = bit_palette(len(_CLASSES), first=1)
    label_table = shifted_table(len(_CLASSES))
    splits = ("train", "val", "test")
    scales = (0.5, 0.8, 1.0, 1.2, 1.4)
    root_variants = ("", "GATECH")
    root_marker = "images"
    lists = {"train": "train.txt", "val": "test.txt", "test": "test.txt"}
    layout = "images/*.jpg, labels/*.png and {train,test}.txt"

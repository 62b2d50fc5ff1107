"""DRIVE: 20 / 20 fundus pictures of 565 x 584, vessels against background (see `retina`).

Staal et al., "Ridge-Based Vessel Segmentation in Color Images of the Retina", TMI 2004. Later editions of
the archive hold no labels of the test pictures, which are `val` here.
"""

from __future__ import annotations

from mxnetseg.data.datasets.base import DATASETS
from mxnetseg.data.datasets.retina import RetinaDataset


@DATASETS.register("drive")
class DRIVE(RetinaDataset):
    name = "drive"
    title = "DRIVE, retinal vessels (2 classes)"
    paper = "Staal et al., Ridge-Based Vessel Segmentation in Color Images of the Retina, TMI 2004"
    url = "https://drive.grand-challenge.org"
    sizes = {"train": 20, "val": 20}
    crop = 64
    base = 584
    optional_labels = ("val",)
    folders = {**RetinaDataset.folders, "val": (("images/val", "labels/val"), ("images/val", None))}

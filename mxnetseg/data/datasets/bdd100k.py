"""BDD100K semantic segmentation: 7000 / 1000 / 2000 frames of 1280 x 720, 19 classes.

Yu et al., "BDD100K: A Diverse Driving Dataset for Heterogeneous Multitask Learning", CVPR 2020.
Classes are those of Cityscapes and the files hold train ids.
"""

from __future__ import annotations

from mxnetseg.data.datasets.base import DATASETS, Submission
from mxnetseg.data.datasets.cityscapes import CLASSES, PALETTE
from mxnetseg.data.datasets.layouts import FolderPairsDataset


@DATASETS.register("bdd100k")
class BDD100K(FolderPairsDataset):
    """Reads the release of 2018 (`seg/`) and the present one (`images/10k`, `labels/sem_seg/masks`)."""

    name = "bdd100k"
    title = "BDD100K (19 classes)"
    paper = "Yu et al., BDD100K: A Diverse Driving Dataset for Heterogeneous Multitask Learning, CVPR 2020"
    url = "https://www.vis.xyz/bdd100k/"
    classes = CLASSES
    palette = PALETTE
    ignore_index = 255
    # Its server takes train ids.
    submission = Submission()
    splits = ("train", "val", "test")
    unlabelled_splits = ("test",)
    sizes = {"train": 7000, "val": 1000, "test": 2000}
    crop = 720
    base = 1280
    root_variants = ("", "seg", "bdd100k/seg", "BDD/seg", "bdd100k")
    root_marker = "labels"
    folders = {
        part: (
            ("images/10k/" + part, "labels/sem_seg/masks/" + part, ".png"),
            ("images/" + part, "labels/" + part, "_train_id.png"),
        )
        for part in splits
    }
    layout = (
        "images/{train,val,test}/*.jpg and labels/{train,val}/*_train_id.png, "
        "or images/10k/{train,val,test}/ and labels/sem_seg/masks/{train,val}/*.png"
    )

"""KITTI semantics: 200 / 200 street frames of about 1242 x 375, the 19 classes of Cityscapes.

Alhaija et al., "Augmented Reality Meets Computer Vision", IJCV 2018; Geiger et al., CVPR 2012.
Labels have Cityscapes' ids. Only `training` has labels: here every tenth of its frames, from the
ninth on, is `val` (20 frames) and the others `train`; `train+val` is all of them.
"""

from __future__ import annotations

from typing import List

from mxnetseg.data.datasets.base import DATASETS, Item, Submission
from mxnetseg.data.datasets.cityscapes import CLASSES, LABEL_IDS, LABEL_TABLE, PALETTE
from mxnetseg.data.datasets.layouts import FolderPairsDataset


@DATASETS.register("kitti")
class KITTI(FolderPairsDataset):
    name = "kitti"
    title = "KITTI semantics (19 classes)"
    paper = (
        "Alhaija et al., Augmented Reality Meets Computer Vision: Efficient Data Generation for "
        "Urban Driving Scenes, IJCV 2018"
    )
    url = "https://www.cvlibs.net/datasets/kitti/eval_semseg.php"
    classes = CLASSES
    palette = PALETTE
    label_table = LABEL_TABLE
    train_id_to_label_id = LABEL_IDS
    submission = Submission()
    splits = ("train", "val", "test")
    unlabelled_splits = ("test",)
    sizes = {"train": 180, "val": 20, "test": 200}
    crop = 368
    base = 1242
    root_variants = ("", "data_semantics", "KITTI")
    root_marker = "training"
    image_ends = (".png",)
    folders = {
        "train": (("training/image_2", "training/semantic"),),
        "val": (("training/image_2", "training/semantic"),),
        "test": (("testing/image_2", None),),
    }
    layout = "training/{image_2,semantic}/*.png and testing/image_2/*.png"

    def list_items(self, split: str) -> List[Item]:
        items = super().list_items(split)
        if split == "test":
            return items
        return [item for i, item in enumerate(items) if (i % 10 == 9) == (split == "val")]

"""Dark Zurich: 50 labelled frames of 1920 x 1080 at night, 151 without labels, 19 classes of Cityscapes.

Sakaridis et al., "Guided Curriculum Model Adaptation and Uncertainty-Aware Evaluation for Semantic
Nighttime Image Segmentation", ICCV 2019. For evaluation: `train` are 8377 frames by day, at twilight and at
night, none of them labelled.
"""

from __future__ import annotations

from mxnetseg.data.datasets.base import DATASETS
from mxnetseg.data.datasets.cityscapes import CLASSES, PALETTE, TRAIN_ID_TABLE
from mxnetseg.data.datasets.layouts import FolderPairsDataset


@DATASETS.register("dark_zurich")
class DarkZurich(FolderPairsDataset):
    name = "dark_zurich"
    title = "Dark Zurich (19 classes, for evaluation)"
    paper = (
        "Sakaridis et al., Guided Curriculum Model Adaptation and Uncertainty-Aware Evaluation for "
        "Semantic Nighttime Image Segmentation, ICCV 2019"
    )
    url = "https://www.trace.ethz.ch/publications/2019/GCMA_UIoU/"
    classes = CLASSES
    palette = PALETTE
    label_table = TRAIN_ID_TABLE
    splits = ("train", "val", "test")
    unlabelled_splits = ("train", "test")
    sizes = {"train": 8377, "val": 50, "test": 151}
    crop = 768
    base = 1920
    root_variants = ("", "Dark_Zurich_val_anon", "DarkZurich", "dark_zurich")
    root_marker = "rgb_anon"
    image_ends = ("_rgb_anon.png",)
    label_end = "_gt_labelTrainIds.png"
    folders = {
        "train": (("rgb_anon/train", None),),
        "val": (("rgb_anon/val", "gt/val"),),
        "test": (("rgb_anon/test", None),),
    }
    layout = (
        "rgb_anon/{train,val,test}/<time of day>/<drive>/*_rgb_anon.png and "
        "gt/val/night/<drive>/*_gt_labelTrainIds.png"
    )

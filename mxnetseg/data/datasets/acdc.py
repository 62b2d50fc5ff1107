"""ACDC: 1600 / 406 / 2000 street frames of 1920 x 1080 in fog, at night, in rain and in snow, 19 classes.

Sakaridis et al., "ACDC: The Adverse Conditions Dataset with Correspondences for Semantic Driving Scene
Understanding", ICCV 2021. Classes are those of Cityscapes. The frames of the same places in fair weather,
which the archive holds beside them, have no labels and are left out.
"""

from __future__ import annotations

from typing import List, Optional

from mxnetseg.data.datasets.base import DATASETS, Item
from mxnetseg.data.datasets.cityscapes import CLASSES, PALETTE, TRAIN_ID_TABLE
from mxnetseg.data.datasets.layouts import FolderPairsDataset
from mxnetseg.errors import DatasetError

CONDITIONS = ("fog", "night", "rain", "snow")


@DATASETS.register("acdc")
class ACDC(FolderPairsDataset):
    """Option `condition`: one of fog, night, rain and snow; none: all of them."""

    name = "acdc"
    title = "ACDC, adverse conditions (19 classes)"
    paper = (
        "Sakaridis et al., ACDC: The Adverse Conditions Dataset with Correspondences for Semantic "
        "Driving Scene Understanding, ICCV 2021"
    )
    url = "https://acdc.vision.ee.ethz.ch"
    classes = CLASSES
    palette = PALETTE
    label_table = TRAIN_ID_TABLE
    splits = ("train", "val", "test")
    unlabelled_splits = ("test",)
    sizes = {"train": 1600, "val": 406, "test": 2000}
    crop = 768
    base = 1920
    root_variants = ("", "ACDC", "acdc")
    root_marker = "rgb_anon"
    image_ends = ("_rgb_anon.png",)
    label_end = "_gt_labelTrainIds.png"
    layout = (
        "rgb_anon/{fog,night,rain,snow}/{train,val,test}/<drive>/*_rgb_anon.png and "
        "gt/<condition>/{train,val}/<drive>/*_gt_labelTrainIds.png"
    )

    def __init__(self, root: Optional[str] = None, split: str = "train", condition: Optional[str] = None):
        if condition is not None and condition not in CONDITIONS:
            raise DatasetError(f"condition {condition!r}: expected one of {', '.join(CONDITIONS)}, or none")
        self.conditions = CONDITIONS if condition is None else (condition,)
        super().__init__(root, split)

    def list_items(self, split: str) -> List[Item]:
        items = []
        for condition in self.conditions:
            labels = None if split in self.unlabelled_splits else f"gt/{condition}/{split}"
            items += self.pairs(f"rgb_anon/{condition}/{split}", labels)
        return items

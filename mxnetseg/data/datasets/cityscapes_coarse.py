"""Cityscapes, coarse annotations: 19998 further frames with quick polygons; validated on the fine val
frames.

Cordts et al., "The Cityscapes Dataset for Semantic Urban Scene Understanding", CVPR 2016.
"""

from __future__ import annotations

from typing import List, Optional

from mxnetseg.data.datasets.base import DATASETS, Item
from mxnetseg.data.datasets.cityscapes import Archive, Cityscapes


@DATASETS.register("cityscapes_coarse")
class CityscapesCoarse(Cityscapes):
    """Split `train` is `train_extra`; `val` the fine annotations of the fine val frames."""

    name = "cityscapes_coarse"
    title = "Cityscapes (coarse)"
    splits = ("train", "val")
    unlabelled_splits = ()
    sizes = {"train": 19998, "val": 500}
    layout = (
        "leftImg8bit/train_extra/<city>/*_leftImg8bit.png and "
        "gtCoarse/train_extra/<city>/*_gtCoarse_labelIds.png; for val also leftImg8bit/val and gtFine/val"
    )

    coarse = Archive(
        "gtCoarse",
        ("leftImg8bit", "leftImg8bit_trainextra/leftImg8bit", "leftImg8bit_trainextra"),
        ("gtCoarse", "gtCoarse/gtCoarse"),
    )

    def __init__(self, root: Optional[str] = None, split: str = "train", label_type: str = "labelIds"):
        super().__init__(root, split, label_type)

    def list_items(self, split: str) -> List[Item]:
        if split == "val":
            return self.items_of(self.fine, "val", labelled=True)
        return self.items_of(self.coarse, "train_extra", labelled=True)

"""LoveDA: 2522 / 1669 / 1796 aerial pictures of 1024 x 1024 at 0.3 m, town and country, 7 classes.

Wang et al., "LoveDA: A Remote Sensing Land-Cover Dataset for Domain Adaptive Semantic Segmentation", NeurIPS
Datasets and Benchmarks 2021. In the files 0 is no data.
"""

from __future__ import annotations

from typing import List, Optional

from mxnetseg.data.datasets.base import DATASETS, Item, palette_array
from mxnetseg.data.datasets.layouts import FolderPairsDataset, shifted_table
from mxnetseg.errors import DatasetError

_CLASSES = (
    ("background", (255, 255, 255)),
    ("building", (255, 0, 0)),
    ("road", (255, 255, 0)),
    ("water", (0, 0, 255)),
    ("barren", (159, 129, 183)),
    ("forest", (0, 255, 0)),
    ("agriculture", (255, 195, 128)),
)
_DOMAINS = ("Rural", "Urban")


@DATASETS.register("loveda")
class LoveDA(FolderPairsDataset):
    """Option `domain`: rural or urban; none: both."""

    name = "loveda"
    title = "LoveDA land cover (7 classes)"
    paper = (
        "Wang et al., LoveDA: A Remote Sensing Land-Cover Dataset for Domain Adaptive Semantic "
        "Segmentation, NeurIPS Datasets and Benchmarks 2021"
    )
    url = "https://github.com/Junjue-Wang/LoveDA"
    classes = tuple(name for name, _ in _CLASSES)
    palette = palette_array([colour for _, colour in _CLASSES])
    label_table = shifted_table(len(_CLASSES))
    splits = ("train", "val", "test")
    unlabelled_splits = ("test",)
    sizes = {"train": 2522, "val": 1669, "test": 1796}
    crop = 512
    base = 1024
    root_variants = ("", "LoveDA", "loveDA", "2021LoveDA")
    root_marker = "Train"
    image_ends = (".png",)
    layout = (
        "{Train,Val,Test}/{Rural,Urban}/images_png/*.png and masks_png/*.png of the same names beside them"
    )

    def __init__(self, root: Optional[str] = None, split: str = "train", domain: Optional[str] = None):
        names = {name.lower(): name for name in _DOMAINS}
        if domain is not None and domain not in names:
            raise DatasetError(f"domain {domain!r}: expected one of {', '.join(names)}, or none")
        self.domains = _DOMAINS if domain is None else (names[domain],)
        super().__init__(root, split)

    def list_items(self, split: str) -> List[Item]:
        items = []
        for domain in self.domains:
            folder = f"{split.capitalize()}/{domain}"
            labels = None if split in self.unlabelled_splits else f"{folder}/masks_png"
            items += self.pairs(f"{folder}/images_png", labels)
        return items

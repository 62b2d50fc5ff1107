"""Stanford Background: 715 outdoor photographs of about 320 x 240, 8 classes.

Gould et al., "Decomposing a Scene into Geometric and Semantically Consistent Regions", ICCV 2009.
Published as text grids in which a negative number is unknown. There is no official split; `prepare`
makes every fifth image of the sorted list validation (572 / 143, the sizes of the usual five
folds).
"""

from __future__ import annotations

from mxnetseg.data.datasets.base import DATASETS
from mxnetseg.data.datasets.layouts import ListedDataset, bit_palette

_CLASSES = (
    "sky",
    "tree",
    "road",
    "grass",
    "water",
    "building",
    "mountain",
    "foreground object",
)


@DATASETS.register("stanford_background")
class StanfordBackground(ListedDataset):
    name = "stanford_background"
    title = "Stanford Background (8 classes)"
    paper = "Gould et al., Decomposing a Scene into Geometric and Semantically Consistent Regions, ICCV 2009"
    url = "http://dags.stanford.edu/projects/scenedataset.html"
    classes = _CLASSES
    palette = bit_palette(len(_CLASSES), first=1)
    splits = ("train", "val")
    root_variants = ("", "Stanford10", "iccv09Data")
    root_marker = "trainList.txt"
    lists = {"train": "trainList.txt", "val": "evalList.txt"}
    layout = "images/*.jpg, labels/*.png and {train,eval}List.txt (made by prepare from *.regions.txt)"

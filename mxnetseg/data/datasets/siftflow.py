"""SIFT Flow: 2488 / 200 outdoor scenes of 256 x 256, 33 classes.

Liu et al., "Nonparametric Scene Parsing: Label Transfer via Dense Scene Alignment", CVPR 2009.
Published as MATLAB files in which 0 is unlabelled. Cow, desert and moon do not occur in the test
images.
"""

from __future__ import annotations

from mxnetseg.data.datasets.base import DATASETS
from mxnetseg.data.datasets.layouts import ListedDataset, bit_palette, shifted_table

_CLASSES = (
    "awning",
    "balcony",
    "bird",
    "boat",
    "bridge",
    "building",
    "bus",
    "car",
    "cow",
    "crosswalk",
    "desert",
    "door",
    "fence",
    "field",
    "grass",
    "moon",
    "mountain",
    "person",
    "plant",
    "pole",
    "river",
    "road",
    "rock",
    "sand",
    "sea",
    "sidewalk",
    "sign",
    "sky",
    "staircase",
    "streetlight",
    "sun",
    "tree",
    "window",
)


@DATASETS.register("siftflow")
class SiftFlow(ListedDataset):
    name = "siftflow"
    title = "SIFT Flow (33 classes)"
    paper = "Liu et al., Nonparametric Scene Parsing: Label Transfer via Dense Scene Alignment, CVPR 2009"
    url = "https://people.csail.mit.edu/celiu/SIFTflow/"
    classes = _CLASSES
    palette = bit_palette(len(_CLASSES), first=1)
    label_table = shifted_table(len(_CLASSES))
    splits = ("train", "val")
    sizes = {"train": 2488, "val": 200}
    root_variants = ("", "SiftFlow", "SiftFlowDataset")
    root_marker = "labels"
    lists = {"train": "train.txt", "val": "val.txt"}
    layout = "images/*.jpg, labels/*.png and {train,val}.txt (made by prepare from SemanticLabels/)"

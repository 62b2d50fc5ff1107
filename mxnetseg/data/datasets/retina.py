"""What four small data sets of the eye's fundus share: blood vessels against background.

Divided as mmsegmentation divides them; labels are those of the first observer, above half of white. A
network of two classes and one of a single logit (`model.nclass: 1`) train on them alike.
"""

from __future__ import annotations

from mxnetseg.data.datasets.base import palette_array
from mxnetseg.data.datasets.layouts import FolderPairsDataset


class RetinaDataset(FolderPairsDataset):
    classes = ("background", "vessel")
    palette = palette_array([(120, 120, 120), (6, 230, 230)])
    # No value of the files is ignored; this one only marks padding.
    ignore_index = 255
    splits = ("train", "val")
    root_marker = "images"
    image_ends = (".tif", ".png", ".jpg", ".ppm")
    folders = {
        "train": (("images/train", "labels/train"),),
        "val": (("images/val", "labels/val"),),
    }
    layout = (
        "images/{train,val}/* and labels/{train,val}/*.png of 0 and 1 with the same names (made by prepare)"
    )

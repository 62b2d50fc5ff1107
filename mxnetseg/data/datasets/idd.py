"""IDD, the India Driving Dataset (20k part I): 6993 / 981 / 2029 frames of Indian roads.

Varma et al., "IDD: A Dataset for Exploring Problems of Autonomous Navigation in Unconstrained
Environments", WACV 2019. `idd` has the 26 classes of the benchmark (its level 3), `idd19` those of
Cityscapes, as SFSegNets trains. Published as polygons; `prepare` draws them as label files of the
ids below.
"""

from __future__ import annotations

import os

from mxnetseg.data.datasets import cityscapes
from mxnetseg.data.datasets.base import DATASETS, palette_array
from mxnetseg.data.datasets.layouts import FolderPairsDataset

# (label, colour, level 3 class or None, train id among Cityscapes' 19 or None); the position is the id.
LABELS = (
    ("road", (128, 64, 128), 0, 0),
    ("parking", (250, 170, 160), 1, None),
    ("drivable fallback", (81, 0, 81), 1, None),
    ("sidewalk", (244, 35, 232), 2, 1),
    ("rail track", (230, 150, 140), 3, None),
    ("non-drivable fallback", (152, 251, 152), 3, 9),
    ("person", (220, 20, 60), 4, 11),
    ("animal", (246, 198, 145), 4, None),
    ("rider", (255, 0, 0), 5, 12),
    ("motorcycle", (0, 0, 230), 6, 17),
    ("bicycle", (119, 11, 32), 7, 18),
    ("autorickshaw", (255, 204, 54), 8, None),
    ("car", (0, 0, 142), 9, 13),
    ("truck", (0, 0, 70), 10, 14),
    ("bus", (0, 60, 100), 11, 15),
    ("caravan", (0, 0, 90), 12, None),
    ("trailer", (0, 0, 110), 12, None),
    ("train", (0, 80, 100), 12, 16),
    ("vehicle fallback", (136, 143, 153), 12, None),
    ("curb", (220, 190, 40), 13, None),
    ("wall", (102, 102, 156), 14, 3),
    ("fence", (190, 153, 153), 15, 4),
    ("guard rail", (180, 165, 180), 16, None),
    ("billboard", (174, 64, 67), 17, None),
    ("traffic sign", (220, 220, 0), 18, 7),
    ("traffic light", (250, 170, 30), 19, 6),
    ("pole", (153, 153, 153), 20, 5),
    ("polegroup", (153, 153, 153), 20, None),
    ("obs-str-bar-fallback", (169, 187, 214), 21, None),
    ("building", (70, 70, 70), 22, 2),
    ("bridge", (150, 100, 100), 23, None),
    ("tunnel", (150, 120, 90), 23, None),
    ("vegetation", (107, 142, 35), 24, 8),
    ("sky", (70, 130, 180), 25, 10),
    ("fallback background", (169, 187, 214), 25, None),
    ("unlabeled", (0, 0, 0), None, None),
    ("ego vehicle", (0, 0, 0), None, None),
    ("rectification border", (0, 0, 0), None, None),
    ("out of roi", (0, 0, 0), None, None),
    ("license plate", (0, 0, 142), None, None),
)
_LEVEL3 = (
    "road",
    "parking or drivable fallback",
    "sidewalk",
    "rail track or non-drivable fallback",
    "person or animal",
    "rider",
    "motorcycle",
    "bicycle",
    "autorickshaw",
    "car",
    "truck",
    "bus",
    "caravan, trailer, train or vehicle fallback",
    "curb",
    "wall",
    "fence",
    "guard rail",
    "billboard",
    "traffic sign",
    "traffic light",
    "pole or polegroup",
    "obstacle fallback",
    "building",
    "bridge or tunnel",
    "vegetation",
    "sky or fallback background",
)


class _IDD(FolderPairsDataset):
    paper = (
        "Varma et al., IDD: A Dataset for Exploring Problems of Autonomous Navigation in "
        "Unconstrained Environments, WACV 2019"
    )
    url = "https://idd.insaan.iiit.ac.in"
    ignore_index = 255
    splits = ("train", "val", "test")
    unlabelled_splits = ("test",)
    sizes = {"train": 6993, "val": 981, "test": 2029}
    crop = 720
    base = 1920
    root_variants = ("", "IDD_Segmentation", "idd20k", "IDD")
    root_marker = "leftImg8bit"
    # Part II comes as JPEG.
    image_ends = ("_leftImg8bit.png", "_leftImg8bit.jpg")
    label_end = "_gtFine_labelids.png"
    folders = {part: ((f"leftImg8bit/{part}", f"gtFine/{part}"),) for part in splits}
    layout = (
        "leftImg8bit/{train,val,test}/<drive>/*_leftImg8bit.png and "
        "gtFine/{train,val}/<drive>/*_gtFine_labelids.png (made by prepare from *_polygons.json)"
    )

    def item_name(self, path: str) -> str:
        """Frame numbers repeat from drive to drive."""
        return f"{os.path.basename(os.path.dirname(path))}_{super().item_name(path)}"


def _table(column: int) -> dict:
    table = {i: 255 if row[column] is None else row[column] for i, row in enumerate(LABELS)}
    return {**table, 255: 255}


def _level3_palette() -> list:
    """The colour of the first label of each class."""
    return [next(row[1] for row in LABELS if row[2] == k) for k in range(len(_LEVEL3))]


@DATASETS.register("idd")
class IDD(_IDD):
    name = "idd"
    title = "IDD (26 classes)"
    classes = _LEVEL3
    palette = palette_array(_level3_palette())
    label_table = _table(2)


@DATASETS.register("idd19")
class IDD19(_IDD):
    name = "idd19"
    title = "IDD under the 19 classes of Cityscapes"
    classes = cityscapes.CLASSES
    palette = cityscapes.PALETTE
    label_table = _table(3)

"""CamVid as published: 701 frames of 960 x 720 with 32 colours, grouped into the 11 classes of SegNet.

Brostow et al., "Semantic object classes in video", Pattern Recognition Letters 2009; grouping and
splits (367 / 101 / 233) of Badrinarayanan et al., "SegNet", TPAMI 2017.
"""

from __future__ import annotations

import os
from typing import List

import numpy as np

from mxnetseg.data.datasets.base import DATASETS, Item, stem
from mxnetseg.data.datasets.camvid import CamVid
from mxnetseg.data.datasets.layouts import UnpackedDataset
from mxnetseg.errors import DatasetError

# (published class, colour, train id of the group or None for unlabelled)
_COLOURS = (
    ("Animal", (64, 128, 64), 9),
    ("Archway", (192, 0, 128), 1),
    ("Bicyclist", (0, 128, 192), 10),
    ("Bridge", (0, 128, 64), 1),
    ("Building", (128, 0, 0), 1),
    ("Car", (64, 0, 128), 8),
    ("CartLuggagePram", (64, 0, 192), 9),
    ("Child", (192, 128, 64), 9),
    ("Column_Pole", (192, 192, 128), 2),
    ("Fence", (64, 64, 128), 7),
    ("LaneMkgsDriv", (128, 0, 192), 3),
    ("LaneMkgsNonDriv", (192, 0, 64), 3),
    ("Misc_Text", (128, 128, 64), 6),
    ("MotorcycleScooter", (192, 0, 192), 10),
    ("OtherMoving", (128, 64, 64), 8),
    ("ParkingBlock", (64, 192, 128), 4),
    ("Pedestrian", (64, 64, 0), 9),
    ("Road", (128, 64, 128), 3),
    ("RoadShoulder", (128, 128, 192), 4),
    ("SUVPickupTruck", (64, 128, 192), 8),
    ("Sidewalk", (0, 0, 192), 4),
    ("SignSymbol", (192, 128, 128), 6),
    ("Sky", (128, 128, 128), 0),
    ("TrafficCone", (0, 0, 64), 2),
    ("TrafficLight", (0, 64, 64), 6),
    ("Train", (192, 64, 128), 8),
    ("Tree", (128, 128, 0), 5),
    ("Truck_Bus", (192, 128, 192), 8),
    ("Tunnel", (64, 0, 64), 1),
    ("VegetationMisc", (192, 192, 0), 5),
    ("Void", (0, 0, 0), None),
    ("Wall", (64, 192, 0), 1),
)


@DATASETS.register("camvid32")
class CamVid32(UnpackedDataset):
    name = "camvid32"
    title = "CamVid (960 x 720, 32 colours grouped into 11 classes)"
    paper = CamVid.paper
    url = CamVid.url
    classes = CamVid.classes
    palette = CamVid.palette
    ignore_index = 255
    splits = ("train", "val", "test")
    sizes = {"train": 367, "val": 101, "test": 233}
    scales = (0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.25)
    crop = 720
    base = 960
    root_marker = "701_StillsRaw_full"
    root_variants = ("", "CamVid")
    layout = "701_StillsRaw_full/*.png and LabeledApproved_full/*_L.png"

    def list_items(self, split: str) -> List[Item]:
        items = []
        for path in self.find_files("701_StillsRaw_full", (".png",)):
            if _split_of(path) == split:
                label = os.path.join(self.root, "LabeledApproved_full", stem(path) + "_L.png")
                items.append(Item(path, label, stem(path)))
        return items

    def decode_label(self, raw: np.ndarray, path: str) -> np.ndarray:
        """uint8 (H, W, 3) colours -> int32 (H, W). The publication's colours use two bits per channel."""
        if raw.ndim == 2:
            raw = np.repeat(raw[:, :, None], 3, axis=2)
        if raw.dtype != np.uint8 or (raw & 63).any():
            colours = np.unique(raw[(raw & 63).any(axis=-1)].reshape(-1, 3), axis=0)
            raise self._unknown_colours(colours, path)
        code = raw[:, :, 0] >> 6 | raw[:, :, 1] >> 4 | raw[:, :, 2] >> 2
        label = _CODE_TABLE[code]
        if label.min() < 0:
            raise self._unknown_colours(np.unique(raw[label < 0], axis=0), path)
        return label

    def _unknown_colours(self, colours: np.ndarray, path: str) -> DatasetError:
        listed = ", ".join(str(tuple(int(v) for v in colour)) for colour in colours[:4])
        more = f" and {len(colours) - 4} more" if len(colours) > 4 else ""
        return DatasetError(
            f"{path}: label holds colours that CamVid does not know: {listed}{more}; expected the 32 of "
            f"label_colors.txt: unpack LabeledApproved_full.zip again (labels saved as JPEG or resized "
            f"smoothly cannot be used)"
        )


def _code_table() -> np.ndarray:
    table = np.full(64, -1, np.int32)
    for _, (red, green, blue), train_id in _COLOURS:
        table[red >> 6 | green >> 4 | blue >> 2] = 255 if train_id is None else train_id
    return table


_CODE_TABLE = _code_table()


def _split_of(path: str) -> str:
    """SegNet's lists in words: the frames are named `<sequence>_<frame>`."""
    sequence, _, frame = stem(path).partition("_")
    number = int("".join(c for c in frame if c.isdigit()) or 0)
    if sequence == "Seq05VD" or (sequence == "0001TP" and number > 8520):
        return "test"
    if sequence == "0016E5" and 7959 <= number <= 8159:
        return "val"
    return "train"

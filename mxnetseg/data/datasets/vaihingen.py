"""ISPRS Vaihingen: 16 / 17 aerial pictures at 9 cm, infrared, red and green, 6 classes (see `isprs`).

The division is that of the benchmark. Scores of mmsegmentation are over tiles of 512 x 512 without overlap.
"""

from __future__ import annotations

from mxnetseg.data.datasets.base import DATASETS
from mxnetseg.data.datasets.isprs import ISPRS

TRAIN = [f"area{n}" for n in (1, 3, 5, 7, 11, 13, 15, 17, 21, 23, 26, 28, 30, 32, 34, 37)]
VAL = [f"area{n}" for n in (2, 4, 6, 8, 10, 12, 14, 16, 20, 22, 24, 27, 29, 31, 33, 35, 38)]


@DATASETS.register("vaihingen")
class Vaihingen(ISPRS):
    name = "vaihingen"
    title = "ISPRS Vaihingen (6 classes)"
    url = "https://www.isprs.org/education/benchmarks/UrbanSemLab/2d-sem-label-vaihingen.aspx"
    sizes = {"train": 344, "val": 398, "train_scenes": 16, "val_scenes": 17}

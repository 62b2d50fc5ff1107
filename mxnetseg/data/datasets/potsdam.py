"""ISPRS Potsdam: 24 / 14 aerial pictures of 6000 x 6000 at 5 cm in RGB, 6 classes (see `isprs`).

The division is that of the benchmark. Scores of mmsegmentation are over tiles of 512 x 512 without overlap.
"""

from __future__ import annotations

from mxnetseg.data.datasets.base import DATASETS
from mxnetseg.data.datasets.isprs import ISPRS

TRAIN = (
    "2_10 2_11 2_12 3_10 3_11 3_12 4_10 4_11 4_12 5_10 5_11 5_12 "
    "6_7 6_8 6_9 6_10 6_11 6_12 7_7 7_8 7_9 7_10 7_11 7_12"
).split()
VAL = "2_13 2_14 3_13 3_14 4_13 4_14 4_15 5_13 5_14 5_15 6_13 6_14 6_15 7_13".split()


@DATASETS.register("potsdam")
class Potsdam(ISPRS):
    name = "potsdam"
    title = "ISPRS Potsdam (6 classes)"
    url = "https://www.isprs.org/education/benchmarks/UrbanSemLab/2d-sem-label-potsdam.aspx"
    sizes = {"train": 3456, "val": 2016, "train_scenes": 24, "val_scenes": 14}

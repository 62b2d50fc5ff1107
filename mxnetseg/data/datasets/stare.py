"""STARE: 10 / 10 fundus pictures of 700 x 605, vessels against background (see `retina`).

Hoover et al., "Locating Blood Vessels in Retinal Images by Piecewise Threshold Probing of a Matched Filter
Response", TMI 2000. Labels are those of A. Hoover; the first half of the pictures is `train`.
"""

from __future__ import annotations

from mxnetseg.data.datasets.base import DATASETS
from mxnetseg.data.datasets.retina import RetinaDataset


@DATASETS.register("stare")
class STARE(RetinaDataset):
    name = "stare"
    title = "STARE, retinal vessels (2 classes)"
    paper = (
        "Hoover et al., Locating Blood Vessels in Retinal Images by Piecewise Threshold Probing of a Matched "
        "Filter Response, TMI 2000"
    )
    url = "https://cecas.clemson.edu/~ahoover/stare/"
    sizes = {"train": 10, "val": 10}
    crop = 128
    base = 700

"""CHASE_DB1: 20 / 8 fundus pictures of 999 x 960 of children, vessels against background (see `retina`).

Fraz et al., "An Ensemble Classification-Based Approach Applied to Retinal Blood Vessel Segmentation", TBME
2012.
"""

from __future__ import annotations

from mxnetseg.data.datasets.base import DATASETS
from mxnetseg.data.datasets.retina import RetinaDataset


@DATASETS.register("chase_db1")
class CHASEDB1(RetinaDataset):
    name = "chase_db1"
    title = "CHASE_DB1, retinal vessels (2 classes)"
    paper = (
        "Fraz et al., An Ensemble Classification-Based Approach Applied to Retinal Blood Vessel "
        "Segmentation, TBME 2012"
    )
    url = "https://blogs.kingston.ac.uk/retinal/chasedb1/"
    sizes = {"train": 20, "val": 8}
    crop = 128
    base = 999

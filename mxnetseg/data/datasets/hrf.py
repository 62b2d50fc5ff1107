"""HRF: 15 / 30 fundus pictures of 3504 x 2336, vessels against background (see `retina`).

Budai et al., "Robust Vessel Segmentation in Fundus Images", International Journal of Biomedical Imaging
2013. Of each 15 healthy eyes, eyes with glaucoma and with diabetic retinopathy, the first five are `train`.
"""

from __future__ import annotations

from mxnetseg.data.datasets.base import DATASETS
from mxnetseg.data.datasets.retina import RetinaDataset


@DATASETS.register("hrf")
class HRF(RetinaDataset):
    name = "hrf"
    title = "HRF, retinal vessels (2 classes)"
    paper = "Budai et al., Robust Vessel Segmentation in Fundus Images, IJBI 2013"
    url = "https://www5.cs.fau.de/research/data/fundus-images/"
    sizes = {"train": 15, "val": 30}
    crop = 256
    base = 3504

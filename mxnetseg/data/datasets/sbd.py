"""SBD, the Semantic Boundaries Dataset: 8498 / 2857 photographs of VOC 2011, 21 classes.

Hariharan et al., "Semantic Contours from Inverse Detectors", ICCV 2011. It has no ignored pixels.
Published as MATLAB files; `prepare` writes them as PNG.
"""

from __future__ import annotations

from mxnetseg.data.datasets.base import DATASETS
from mxnetseg.data.datasets.layouts import ListedDataset
from mxnetseg.data.datasets.voc import CLASSES, PALETTE


@DATASETS.register("sbd")
class SBD(ListedDataset):
    name = "sbd"
    title = "SBD (20 classes and background)"
    paper = "Hariharan et al., Semantic Contours from Inverse Detectors, ICCV 2011"
    url = "http://home.bharathh.info/pubs/codes/SBD/download.html"
    classes = CLASSES
    palette = PALETTE
    splits = ("train", "val")
    sizes = {"train": 8498, "val": 2857}
    root_variants = ("", "dataset", "benchmark_RELEASE/dataset", "SBD", "VOCdevkit/SBD")
    root_marker = "img"
    lists = {"train": "train.txt", "val": "val.txt"}
    image_path = "img/{id}.jpg"
    label_path = "cls_png/{id}.png"
    layout = "img/*.jpg, cls_png/*.png (made by prepare from cls/*.mat) and {train,val}.txt"

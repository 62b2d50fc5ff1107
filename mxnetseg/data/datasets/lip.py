"""LIP, Look into Person: 30462 / 10000 / 10000 pictures of single people, 20 classes.

Gong et al., "Look into Person: Self-supervised Structure-sensitive Learning and a New Benchmark for Human
Parsing", CVPR 2017. Left and right are classes of their own: a mirrored picture would need its labels
exchanged.
"""

from __future__ import annotations

from mxnetseg.data.datasets.base import DATASETS, palette_array
from mxnetseg.data.datasets.layouts import FolderPairsDataset

# The position is the id in the files.
_CLASSES = (
    ("background", (0, 0, 0)),
    ("hat", (128, 0, 0)),
    ("hair", (255, 0, 0)),
    ("glove", (0, 85, 0)),
    ("sunglasses", (170, 0, 51)),
    ("upper clothes", (255, 85, 0)),
    ("dress", (0, 0, 85)),
    ("coat", (0, 119, 221)),
    ("socks", (85, 85, 0)),
    ("pants", (0, 85, 85)),
    ("jumpsuits", (85, 51, 0)),
    ("scarf", (52, 86, 128)),
    ("skirt", (0, 128, 0)),
    ("face", (0, 0, 255)),
    ("left arm", (51, 170, 221)),
    ("right arm", (0, 255, 255)),
    ("left leg", (85, 255, 170)),
    ("right leg", (170, 255, 85)),
    ("left shoe", (255, 255, 0)),
    ("right shoe", (255, 170, 0)),
)


@DATASETS.register("lip")
class LIP(FolderPairsDataset):
    name = "lip"
    title = "LIP, Look into Person (20 classes)"
    paper = (
        "Gong et al., Look into Person: Self-supervised Structure-sensitive Learning and a New Benchmark "
        "for Human Parsing, CVPR 2017"
    )
    url = "http://sysu-hcp.net/lip/"
    classes = tuple(name for name, _ in _CLASSES)
    palette = palette_array([colour for _, colour in _CLASSES])
    splits = ("train", "val", "test")
    unlabelled_splits = ("test",)
    sizes = {"train": 30462, "val": 10000, "test": 10000}
    crop = 473
    base = 473
    root_variants = ("", "LIP", "lip")
    root_marker = "train_images"
    folders = {
        "train": (("train_images", "train_segmentations"),),
        "val": (("val_images", "val_segmentations"),),
        "test": (("testing_images", None),),
    }
    layout = "{train,val}_images/*.jpg, {train,val}_segmentations/*.png and testing_images/*.jpg"

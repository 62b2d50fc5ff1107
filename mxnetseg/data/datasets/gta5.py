"""GTA5: 24966 frames of 1914 x 1052 from a computer game, labelled with the ids of Cityscapes.

Richter et al., "Playing for Data: Ground Truth from Computer Games", ECCV 2016. The publication divides
them into 12403 / 6382 / 6181 (`split.mat`); training for another data set usually takes `train+val+test`.
Some labels are smaller than their frames: `prepare` leaves these out of the lists.
"""

from __future__ import annotations

from mxnetseg.data.datasets.base import DATASETS
from mxnetseg.data.datasets.cityscapes import CLASSES, LABEL_TABLE, PALETTE
from mxnetseg.data.datasets.layouts import ListedDataset


@DATASETS.register("gta5")
class GTA5(ListedDataset):
    name = "gta5"
    title = "GTA5, Playing for Data (19 classes)"
    paper = "Richter et al., Playing for Data: Ground Truth from Computer Games, ECCV 2016"
    url = "https://download.visinf.tu-darmstadt.de/data/from_games/"
    classes = CLASSES
    palette = PALETTE
    # 34 is the licence plate.
    label_table = {**LABEL_TABLE, 34: 255}
    splits = ("train", "val", "test")
    crop = 768
    base = 1914
    root_variants = ("", "GTA5", "gta5", "gta")
    root_marker = "images"
    lists = {split: f"{split}.txt" for split in splits}
    image_path = "images/{id}.png"
    label_path = "labels/{id}.png"
    layout = "images/*.png, labels/*.png and {train,val,test}.txt (made by prepare from split.mat)"

"""COCO-Stuff: COCO's photographs with every pixel labelled, 80 things and 91 stuff classes.

Caesar et al., "COCO-Stuff: Thing and Stuff Classes in Context", CVPR 2018. `cocostuff` is the full
edition (118287 / 5000, stuffthingmaps: id - 1, 255 unlabelled), `cocostuff10k` the edition of 9000
/ 1000 (MATLAB files of ids, 0 unlabelled). Of the 182 ids eleven were removed from COCO and never
occur: 171 classes remain. The publication's colours belong to its tools' hierarchy plots; these are
VOC's map.
"""

from __future__ import annotations

from mxnetseg.data.datasets.base import DATASETS
from mxnetseg.data.datasets.layouts import FolderPairsDataset, ListedDataset, bit_palette

# In the order of their ids.
_NAMES = """
    person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire
    hydrant, stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear,
    zebra, giraffe, backpack, umbrella, handbag, tie, suitcase, frisbee, skis, snowboard, sports
    ball, kite, baseball bat, baseball glove, skateboard, surfboard, tennis racket, bottle, wine
    glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange, broccoli, carrot, hot
    dog, pizza, donut, cake, chair, couch, potted plant, bed, dining table, toilet, tv, laptop,
    mouse, remote, keyboard, cell phone, microwave, oven, toaster, sink, refrigerator, book,
    clock, vase, scissors, teddy bear, hair drier, toothbrush, banner, blanket, branch, bridge,
    building-other, bush, cabinet, cage, cardboard, carpet, ceiling-other, ceiling-tile, cloth,
    clothes, clouds, counter, cupboard, curtain, desk-stuff, dirt, door-stuff, fence,
    floor-marble, floor-other, floor-stone, floor-tile, floor-wood, flower, fog, food-other,
    fruit, furniture-other, grass, gravel, ground-other, hill, house, leaves, light, mat, metal,
    mirror-stuff, moss, mountain, mud, napkin, net, paper, pavement, pillow, plant-other,
    plastic, platform, playingfield, railing, railroad, river, road, rock, roof, rug, salad,
    sand, sea, shelf, sky-other, skyscraper, snow, solid-other, stairs, stone, straw,
    structural-other, table, tent, textile-other, towel, tree, vegetable, wall-brick,
    wall-concrete, wall-other, wall-panel, wall-stone, wall-tile, wall-wood, water-other,
    waterdrops, window-blind, window-other, wood
"""
CLASSES = tuple(" ".join(_NAMES.split()).split(", "))
# Ids of street sign, hat, shoe, eye glasses, plate, mirror, window, desk, door, blender, hair brush.
_REMOVED = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83, 91)
IDS = tuple(number for number in range(1, 183) if number not in _REMOVED)
PALETTE = bit_palette(len(CLASSES), first=1)


class _COCOStuff:
    paper = "Caesar et al., COCO-Stuff: Thing and Stuff Classes in Context, CVPR 2018"
    url = "https://github.com/nightrome/cocostuff"
    classes = CLASSES
    palette = PALETTE
    ignore_index = 255


@DATASETS.register("cocostuff")
class COCOStuff(_COCOStuff, FolderPairsDataset):
    name = "cocostuff"
    title = "COCO-Stuff 164k (171 classes)"
    label_table = {**{number - 1: i for i, number in enumerate(IDS)}, 255: 255}
    splits = ("train", "val")
    sizes = {"train": 118287, "val": 5000}
    root_variants = ("", "COCOStuff", "coco")
    root_marker = "annotations"
    folders = {
        "train": (("images/train2017", "annotations/train2017"),),
        "val": (("images/val2017", "annotations/val2017"),),
    }
    layout = "images/{train2017,val2017}/*.jpg and annotations/{train2017,val2017}/*.png"


@DATASETS.register("cocostuff10k")
class COCOStuff10k(_COCOStuff, ListedDataset):
    name = "cocostuff10k"
    title = "COCO-Stuff 10k (171 classes)"
    label_table = {0: 255, **{number: i for i, number in enumerate(IDS)}}
    splits = ("train", "val")
    sizes = {"train": 9000, "val": 1000}
    root_variants = ("", "COCOStuff", "cocostuff-10k-v1.1")
    root_marker = "imageLists"
    lists = {"train": "imageLists/train.txt", "val": "imageLists/test.txt"}
    layout = (
        "images/*.jpg, labels/*.png (prepare makes them from annotations/) and imageLists/{train,test}.txt"
    )

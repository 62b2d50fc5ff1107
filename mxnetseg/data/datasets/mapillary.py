"""Mapillary Vistas v1.2: 18000 / 2000 / 5000 street pictures from all over the world, 65 classes.

Neuhold et al., "The Mapillary Vistas Dataset for Semantic Understanding of Street Scenes", ICCV
2017. In the files 65 is unlabelled. `mapillary19` reads the same files under the 19 classes of
Cityscapes, as SFSegNets does.
"""

from __future__ import annotations

from mxnetseg.data.datasets import cityscapes
from mxnetseg.data.datasets.base import DATASETS, Submission, palette_array
from mxnetseg.data.datasets.layouts import FolderPairsDataset

# (class, colour, train id among Cityscapes' 19 or None); the position is the id in the files.
_CLASSES = (
    ("Bird", (165, 42, 42), None),
    ("Ground Animal", (0, 192, 0), None),
    ("Curb", (196, 196, 196), 1),
    ("Fence", (190, 153, 153), 4),
    ("Guard Rail", (180, 165, 180), None),
    ("Barrier", (90, 120, 150), None),
    ("Wall", (102, 102, 156), 3),
    ("Bike Lane", (128, 64, 255), None),
    ("Crosswalk - Plain", (140, 140, 200), None),
    ("Curb Cut", (170, 170, 170), None),
    ("Parking", (250, 170, 160), None),
    ("Pedestrian Area", (96, 96, 96), None),
    ("Rail Track", (230, 150, 140), None),
    ("Road", (128, 64, 128), 0),
    ("Service Lane", (110, 110, 110), None),
    ("Sidewalk", (244, 35, 232), 1),
    ("Bridge", (150, 100, 100), None),
    ("Building", (70, 70, 70), 2),
    ("Tunnel", (150, 120, 90), None),
    ("Person", (220, 20, 60), 11),
    ("Bicyclist", (255, 0, 0), 12),
    ("Motorcyclist", (255, 0, 100), 12),
    ("Other Rider", (255, 0, 200), 12),
    ("Lane Marking - Crosswalk", (200, 128, 128), None),
    ("Lane Marking - General", (255, 255, 255), 0),
    ("Mountain", (64, 170, 64), None),
    ("Sand", (230, 160, 50), None),
    ("Sky", (70, 130, 180), 10),
    ("Snow", (190, 255, 255), None),
    ("Terrain", (152, 251, 152), 9),
    ("Vegetation", (107, 142, 35), 8),
    ("Water", (0, 170, 30), None),
    ("Banner", (255, 255, 128), None),
    ("Bench", (250, 0, 30), None),
    ("Bike Rack", (100, 140, 180), None),
    ("Billboard", (220, 220, 220), None),
    ("Catch Basin", (220, 128, 128), None),
    ("CCTV Camera", (222, 40, 40), None),
    ("Fire Hydrant", (100, 170, 30), None),
    ("Junction Box", (40, 40, 40), None),
    ("Mailbox", (33, 33, 33), None),
    ("Manhole", (100, 128, 160), 0),
    ("Phone Booth", (142, 0, 0), None),
    ("Pothole", (70, 100, 150), None),
    ("Street Light", (210, 170, 100), None),
    ("Pole", (153, 153, 153), 5),
    ("Traffic Sign Frame", (128, 128, 128), None),
    ("Utility Pole", (0, 0, 80), 5),
    ("Traffic Light", (250, 170, 30), 6),
    ("Traffic Sign (Back)", (192, 192, 192), None),
    ("Traffic Sign (Front)", (220, 220, 0), 7),
    ("Trash Can", (140, 140, 20), None),
    ("Bicycle", (119, 11, 32), 18),
    ("Boat", (150, 0, 255), None),
    ("Bus", (0, 60, 100), 15),
    ("Car", (0, 0, 142), 13),
    ("Caravan", (0, 0, 90), None),
    ("Motorcycle", (0, 0, 230), 17),
    ("On Rails", (0, 80, 100), 16),
    ("Other Vehicle", (128, 64, 64), None),
    ("Trailer", (0, 0, 110), None),
    ("Truck", (0, 0, 70), 14),
    ("Wheeled Slow", (0, 0, 192), None),
    ("Car Mount", (32, 32, 32), None),
    ("Ego Vehicle", (120, 10, 10), None),
)
_UNLABELLED = 65


class Vistas(FolderPairsDataset):
    paper = (
        "Neuhold et al., The Mapillary Vistas Dataset for Semantic Understanding of Street Scenes, ICCV 2017"
    )
    url = "https://www.mapillary.com/dataset/vistas"
    ignore_index = 255
    splits = ("train", "val", "test")
    unlabelled_splits = ("test",)
    sizes = {"train": 18000, "val": 2000, "test": 5000}
    crop = 768
    base = 2048
    root_variants = ("", "Mapillary", "mapillary-vistas-dataset_public_v1.2", "mapillary")
    root_marker = "training"
    image_ends = (".jpg",)
    layout = "{training,validation}/images/*.jpg, {training,validation}/labels/*.png (or v1.2/labels)"
    # The archive of v2.0 carries the v1.2 labels in a folder of their own.
    folders = {
        split: (
            (f"{folder}/images", f"{folder}/v1.2/labels"),
            (f"{folder}/images", f"{folder}/labels"),
            (f"{split}/images", f"{split}/labels"),
        )
        for split, folder in (("train", "training"), ("val", "validation"), ("test", "testing"))
    }


@DATASETS.register("mapillary")
class Mapillary(Vistas):
    name = "mapillary"
    title = "Mapillary Vistas v1.2 (65 classes)"
    classes = tuple(name for name, _, _ in _CLASSES)
    palette = palette_array([colour for _, colour, _ in _CLASSES])
    label_table = {**{i: i for i in range(len(_CLASSES))}, _UNLABELLED: 255}
    train_id_to_label_id = tuple(range(len(_CLASSES)))
    submission = Submission()


@DATASETS.register("mapillary19")
class Mapillary19(Vistas):
    name = "mapillary19"
    title = "Mapillary Vistas v1.2 under the 19 classes of Cityscapes"
    classes = cityscapes.CLASSES
    palette = cityscapes.PALETTE
    label_table = {
        **{i: 255 if t is None else t for i, (_, _, t) in enumerate(_CLASSES)},
        _UNLABELLED: 255,
    }

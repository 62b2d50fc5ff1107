"""WildDash 2: 4256 labelled frames of roads from all over the world, chosen to be difficult, 26 classes.

Zendel et al., "Unifying Panoptic Segmentation for Autonomous Driving", CVPR 2022. Published as panoptic
labels; `prepare` draws label files of the ids below. `wilddash19` reads the same files under the 19 classes
of Cityscapes, both as the publication's policy maps them. There is no official split: here every fifth
frame, from the fifth on, is `val`.
"""

from __future__ import annotations

from mxnetseg.data.datasets import cityscapes
from mxnetseg.data.datasets.base import DATASETS, palette_array
from mxnetseg.data.datasets.layouts import ListedDataset

# (label, class of the benchmark or None, class of Cityscapes or None); the position is the id in the files.
_LABELS = (
    ("unlabeled", None, None),
    ("egovehicle", "ego vehicle", None),
    ("overlay", None, None),
    ("outofroi", None, None),
    ("static", None, None),
    ("dynamic", None, None),
    ("ground", None, None),
    ("road", "road", "road"),
    ("sidewalk", "sidewalk", "sidewalk"),
    ("parking", None, None),
    ("railtrack", None, None),
    ("building", "building", "building"),
    ("wall", "wall", "wall"),
    ("fence", "fence", "fence"),
    ("guardrail", "guard rail", None),
    ("bridge", None, None),
    ("tunnel", None, None),
    ("pole", "pole", "pole"),
    ("polegroup", "pole", None),
    ("trafficlight", "traffic light", "traffic light"),
    ("trafficsign", "traffic sign", "traffic sign"),
    ("vegetation", "vegetation", "vegetation"),
    ("terrain", "terrain", "terrain"),
    ("sky", "sky", "sky"),
    ("person", "person", "person"),
    ("rider", "rider", "rider"),
    ("car", "car", "car"),
    ("truck", "truck", "truck"),
    ("bus", "bus", "bus"),
    ("caravan", None, None),
    ("trailer", None, None),
    ("onrails", "on rails", "train"),
    ("motorcycle", "motorcycle", "motorcycle"),
    ("bicycle", "bicycle", "bicycle"),
    ("pickup", "pickup", "truck"),
    ("van", "van", "car"),
    ("billboard", "billboard", None),
    ("streetlight", "street light", None),
    ("roadmarking", "road marking", "road"),
    ("junctionbox", None, None),
    ("mailbox", None, None),
    ("manhole", "road", "road"),
    ("phonebooth", None, None),
    ("pothole", "road", "road"),
    ("bikerack", None, None),
    ("trafficsignframe", "pole", "pole"),
    ("utilitypole", "pole", "pole"),
    ("motorcyclist", "rider", "rider"),
    ("bicyclist", "rider", "rider"),
    ("otherrider", "rider", "rider"),
    ("bird", None, None),
    ("groundanimal", None, None),
    ("curb", "sidewalk", "sidewalk"),
    ("trafficsignany", None, None),
    ("trafficsignback", None, None),
    ("trashcan", None, None),
    ("otherbarrier", "wall", "wall"),
    ("othervehicle", None, None),
    ("autorickshaw", "motorcycle", "motorcycle"),
    ("bench", None, None),
    ("mountain", None, None),
    ("tramtrack", "road", "road"),
    ("wheeledslow", None, None),
    ("boat", None, None),
    ("bikelane", "road", "road"),
    ("bikelanesidewalk", "sidewalk", "sidewalk"),
    ("banner", None, None),
    ("dashcammount", "ego vehicle", None),
    ("water", None, None),
    ("sand", None, None),
    ("pedestrianarea", "road", "road"),
    ("firehydrant", None, None),
    ("cctvcamera", None, None),
    ("snow", None, None),
    ("catchbasin", "road", "road"),
    ("crosswalkplain", "road", "road"),
    ("crosswalkzebra", "road", "road"),
    ("manholesidewalk", "sidewalk", "sidewalk"),
    ("curbterrain", "terrain", "terrain"),
    ("servicelane", "road", "road"),
    ("curbcut", "sidewalk", "sidewalk"),
)
# (class, colour, id that stands for it)
_CLASSES = (
    ("ego vehicle", (0, 20, 50), 1),
    ("road", (128, 64, 128), 7),
    ("sidewalk", (244, 35, 232), 8),
    ("building", (70, 70, 70), 11),
    ("wall", (102, 102, 156), 12),
    ("fence", (190, 153, 153), 13),
    ("guard rail", (180, 165, 180), 14),
    ("pole", (152, 152, 152), 17),
    ("traffic light", (250, 170, 30), 19),
    ("traffic sign", (220, 220, 0), 20),
    ("vegetation", (107, 142, 35), 21),
    ("terrain", (152, 251, 152), 22),
    ("sky", (70, 130, 180), 23),
    ("person", (220, 20, 60), 24),
    ("rider", (255, 0, 0), 25),
    ("car", (0, 0, 142), 26),
    ("truck", (0, 0, 70), 27),
    ("bus", (0, 60, 100), 28),
    ("on rails", (0, 80, 100), 31),
    ("motorcycle", (0, 0, 230), 32),
    ("bicycle", (119, 11, 32), 33),
    ("pickup", (40, 0, 100), 34),
    ("van", (0, 40, 120), 35),
    ("billboard", (174, 64, 67), 36),
    ("street light", (210, 170, 100), 37),
    ("road marking", (196, 176, 128), 38),
)
_NAMES = tuple(name for name, _, _ in _CLASSES)


class _WildDash(ListedDataset):
    paper = "Zendel et al., Unifying Panoptic Segmentation for Autonomous Driving, CVPR 2022"
    url = "https://wilddash.cc"
    splits = ("train", "val")
    sizes = {"train": 3405, "val": 851}
    crop = 768
    base = 1920
    root_variants = ("", "wd_public_02", "wilddash2", "wilddash")
    root_marker = "images"
    lists = {split: f"{split}.txt" for split in splits}
    layout = (
        "images/*.jpg, labels/*.png and {train,val}.txt (made by prepare from panoptic.json and panoptic/)"
    )


@DATASETS.register("wilddash2")
class WildDash2(_WildDash):
    name = "wilddash2"
    title = "WildDash 2 (26 classes)"
    classes = _NAMES
    palette = palette_array([colour for _, colour, _ in _CLASSES])
    label_table = {
        **{i: 255 if name is None else _NAMES.index(name) for i, (_, name, _) in enumerate(_LABELS)},
        255: 255,
    }
    train_id_to_label_id = tuple(label_id for _, _, label_id in _CLASSES)


@DATASETS.register("wilddash19")
class WildDash19(_WildDash):
    name = "wilddash19"
    title = "WildDash 2 under the 19 classes of Cityscapes"
    classes = cityscapes.CLASSES
    palette = cityscapes.PALETTE
    label_table = {
        **{i: 255 if n is None else cityscapes.CLASSES.index(n) for i, (_, _, n) in enumerate(_LABELS)},
        255: 255,
    }

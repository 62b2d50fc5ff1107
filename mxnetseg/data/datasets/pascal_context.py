"""Pascal Context: 4998 / 5105 photographs of VOC 2010 with every pixel labelled, 59 classes.

Mottaghi et al., "The Role of Context for Object Detection and Semantic Segmentation in the Wild",
CVPR 2014. Of the 459 annotated classes the 59 most frequent count; `pascal_context60` adds the rest
as class `background`.

Classes come in the order of their ids among the 459, which is alphabetical, as in the label files
that the Detail annotations are usually converted to. Lists that begin with VOC's twenty name other
numbers.
"""

from __future__ import annotations

from mxnetseg.data.datasets.base import DATASETS
from mxnetseg.data.datasets.layouts import ListedDataset, bit_palette, shifted_table

# (class, id among the 459 of the annotation). In the label files: 0 background, then 1..59 in this order.
_CLASSES = (
    ("aeroplane", 2),
    ("bag", 9),
    ("bed", 18),
    ("bedclothes", 19),
    ("bench", 22),
    ("bicycle", 23),
    ("bird", 25),
    ("boat", 31),
    ("book", 33),
    ("bottle", 34),
    ("building", 44),
    ("bus", 45),
    ("cabinet", 46),
    ("car", 59),
    ("cat", 65),
    ("ceiling", 68),
    ("chair", 72),
    ("cloth", 80),
    ("computer", 85),
    ("cow", 98),
    ("cup", 104),
    ("curtain", 105),
    ("dog", 113),
    ("door", 115),
    ("fence", 144),
    ("floor", 158),
    ("flower", 159),
    ("food", 162),
    ("grass", 187),
    ("ground", 189),
    ("horse", 207),
    ("keyboard", 220),
    ("light", 232),
    ("motorbike", 258),
    ("mountain", 259),
    ("mouse", 260),
    ("person", 284),
    ("plate", 295),
    ("platform", 296),
    ("pottedplant", 308),
    ("road", 324),
    ("rock", 326),
    ("sheep", 347),
    ("shelves", 349),
    ("sidewalk", 354),
    ("sign", 355),
    ("sky", 360),
    ("snow", 366),
    ("sofa", 368),
    ("table", 397),
    ("track", 415),
    ("train", 416),
    ("tree", 420),
    ("truck", 424),
    ("tvmonitor", 427),
    ("wall", 440),
    ("water", 445),
    ("window", 454),
    ("wood", 458),
)
CLASSES = tuple(name for name, _ in _CLASSES)
ANNOTATION_IDS = tuple(number for _, number in _CLASSES)


class _PascalContext(ListedDataset):
    paper = (
        "Mottaghi et al., The Role of Context for Object Detection and Semantic Segmentation "
        "in the Wild, CVPR 2014"
    )
    url = "https://cs.stanford.edu/~roozbeh/pascal-context/"
    splits = ("train", "val")
    sizes = {"train": 4998, "val": 5105}
    root_variants = ("", "PContext", "VOC2010", "VOCdevkit/VOC2010")
    root_marker = "Labels_59"
    lists = {"train": "train.txt", "val": "val.txt"}
    image_path = "JPEGImages/{id}.jpg"
    label_path = "Labels_59/{id}.png"
    layout = (
        "JPEGImages/*.jpg, Labels_59/*.png and {train,val}.txt "
        "(the last two made by prepare from trainval_merged.json)"
    )


@DATASETS.register("pascal_context")
class PascalContext(_PascalContext):
    """Background pixels are ignored."""

    name = "pascal_context"
    title = "Pascal Context (59 classes)"
    classes = CLASSES
    palette = bit_palette(59, first=1)
    label_table = shifted_table(59)


@DATASETS.register("pascal_context60")
class PascalContext60(_PascalContext):
    """Background is class 0."""

    name = "pascal_context60"
    title = "Pascal Context (59 classes and background)"
    classes = ("background", *CLASSES)
    palette = bit_palette(60)

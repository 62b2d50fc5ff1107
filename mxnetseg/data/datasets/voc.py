"""Pascal VOC 2012 segmentation: 1464 / 1449 / 1456 photographs, 20 object classes and background.

Everingham et al., "The Pascal Visual Object Classes (VOC) Challenge", IJCV 2010. Labels are palette
files of class ids; 255 is the boundary between objects, ignored.
"""

from __future__ import annotations

from mxnetseg.data.datasets.base import DATASETS, Submission
from mxnetseg.data.datasets.layouts import ListedDataset, bit_palette

CLASSES = (
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)
PALETTE = bit_palette(len(CLASSES))


@DATASETS.register("voc2012")
class VOC2012(ListedDataset):
    name = "voc2012"
    title = "Pascal VOC 2012 (20 classes and background)"
    paper = "Everingham et al., The Pascal Visual Object Classes (VOC) Challenge, IJCV 2010"
    url = "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/"
    classes = CLASSES
    palette = PALETTE
    splits = ("train", "val", "test")
    unlabelled_splits = ("test",)
    train_id_to_label_id = tuple(range(len(CLASSES)))
    # comp6: trained on other pictures too, such as ImageNet's.
    submission = Submission("results/VOC2012/Segmentation/comp6_{split}_cls/{name}.png", ".tgz", indexed=True)
    sizes = {"train": 1464, "val": 1449, "test": 1456}
    root_variants = ("", "VOC2012", "VOCdevkit/VOC2012")
    root_marker = "ImageSets/Segmentation"
    lists = {part: f"ImageSets/Segmentation/{part}.txt" for part in splits}
    image_path = "JPEGImages/{id}.jpg"
    label_path = "SegmentationClass/{id}.png"
    layout = "JPEGImages/*.jpg, SegmentationClass/*.png and ImageSets/Segmentation/{train,val,test}.txt"

"""Converting what descends from Pascal VOC: SBD, VOC-aug, Pascal Context, COCO under VOC's classes."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from typing import Any, Dict, Iterator, List

import numpy as np

from mxnetseg.data.datasets.coco import CATEGORY_IDS
from mxnetseg.data.datasets.pascal_context import ANNOTATION_IDS
from mxnetseg.data.prepare.masks import annotation_mask, as_ids, check_size
from mxnetseg.data.prepare.matlab import read_mat
from mxnetseg.data.prepare.workspace import Workspace
from mxnetseg.errors import DatasetError
from mxnetseg.opening import only_files

# COCO images with no more labelled pixels than this are left out.
_COCO_MIN_PIXELS = 1000


def convert_sbd(workspace: Workspace, folder: str = "") -> None:
    """`cls/*.mat` -> `cls_png/*.png`, under `folder` of the root."""
    source = workspace.path(folder, "cls")
    names = _ids(source, ".mat")
    workspace.convert(
        "SBD labels to PNG",
        _sbd_label,
        [
            (
                workspace.path(folder, "cls_png", name + ".png"),
                (os.path.join(source, name + ".mat"),),
            )
            for name in names
        ],
    )


def _sbd_label(workspace: Workspace, target: str, source: str) -> None:
    annotation = read_mat(source, "GTcls")
    try:
        ids = annotation["Segmentation"].ravel()[0]
    except (ValueError, IndexError, TypeError) as error:
        raise DatasetError(f"{source}: GTcls has no field 'Segmentation'") from error
    workspace.write_ids(target, as_ids(ids, source))


def convert_voc_aug(workspace: Workspace) -> None:
    """`SBD/` and `VOC2012/` -> `img_aug/`, `cls_aug/` and the lists."""
    convert_sbd(workspace, "SBD")
    lists = workspace.path("VOC2012", "ImageSets", "Segmentation")
    voc = {part: _read_ids(os.path.join(lists, part + ".txt")) for part in ("train", "val")}
    sbd = [i for part in ("train", "val") for i in _read_ids(workspace.path("SBD", part + ".txt"))]
    labelled = sorted({*voc["train"], *voc["val"], *sbd})
    held_out = set(voc["val"])
    from_voc = {*voc["train"], *voc["val"]}
    tasks = []
    for name in labelled:
        mine = name in from_voc
        images = workspace.path("VOC2012", "JPEGImages") if mine else workspace.path("SBD", "img")
        labels = workspace.path("VOC2012", "SegmentationClass") if mine else workspace.path("SBD", "cls_png")
        tasks.append((workspace.path("img_aug", name + ".jpg"), (os.path.join(images, name + ".jpg"),)))
        tasks.append((workspace.path("cls_aug", name + ".png"), (os.path.join(labels, name + ".png"),)))
    workspace.convert("VOC and SBD merged", _link, tasks)
    parts = {
        "train": voc["train"],
        "val": voc["val"],
        "train_aug": [name for name in labelled if name not in held_out],
        "trainval_aug": labelled,
    }
    for part, names in parts.items():
        workspace.write_list(workspace.path(part + ".txt"), [f"{name}.jpg {name}.png" for name in names])


def _link(workspace: Workspace, target: str, source: str) -> None:
    if not os.path.exists(source):
        raise DatasetError(f"{source}: file is missing; unpack the archives of VOC and SBD again")
    workspace.link_or_copy(source, target)


def convert_pascal_context(workspace: Workspace) -> None:
    """`trainval_merged.json` of the Detail annotations -> `Labels_59/*.png` and the lists."""
    path = workspace.need(["trainval_merged.json"], "for the labels of Pascal Context")
    data = read_json(path, ("images", "annos_segmentation"))
    lists: Dict[str, List[str]] = {"train": [], "val": []}
    tasks = []
    with damage_named(path):
        masks = _by_image(data["annos_segmentation"])
        for image in sorted(data["images"], key=lambda image: image["file_name"]):
            name = os.path.splitext(image["file_name"])[0]
            if image.get("phase") not in lists:
                continue
            lists[image["phase"]].append(name)
            size = (int(image["height"]), int(image["width"]))
            objects = [(m["category_id"], m["segmentation"]) for m in masks.get(image["image_id"], ())]
            tasks.append((workspace.path("Labels_59", name + ".png"), (size, objects, path)))
    workspace.convert("Pascal Context labels", _context_label, tasks)
    for part, names in lists.items():
        workspace.write_list(workspace.path(part + ".txt"), names)


def _context_label(workspace: Workspace, target: str, size: tuple, objects: list, path: str) -> None:
    check_size(size, path)
    ids = np.zeros(size, np.uint8)
    numbers = {category: i + 1 for i, category in enumerate(ANNOTATION_IDS)}
    for category, segmentation in objects:
        # Later annotations lie over earlier ones; classes beyond the 59 make background.
        mask = annotation_mask(segmentation, size, f"{path} ({os.path.basename(target)})")
        ids[mask] = numbers.get(category, 0)
    workspace.write_ids(target, ids)


def convert_coco(workspace: Workspace) -> None:
    """`annotations/instances_*2017.json` -> `labels21/` and the lists of usable images."""
    found = False
    for part in ("train", "val"):
        name = f"instances_{part}2017.json"
        path = workspace.source(name) or workspace.source(os.path.join("annotations", name))
        if path is None:
            continue
        found = True
        data = read_json(path, ("images", "annotations"))
        tasks, names = [], []
        with damage_named(path):
            objects = _by_image(data["annotations"])
            for image in sorted(data["images"], key=lambda image: image["file_name"]):
                name = f"{part}2017/{os.path.splitext(image['file_name'])[0]}"
                mine = [
                    (o["category_id"], o["segmentation"])
                    for o in objects.get(image["id"], ())
                    if o["category_id"] in CATEGORY_IDS
                ]
                if mine:
                    names.append(name)
                    size = (int(image["height"]), int(image["width"]))
                    tasks.append((workspace.path("labels21", name + ".png"), (size, mine, path)))
        workspace.convert(f"COCO {part} labels", _coco_label, tasks)
        # What was left out has an empty file in its place, so that it is not drawn again.
        usable = [n for n in names if os.path.getsize(workspace.path("labels21", n + ".png"))]
        workspace.log(f"COCO {part}: {len(usable)} of {len(data['images'])} images are used")
        workspace.write_list(workspace.path("labels21", part + ".txt"), usable)
    if not found:
        workspace.need(["instances_train2017.json"], "for the labels of COCO")


def _coco_label(workspace: Workspace, target: str, size: tuple, objects: list, path: str) -> None:
    check_size(size, path)
    ids = np.zeros(size, np.uint8)
    for category, segmentation in objects:
        mask = annotation_mask(segmentation, size, f"{path} ({os.path.basename(target)})")
        ids[mask & (ids == 0)] = CATEGORY_IDS.index(category)
    if np.count_nonzero(ids) > _COCO_MIN_PIXELS:
        workspace.write_ids(target, ids)
    else:
        workspace.write_bytes(target, b"")


def read_json(path: str, keys: tuple) -> Dict[str, Any]:
    """A JSON object with these lists in it; DatasetError where it is damaged or something else."""
    try:
        with open(path, encoding="utf-8", opener=only_files) as handle:
            data = json.load(handle)
    except (OSError, ValueError, RecursionError) as error:
        raise DatasetError(f"{path}: JSON file cannot be read ({error}); unpack it again") from error
    lacking = [key for key in keys if not isinstance(data, dict) or key not in data]
    if lacking:
        raise DatasetError(f"{path}: JSON file has no {', '.join(lacking)}; it is another file")
    return data


@contextmanager
def damage_named(path: str) -> Iterator[None]:
    """What JSON of another shape raises, as one line with the file's name."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise DatasetError(
            f"{path}: annotation is damaged ({type(error).__name__}: {error}); unpack it again"
        ) from error


def _by_image(annotations: list) -> Dict[Any, list]:
    grouped: Dict[Any, list] = {}
    for annotation in annotations:
        grouped.setdefault(annotation["image_id"], []).append(annotation)
    return grouped


def _ids(folder: str, end: str) -> List[str]:
    if not os.path.isdir(folder):
        raise DatasetError(f"{folder}: folder is missing; give the archive that holds it")
    names = sorted(n[: -len(end)] for n in os.listdir(folder) if n.endswith(end))
    if not names:
        raise DatasetError(f"{folder}: holds no {end} files; unpack the archive again")
    return names


def _read_ids(path: str) -> List[str]:
    try:
        with open(path, encoding="utf-8", opener=only_files) as handle:
            return [line.split()[0] for line in handle if line.strip()]
    except OSError as error:
        raise DatasetError(
            f"{path}: list is missing ({error.strerror}); give the archive that holds it"
        ) from error

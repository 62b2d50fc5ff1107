"""Fundus pictures, DRIVE, STARE, CHASE_DB1 and HRF: masks of vessels become ids 0 and 1."""

from __future__ import annotations

import os
import zlib
from typing import Callable, Dict, List, Tuple

import cv2
import numpy as np

from mxnetseg.data.datasets.base import stem
from mxnetseg.data.headers import most_pixels
from mxnetseg.data.prepare.preparation import Preparation, route
from mxnetseg.data.prepare.workspace import Workspace
from mxnetseg.data.reading import read_image
from mxnetseg.errors import DatasetError
from mxnetseg.opening import only_files

_PARTS = ("train", "val")


def convert_masks(workspace: Workspace) -> None:
    """`raw/<split>/*` -> `labels/<split>/*.png`."""
    tasks = []
    for split in _PARTS:
        folder = workspace.path("raw", split)
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            tasks.append(
                (workspace.path("labels", split, stem(name) + ".png"), (os.path.join(folder, name),))
            )
    if not tasks:
        raise DatasetError(f"{workspace.path('raw')}: holds no masks; give the archive of labels")
    workspace.convert("Masks to ids", _mask, tasks)


def _mask(workspace: Workspace, target: str, source: str) -> None:
    # Not all masks are pure: the middle between black and white is the edge.
    workspace.write_ids(target, (read_image(source)[:, :, 0] > 127).astype(np.uint8))


def convert_stare(workspace: Workspace) -> None:
    """`raw/{images,labels}/*.ppm.gz` -> pictures and ids; the first half is for training."""
    names = sorted(n[: -len(".ppm.gz")] for n in _listed(workspace, "raw/images"))
    tasks: Dict[Callable, List[Tuple[str, Tuple]]] = {_unzipped_picture: [], _unzipped_mask: []}
    for i, name in enumerate(names):
        split = "train" if 2 * i < len(names) else "val"
        for function, kind, end in ((_unzipped_picture, "images", ""), (_unzipped_mask, "labels", ".ah")):
            source = workspace.path("raw", kind, f"{name}{end}.ppm.gz")
            tasks[function].append((workspace.path(kind, split, name + ".png"), (source,)))
    workspace.convert("Pictures unpacked", _unzipped_picture, tasks[_unzipped_picture])
    workspace.convert("Masks to ids", _unzipped_mask, tasks[_unzipped_mask])


def _unzipped_picture(workspace: Workspace, target: str, source: str) -> None:
    workspace.write_picture(target, _gzipped_image(source))


def _unzipped_mask(workspace: Workspace, target: str, source: str) -> None:
    workspace.write_ids(target, (_gzipped_image(source)[:, :, 0] > 127).astype(np.uint8))


def _gzipped_image(path: str) -> np.ndarray:
    """uint8 (H, W, 3), RGB, of a picture compressed by gzip."""
    unzip = zlib.decompressobj(wbits=31)
    try:
        with open(path, "rb", opener=only_files) as handle:
            data = unzip.decompress(handle.read(), 3 * most_pixels())
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if unzip.eof else None
    except (OSError, zlib.error, cv2.error) as error:
        raise DatasetError(f"{path}: picture cannot be read ({error}); unpack it again") from error
    if image is None:
        raise DatasetError(f"{path}: holds no whole picture; unpack it again")
    return image[:, :, ::-1]


def convert_chase(workspace: Workspace) -> None:
    """`raw/Image_*.jpg` and `raw/Image_*_1stHO.png` -> pictures and ids; five of seven are for training."""
    names = [n[: -len(".jpg")] for n in _listed(workspace, "raw") if n.endswith(".jpg")]
    pictures, masks = [], []
    for i, name in enumerate(names):
        split = "train" if 7 * i < 5 * len(names) else "val"
        source = workspace.path("raw", name)
        pictures.append((workspace.path("images", split, name + ".jpg"), (source + ".jpg",)))
        masks.append((workspace.path("labels", split, name + ".png"), (source + "_1stHO.png",)))
    workspace.convert("Pictures divided", _same_file, pictures)
    workspace.convert("Masks to ids", _mask, masks)


def _same_file(workspace: Workspace, target: str, source: str) -> None:
    workspace.link_or_copy(source, target)


def _listed(workspace: Workspace, folder: str) -> List[str]:
    path = workspace.path(*folder.split("/"))
    names = sorted(n for n in os.listdir(path) if n[0] != ".") if os.path.isdir(path) else []
    if not names:
        raise DatasetError(f"{path}: holds no pictures; give the archive of images")
    return names


_EYES = "(?:h|g|dr)"  # healthy, glaucoma, diabetic retinopathy

PREPARATIONS: Dict[str, Preparation] = {
    "drive": Preparation(
        "training.zip and test.zip",
        (
            route(r"training/images/(\d+)_training\.tif", r"images/train/\1.tif"),
            route(r"training/1st_manual/(\d+)_manual1\.gif", r"raw/train/\1.gif"),
            route(r"test/images/(\d+)_test\.tif", r"images/val/\1.tif"),
            route(r"test/1st_manual/(\d+)_manual1\.gif", r"raw/val/\1.gif"),
        ),
        convert_masks,
    ),
    "stare": Preparation(
        "stare-images.tar and labels-ah.tar",
        (
            route(r"(im\d+\.ppm\.gz)", r"raw/images/\1"),
            route(r"(im\d+\.ah\.ppm\.gz)", r"raw/labels/\1"),
        ),
        convert_stare,
    ),
    "chase_db1": Preparation(
        "CHASEDB1.zip",
        (route(r"(Image_\d+[LR](?:\.jpg|_1stHO\.png))", r"raw/\1"),),
        convert_chase,
    ),
    "hrf": Preparation(
        "healthy.zip, glaucoma.zip, diabetic_retinopathy.zip and the three *_manualsegm.zip",
        (
            route(rf"(0[1-5]_{_EYES})\.(?:jpg|JPG)", r"images/train/\1.jpg"),
            route(rf"(\d+_{_EYES})\.(?:jpg|JPG)", r"images/val/\1.jpg"),
            route(rf"(0[1-5]_{_EYES})\.tif", r"raw/train/\1.tif"),
            route(rf"(\d+_{_EYES})\.tif", r"raw/val/\1.tif"),
        ),
        convert_masks,
    ),
}

"""Cutting pictures of whole districts into tiles that a loader can read for every crop.

Scenes lie in `scenes/<split>/{images,labels}`, tiles in `tiles/<split>/{images,labels}` under names that
say where they were: `<scene>_<left>_<top>_<right>_<bottom>.png`.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from mxnetseg.data.datasets.base import stem
from mxnetseg.data.prepare.workspace import Workspace
from mxnetseg.data.reading import read_image, read_label
from mxnetseg.data.tiles import flush_spans
from mxnetseg.errors import DatasetError

SPLITS = ("train", "val")
_IMAGE_ENDS = (".tif", ".png")


class Tiling(NamedTuple):
    """Squares of `size` pixels every `stride` pixels; the last of a row is moved back to the border."""

    size: int
    stride: int


def cut_scenes(workspace: Workspace, tiling: Tiling) -> None:
    """Tiles of every scene of `SPLITS`; those of scenes that were cut before are left alone.

    Raises DatasetError where the root holds tiles of another size.
    """
    tops = [workspace.path("tiles", split) for split in SPLITS]
    if any(os.path.isdir(top) for top in tops) and not workspace.done("tiles", list(tiling)):
        raise DatasetError(
            f"{workspace.path('tiles')}: holds tiles of another size or stride than {tiling.size} every "
            f"{tiling.stride} pixels; remove that folder, or prepare another root"
        )
    workspace.finish("tiles", list(tiling))
    tasks = []
    for split, top in zip(SPLITS, tops):
        images = workspace.path("scenes", split, "images")
        for name in sorted(os.listdir(images)) if os.path.isdir(images) else []:
            if name.endswith(_IMAGE_ENDS):
                # Written last: a scene whose list is there is cut.
                done = os.path.join(top, "cut", stem(name) + ".txt")
                label = workspace.path("scenes", split, "labels", stem(name) + ".png")
                tasks.append((done, (os.path.join(images, name), label, top, tiling)))
    if not tasks:
        raise DatasetError(
            f"{workspace.path('scenes')}: holds no pictures to cut; give the archives of images"
        )
    workspace.convert("Scenes cut into tiles", _cut, tasks)


def _cut(workspace: Workspace, target: str, image: str, label: str, top: str, tiling: Tiling) -> None:
    pixels, ids = read_image(image), read_label(label)
    if ids.shape != pixels.shape[:2]:
        raise DatasetError(
            f"{label}: label is {ids.shape[1]}x{ids.shape[0]} but its image {image} is "
            f"{pixels.shape[1]}x{pixels.shape[0]}"
        )
    names = []
    for upper, lower in flush_spans(ids.shape[0], *tiling):
        for left, right in flush_spans(ids.shape[1], *tiling):
            name = f"{stem(image)}_{left}_{upper}_{right}_{lower}.png"
            workspace.write_picture(os.path.join(top, "images", name), pixels[upper:lower, left:right])
            workspace.write_ids(os.path.join(top, "labels", name), ids[upper:lower, left:right])
            names.append(name)
    workspace.write_list(target, names)

"""Aerial pictures, LoveDA, Potsdam, Vaihingen, iSAID: coloured labels become ids, scenes are cut."""

from __future__ import annotations

import os
from typing import Dict, Sequence, Tuple

import numpy as np

from mxnetseg.data.datasets import isaid, isprs, potsdam, vaihingen
from mxnetseg.data.prepare.archives import Route
from mxnetseg.data.prepare.preparation import Preparation, route
from mxnetseg.data.prepare.tiles import SPLITS, Tiling
from mxnetseg.data.prepare.workspace import Workspace
from mxnetseg.data.reading import read_label
from mxnetseg.errors import DatasetError

Colour = Tuple[int, int, int]
# Boundaries, which are not scored, and the id of each class.
_ISPRS_IDS: Dict[Colour, int] = {(0, 0, 0): 0, **{c: i for i, (_, c) in enumerate(isprs.CLASSES, 1)}}
_ISAID_IDS: Dict[Colour, int] = {tuple(map(int, c)): i for i, c in enumerate(isaid.ISAID.palette)}


def convert_isprs(workspace: Workspace) -> None:
    """`raw/<split>/*.tif` of colours -> `scenes/<split>/labels/*.png` of ids 1..6, 0 at the boundaries."""
    _colours_to_ids(workspace, "Colours to ids", ".tif", _isprs_label)


def convert_isaid(workspace: Workspace) -> None:
    """`raw/<split>/*.png` of colours -> `scenes/<split>/labels/*.png` of ids 0..15."""
    _colours_to_ids(workspace, "Colours to ids", ".png", _isaid_label)


def _colours_to_ids(workspace: Workspace, what: str, end: str, function) -> None:
    tasks = []
    for split in SPLITS:
        folder = workspace.path("raw", split)
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            if name.endswith(end):
                target = workspace.path("scenes", split, "labels", name[: -len(end)] + ".png")
                tasks.append((target, (os.path.join(folder, name),)))
    if not tasks:
        raise DatasetError(f"{workspace.path('raw')}: holds no labels; give the archive of labels")
    workspace.convert(what, function, tasks)


def _isprs_label(workspace: Workspace, target: str, source: str) -> None:
    # Some published files hold colours that are a little off, as 254 for 255: no class is nearer to another.
    pixels = np.where(_coloured(source) > 127, 255, 0)
    workspace.write_ids(target, colour_ids(pixels, _ISPRS_IDS, source))


def _isaid_label(workspace: Workspace, target: str, source: str) -> None:
    workspace.write_ids(target, colour_ids(_coloured(source), _ISAID_IDS, source))


def _coloured(path: str) -> np.ndarray:
    """uint8 (H, W, 3); a file of one colour only may count as grey."""
    label = read_label(path)
    return np.repeat(label[:, :, None], 3, 2) if label.ndim == 2 else label


def colour_ids(pixels: np.ndarray, table: Dict[Colour, int], path: str) -> np.ndarray:
    """uint8 (H, W) of ids for (H, W, 3) of colours; DatasetError for colours that are not in the table."""
    red, green, blue = np.moveaxis(pixels.astype(np.int32), 2, 0)
    codes = red << 16 | green << 8 | blue
    ids = np.full(codes.shape, 255, np.uint8)
    for (r, g, b), value in table.items():
        ids[codes == (r << 16 | g << 8 | b)] = value
    unknown = np.unique(codes[ids == 255])
    if unknown.size:
        shown = ", ".join(str((int(c) >> 16, int(c) >> 8 & 255, int(c) & 255)) for c in unknown[:4])
        raise DatasetError(f"{path}: label holds colours of no class: {shown}; unpack it again")
    return ids


def _scene_routes(member: str, end: str, folder: str, parts: Dict[str, Sequence[str]]) -> Tuple[Route, ...]:
    """Routes of the scenes `parts[split]` to `folder` under the split; `{id}` in `member` is the scene."""
    return tuple(
        route(member.format(id=f"({'|'.join(ids)})"), folder.format(split=split) + r"/\1" + end)
        for split, ids in parts.items()
    )


_SCENES, _RAW = "scenes/{split}/images", "raw/{split}"
_POTSDAM = {"train": potsdam.TRAIN, "val": potsdam.VAL}
_VAIHINGEN = {"train": vaihingen.TRAIN, "val": vaihingen.VAL}

PREPARATIONS: Dict[str, Preparation] = {
    "loveda": Preparation(
        "Train.zip, Val.zip (and Test.zip)",
        (
            route(r"((?:Train|Val)/(?:Rural|Urban)/(?:images|masks)_png/[^/]+\.png)"),
            route(r"(Test/(?:Rural|Urban)/images_png/[^/]+\.png)"),
        ),
    ),
    "potsdam": Preparation(
        "2_Ortho_RGB.zip and 5_Labels_all_noBoundary.zip",
        (
            *_scene_routes(r"top_potsdam_{id}_RGB\.tif", ".tif", _SCENES, _POTSDAM),
            *_scene_routes(r"top_potsdam_{id}_label_noBoundary\.tif", ".tif", _RAW, _POTSDAM),
        ),
        convert_isprs,
        Tiling(512, 512),
    ),
    "vaihingen": Preparation(
        "ISPRS_semantic_labeling_Vaihingen.zip and "
        "ISPRS_semantic_labeling_Vaihingen_ground_truth_eroded_COMPLETE.zip",
        (
            *_scene_routes(r"top/top_mosaic_09cm_{id}\.tif", ".tif", _SCENES, _VAIHINGEN),
            *_scene_routes(r"top_mosaic_09cm_{id}_noBoundary\.tif", ".tif", _RAW, _VAIHINGEN),
        ),
        convert_isprs,
        Tiling(512, 512),
    ),
    "isaid": Preparation(
        "a folder with {train,val,test}/images/*.zip of DOTA's pictures and {train,val}/Semantic_masks/*.zip",
        (
            *(route(r"(P\d+)\.png", rf"scenes/{s}/images/\1.png", f"/{s}/") for s in (*SPLITS, "test")),
            *(route(r"(P\d+)_instance_color_RGB\.png", rf"raw/{s}/\1.png", f"/{s}/") for s in SPLITS),
        ),
        convert_isaid,
        Tiling(896, 512),
        nested=True,
    ),
}

"""Converting the remaining sets: COCO-Stuff 10k, SIFT Flow, Stanford Background, MHP, Weizmann Horses."""

from __future__ import annotations

import os
from typing import Dict, List

import numpy as np

from mxnetseg.data.datasets.base import stem
from mxnetseg.data.prepare.masks import as_ids
from mxnetseg.data.prepare.matlab import read_mat
from mxnetseg.data.prepare.workspace import Workspace
from mxnetseg.data.reading import read_image, read_label
from mxnetseg.errors import DatasetError
from mxnetseg.opening import only_files

_HORSES_TRAIN = 200


def convert_cocostuff10k(workspace: Workspace) -> None:
    """`annotations/*.mat` -> `labels/*.png` of ids 0..182."""
    _matrices(workspace, "COCO-Stuff labels to PNG", "annotations")


def convert_siftflow(workspace: Workspace) -> None:
    """`SemanticLabels/*.mat` -> `labels/*.png`, and the lists from `TestSet1.txt`."""
    _matrices(workspace, "SIFT Flow labels to PNG", "SemanticLabels")
    test = []
    path = workspace.need(["TestSet1.txt"], "for the split of SIFT Flow")
    with open(path, encoding="utf-8", errors="replace", opener=only_files) as handle:
        for line in handle:
            if line.strip():
                test.append(stem(line.strip().replace("\\", "/")))
    names = [stem(name) for name in _files(workspace, "images", ".jpg")]
    unknown = sorted(set(test) - set(names))
    if unknown:
        raise DatasetError(f"{path}: lists {unknown[0]!r}, which is not among the images")
    held_out = set(test)
    workspace.write_list(workspace.path("val.txt"), test)
    workspace.write_list(workspace.path("train.txt"), [n for n in names if n not in held_out])


def _matrices(workspace: Workspace, what: str, folder: str) -> None:
    tasks = [
        (workspace.path("labels", stem(name) + ".png"), (workspace.path(folder, name),))
        for name in _files(workspace, folder, ".mat")
    ]
    workspace.convert(what, _matrix, tasks)


def _matrix(workspace: Workspace, target: str, source: str) -> None:
    workspace.write_ids(target, as_ids(read_mat(source, "S"), source))


def convert_stanford(workspace: Workspace) -> None:
    """`regions/*.regions.txt` -> `labels/*.png` (negative -> 255); every fifth is validation."""
    end = ".regions.txt"
    names = [name[: -len(end)] for name in _files(workspace, "regions", end)]
    workspace.convert(
        "Stanford Background labels to PNG",
        _regions,
        [(workspace.path("labels", n + ".png"), (workspace.path("regions", n + end),)) for n in names],
    )
    lists: Dict[str, List[str]] = {"trainList.txt": [], "evalList.txt": []}
    for i, name in enumerate(names):
        lists["evalList.txt" if i % 5 == 4 else "trainList.txt"].append(name)
    for file, ids in lists.items():
        workspace.write_list(workspace.path(file), ids)


def _regions(workspace: Workspace, target: str, source: str) -> None:
    try:
        with open(source, encoding="ascii", opener=only_files) as handle:
            rows = [[int(word) for word in line.split()] for line in handle if line.strip()]
        values = np.array(rows, np.int64)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{source}: label grid cannot be read ({error})") from error
    values[values < 0] = 255
    workspace.write_ids(target, as_ids(values, source))


def convert_mhp(workspace: Workspace) -> None:
    """`annotations/<image>_<people>_<person>.png` -> `labels/<image>.png`, the first person on top."""
    people: Dict[str, List[str]] = {}
    for name in _files(workspace, "annotations", ".png"):
        image = stem(name).rsplit("_", 2)[0]
        people.setdefault(image, []).append(name)
    tasks = []
    for image in (stem(name) for name in _files(workspace, "images", ".jpg")):
        if image not in people:
            raise DatasetError(
                f"{workspace.path('images', image + '.jpg')}: image without label: expected "
                f"{workspace.path('annotations', image + '_*.png')}, one per person"
            )
        sources = [workspace.path("annotations", name) for name in people[image]]
        tasks.append((workspace.path("labels", image + ".png"), (sources,)))
    workspace.convert("People merged", _merge_people, tasks)


def _merge_people(workspace: Workspace, target: str, sources: List[str]) -> None:
    merged = None
    for source in sources:
        label = read_label(source)
        if label.ndim != 2 or label.max() > 18:
            raise DatasetError(f"{source}: expected ids 0..18, found up to {label.max()}")
        label = label.astype(np.uint8)
        if merged is None:
            merged = label
        elif merged.shape != label.shape:
            raise DatasetError(
                f"{source}: label is {label.shape[1]}x{label.shape[0]} but that of another person on the "
                f"same image is {merged.shape[1]}x{merged.shape[0]}"
            )
        else:
            merged = np.where(merged == 0, label, merged)
    workspace.write_ids(target, merged)


def convert_horses(workspace: Workspace) -> None:
    """`figure_ground/*.jpg` -> `mask/*.png` of 0 and 1, and the lists."""
    names = _files(workspace, "horse", ".jpg")
    workspace.convert(
        "Masks to PNG",
        _horse_mask,
        [
            (
                workspace.path("mask", stem(name) + ".png"),
                (workspace.path("figure_ground", name),),
            )
            for name in names
        ],
    )
    cut = _HORSES_TRAIN if len(names) > _HORSES_TRAIN else len(names) * 3 // 5
    workspace.write_list(workspace.path("train.txt"), names[:cut])
    workspace.write_list(workspace.path("val.txt"), names[cut:])


def _horse_mask(workspace: Workspace, target: str, source: str) -> None:
    # JPEG blurs the edge of the mask; the middle between black and white is the edge.
    grey = read_image(source)[:, :, 0]
    workspace.write_ids(target, (grey > 127).astype(np.uint8))


def _files(workspace: Workspace, folder: str, end: str) -> List[str]:
    path = workspace.path(folder)
    if not os.path.isdir(path):
        raise DatasetError(f"{path}: folder is missing; give the archive that holds it")
    names = sorted(n for n in os.listdir(path) if n.endswith(end) and not n.startswith("."))
    if not names:
        raise DatasetError(f"{path}: holds no {end} files; unpack the archive again")
    return names

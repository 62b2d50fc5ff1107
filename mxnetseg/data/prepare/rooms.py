"""Converting rooms: NYU Depth v2 and SUN RGB-D."""

from __future__ import annotations

import os
from typing import Optional

import numpy as np

from mxnetseg.data.prepare.masks import as_ids
from mxnetseg.data.prepare.matlab import hdf5_array, hdf5_rows, open_hdf5, read_mat, read_numbers
from mxnetseg.data.prepare.workspace import Workspace
from mxnetseg.errors import DatasetError

_SUN_TEST = 5050


def convert_nyuv2(workspace: Workspace) -> None:
    """The labelled subset and its 40 classes -> `images/`, `labels40/` and lists of ids from 0.

    Needs `nyu_depth_v2_labeled.mat` (HDF5, read with h5py), `splits.mat`, whose indices count from 1,
    and `labels40.mat` or `classMapping40.mat` (the 894 classes to 40).
    """
    pictures = workspace.need(["nyu_depth_v2_labeled.mat"], "for the images of NYU Depth v2")
    splits = workspace.need(["splits.mat"], "for the split of NYU Depth v2")
    labels = workspace.source("labels40.mat")
    mapping: Optional[str] = None
    if labels is None:
        mapping = workspace.need(["labels40.mat", "classMapping40.mat"], "for the 40 classes of NYU Depth v2")
    with open_hdf5(pictures) as opened:
        shape = hdf5_array(opened, "images", pictures).shape
    if len(shape) != 4 or shape[1] != 3:
        raise DatasetError(f"{pictures}: 'images' is {shape}; expected (pictures, 3, width, height)")
    count = shape[0]
    for part, variable in (("train", "trainNdxs"), ("val", "testNdxs")):
        ids = read_numbers(splits, variable) - 1  # MATLAB counts from 1
        if ids.size and (ids.min() < 0 or ids.max() >= count):
            raise DatasetError(
                f"{splits}: {variable} names image {ids.max() + 1} of {count}; it belongs to another file"
            )
        workspace.write_list(workspace.path(part + ".txt"), [str(i) for i in ids])
    step = 50
    tasks = []
    for first in range(0, count, step):
        last = min(first + step, count)
        # One marker per group: a group is one sequential read of the file.
        marker = workspace.path(".prepare", "nyuv2", f"{first}-{last}")
        tasks.append((marker, (first, last, pictures, labels, mapping)))
    workspace.convert(f"NYU Depth v2, {step} pictures a step", _nyu_group, tasks)


def _nyu_group(
    workspace: Workspace,
    marker: str,
    first: int,
    last: int,
    pictures: str,
    labels: Optional[str],
    mapping: Optional[str],
) -> None:
    try:
        _convert_group(workspace, first, last, pictures, labels, mapping)
    except (RuntimeError, KeyError, ValueError, TypeError, IndexError) as error:
        # What h5py and NumPy raise for a damaged file or an array of another shape.
        raise DatasetError(f"{pictures}: pictures {first}..{last - 1} cannot be read ({error})") from error
    workspace.write_bytes(marker, b"")


def _convert_group(
    workspace: Workspace,
    first: int,
    last: int,
    pictures: str,
    labels: Optional[str],
    mapping: Optional[str],
) -> None:
    with open_hdf5(pictures) as opened:
        # HDF5 shows MATLAB's arrays with their axes reversed: (picture, channel, x, y).
        images = hdf5_rows(opened, "images", pictures, first, last).transpose(0, 3, 2, 1)
        if mapping is not None:
            raw = hdf5_rows(opened, "labels", pictures, first, last).transpose(0, 2, 1)
            table = np.concatenate([[0], np.asarray(read_mat(mapping, "mapClass")).ravel()])
            if raw.max() >= len(table):
                raise DatasetError(f"{pictures}: class {raw.max()}; {mapping} knows {len(table) - 1}")
            ids = table[raw]
        else:
            ids = _labels40(labels, first, last)
    for number, image, label in zip(range(first, last), images, ids):
        workspace.write_picture(
            workspace.path("images", f"{number}.png"), np.ascontiguousarray(image, np.uint8)
        )
        workspace.write_ids(workspace.path("labels40", f"{number}.png"), as_ids(label, pictures))


def _labels40(path: str, first: int, last: int) -> np.ndarray:
    """(n, H, W) from `labels40.mat`, which circulates as version 5 and as HDF5."""
    try:
        return np.moveaxis(np.asarray(read_mat(path, "labels40"))[:, :, first:last], 2, 0)
    except DatasetError:
        with open_hdf5(path) as opened:
            return hdf5_rows(opened, "labels40", path, first, last).transpose(0, 2, 1)


def convert_sunrgbd(workspace: Workspace) -> None:
    """Write the lists: labels 1..5050 belong to the test images, the following ones to training."""
    for part, offset in (("train", _SUN_TEST), ("test", 0)):
        folder = workspace.path("images", part)
        if not os.path.isdir(folder):
            raise DatasetError(f"{folder}: folder is missing; give the archive SUNRGBD-{part}_images.tgz")
        lines = []
        for name in sorted(n for n in os.listdir(folder) if n.endswith(".jpg")):
            number = int("".join(c for c in name if c.isdigit()))
            lines.append(f"{part}/{name} img-{number + offset:06d}.png")
        workspace.write_list(workspace.path(part + ".txt"), lines)

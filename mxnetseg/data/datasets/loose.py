"""Anybody's pictures as a data set without labels, in the classes and colours of another one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Dict, List, Optional, Sequence

from mxnetseg.data import dataset_info
from mxnetseg.data.datasets.base import Dataset, Sample, usual_statistics
from mxnetseg.data.palettes import palette_array
from mxnetseg.data.reading import IMAGE_EXTENSIONS, read_channels, read_image
from mxnetseg.errors import DatasetError


class LoosePictures(Dataset):
    """Picture files, and all pictures in folders at any depth.

    Parameters
    ----------
    paths : sequence of str
    trained_on : str
        Data set whose classes, colours, mean and std these are; `options` its keyword arguments, for
        those whose classes the recipe states.
    """

    def __init__(self, paths: Sequence[str], trained_on: str, options: Optional[Mapping[str, Any]] = None):
        super().__init__(None, "")
        given = {key: value for key, value in (options or {}).items() if value is not None}
        if isinstance(given.get("classes"), Mapping):  # name -> colour, as data set `folder` takes them
            given.setdefault("palette", list(given["classes"].values()))
        facts = {**dataset_info(trained_on), **given}
        self.name = "pictures"
        self.classes = tuple(str(name) for name in facts["classes"])
        if not self.classes:
            raise DatasetError(
                f"data set {trained_on!r} has no classes of its own: the recipe must name them"
            )
        self.palette = palette_array(facts["palette"])
        for key in ("scales", "crop", "base", "ignore_index"):
            setattr(self, key, facts[key])
        for key in ("images", "image_suffix"):
            if isinstance(given.get(key), (list, tuple)):
                raise DatasetError(
                    f"images of data set {trained_on!r} lie in several files each (data.options.{key}): "
                    f"predict a split of it instead of single pictures"
                )
        self.channels = facts["channels"]
        mean, std = usual_statistics(self.channels) if "channels" in given else (facts["mean"], facts["std"])
        self.mean, self.std = given.get("mean", mean), given.get("std", std)
        self.train_id_to_label_id = facts["train_id_to_label_id"]
        self.paths: List[str] = []
        for path in paths:
            self.paths += pictures_under(path)
        self.names = output_names(self.paths)

    has_labels = False

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Sample:
        path = self.paths[index]
        image = read_image(path) if self.channels == 3 else read_channels([path], self.channels)
        return Sample(image, None, self.names[index])


def pictures_under(path: str) -> List[str]:
    """The file itself, or the pictures in the folder at any depth, sorted. DatasetError for none."""
    if os.path.isfile(path):
        return [path]
    if not os.path.isdir(path):
        raise DatasetError(f"{path}: no such picture or folder")
    found = []
    for where, _, names in os.walk(path):
        found += [os.path.join(where, name) for name in names if name.lower().endswith(IMAGE_EXTENSIONS)]
    if not found:
        raise DatasetError(f"{path}: no pictures in this folder; looked for {', '.join(IMAGE_EXTENSIONS)}")
    return sorted(found)


def output_names(paths: Sequence[str]) -> List[str]:
    """A name for what is written about each picture: its stem, with a number where another has it already."""
    names: Dict[str, int] = {}  # with the last number given to each
    for path in paths:
        stem = os.path.splitext(os.path.basename(path))[0]
        name, number = stem, names.get(stem, 1)
        while name in names:
            number += 1
            name = f"{stem}_{number}"
        names[name] = 1
        names[stem] = number
    return list(names)

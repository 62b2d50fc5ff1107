"""The three ways in which data sets of files are laid out; most data sets are facts plus one of these."""

from __future__ import annotations

import os
from typing import Dict, List, Optional, Tuple

import numpy as np

from mxnetseg.data.datasets.base import FileDataset, Item, palette_array, stem
from mxnetseg.errors import DatasetError


class UnpackedDataset(FileDataset):
    """A root that may be the archive's own top folder or the folder it was unpacked in.

    `root_variants` are tried in order; the first that holds `root_marker` is the root. None does: the root
    stays as typed, and the error names what is missing there.
    """

    root_variants: Tuple[str, ...] = ("",)
    root_marker: str = ""
    # Samples per split as published; `python -m mxnetseg.data check` compares. A split that users draw
    # themselves has none.
    sizes: Dict[str, int] = {}

    def find_root(self, root: str) -> str:
        root = super().find_root(root)
        for variant in self.root_variants:
            candidate = os.path.join(root, variant) if variant else root
            if os.path.exists(os.path.join(candidate, self.root_marker)):
                return candidate
        return root

    def missing(self, path: str, expected: str) -> DatasetError:
        error = str(super().missing(path, expected))
        return DatasetError(
            f"{error}. The official archives are unpacked and converted by: "
            f"python -m mxnetseg.data prepare {self.name} --from ARCHIVES --to ROOT"
        )


class ListedDataset(UnpackedDataset):
    """One list file per split, one id per line; image and label paths follow from the id."""

    lists: Dict[str, str] = {}
    image_path: str = "images/{id}.jpg"
    label_path: str = "labels/{id}.png"

    def list_items(self, split: str) -> List[Item]:
        labelled = split not in self.unlabelled_splits
        items = []
        for words in self.read_list(self.lists[split]):
            image = os.path.join(self.root, self.image_path.format(id=words[0]))
            label = os.path.join(self.root, self.label_path.format(id=words[0]))
            items.append(Item(image, label if labelled else None, words[0].replace("/", "_")))
        return items


class PairListedDataset(UnpackedDataset):
    """One list file per split whose lines are `image-file label-file`."""

    lists: Dict[str, str] = {}
    image_folder: str = "images"
    label_folder: str = "labels"

    def list_items(self, split: str) -> List[Item]:
        items = []
        for number, words in enumerate(self.read_list(self.lists[split]), 1):
            if len(words) != 2:
                raise DatasetError(
                    f"{os.path.join(self.root, self.lists[split])}, line {number}: expected "
                    f"'image-file label-file', found {' '.join(words)!r}"
                )
            name = os.path.splitext(words[0])[0].replace("/", "_")
            items.append(
                Item(
                    os.path.join(self.root, self.image_folder, words[0]),
                    os.path.join(self.root, self.label_folder, words[1]),
                    name,
                )
            )
        return items


class FolderPairsDataset(UnpackedDataset):
    """A folder of images and a folder of labels per split; the label's name follows from the image's.

    `folders`: split -> candidates of (image folder, label folder or None) and, where it differs, label end;
    the first of which both exist is taken, else the last whose image folder does. One of `image_ends` and the
    label end are the ends of the file names that replace each other.
    """

    folders: Dict[str, Tuple[Tuple[Optional[str], ...], ...]] = {}
    image_ends: Tuple[str, ...] = (".jpg",)
    label_end: str = ".png"

    def list_items(self, split: str) -> List[Item]:
        images, labels, label_end = self._folders(split)
        return self.pairs(images, None if split in self.unlabelled_splits else labels, label_end)

    def pairs(self, images: str, labels: Optional[str], label_end: Optional[str] = None) -> List[Item]:
        """The samples of a folder of images and one of labels (None: there are none) under the root."""
        items = []
        for path in self.find_files(images, self.image_ends):
            label = None
            if labels is not None:
                below = os.path.relpath(path, os.path.join(self.root, images))
                end = next(e for e in self.image_ends if below.lower().endswith(e.lower()))
                label = os.path.join(self.root, labels, below[: -len(end)] + (label_end or self.label_end))
            items.append(Item(path, label, self.item_name(path)))
        return items

    def item_name(self, path: str) -> str:
        """Name of a sample; unique within a split."""
        return stem(path)

    def _folders(self, split: str) -> Tuple[str, Optional[str], str]:
        """Image folder, label folder and label end of a split."""
        there = [c for c in self.folders[split] if os.path.isdir(os.path.join(self.root, c[0]))]
        if not there:
            raise self.missing(os.path.join(self.root, self.folders[split][0][0]), "a folder of images there")
        whole = [c for c in there if c[1] is None or os.path.isdir(os.path.join(self.root, c[1]))]
        images, labels, *end = (whole or there[-1:])[0]
        return images, labels, end[0] if end else self.label_end


def tiled_folders(converted_end: str = ".png") -> Dict[str, Tuple[Tuple[Optional[str], ...], ...]]:
    """Folders of a `TiledDataset`; `converted_end`: that of the labels that mmsegmentation's tools write."""
    folders: Dict[str, Tuple[Tuple[Optional[str], ...], ...]] = {}
    for split in ("train", "val"):
        folders[split] = (
            (f"tiles/{split}/images", f"tiles/{split}/labels"),
            (f"img_dir/{split}", f"ann_dir/{split}", converted_end),
        )
        folders[f"{split}_scenes"] = ((f"scenes/{split}/images", f"scenes/{split}/labels"),)
    return folders


class TiledDataset(FolderPairsDataset):
    """Pictures too large to be read for a crop, cut into tiles by `prepare`: `train` and `val` are the tiles,
    `train_scenes` and `val_scenes` the pictures themselves, over which prediction slides its window."""

    splits = ("train", "val", "train_scenes", "val_scenes")
    image_ends = (".png", ".tif")
    folders = tiled_folders()
    layout = (
        "tiles/{train,val}/{images,labels}/*.png and scenes/{train,val}/{images,labels}/* (made by prepare)"
    )


def shifted_table(nclass: int) -> Dict[int, int]:
    """Files that count classes from 1, with 0 for unlabelled: 0 -> 255 (ignored), k -> k - 1."""
    return {0: 255, **{k + 1: k for k in range(nclass)}}


def bit_palette(count: int, first: int = 0) -> np.ndarray:
    """Colours `first`..`first + count - 1` of Pascal VOC's map, uint8 (count, 3).

    Bit 3k of the index is bit 7-k of red, bit 3k+1 of green, bit 3k+2 of blue. Used too where a data set
    publishes no colours: they are distinct up to 256.
    """
    colours = []
    for index in range(first, first + count):
        colour = [0, 0, 0]
        for bit in range(8):
            for channel in range(3):
                colour[channel] |= (index >> (3 * bit + channel) & 1) << (7 - bit)
        colours.append(colour)
    return palette_array(colours)

"""What every data set is: facts on the class, a listing of files, and the reading that all share.

A new data set of files is a subclass of `FileDataset` with the facts as class attributes and one method,
`list_items(split)`. It reads; it never augments. Registered with `@DATASETS.register(name)`, every
module of this package is imported on first use, so that a new file is all it takes.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Dict, List, NamedTuple, Optional, Tuple

import cv2
import numpy as np

from mxnetseg.data.palettes import default_palette, palette_array
from mxnetseg.data.reading import (
    IMAGE_EXTENSIONS,
    exif_orientation,
    read_channels,
    read_image,
    read_label,
)
from mxnetseg.errors import DatasetError
from mxnetseg.opening import only_files
from mxnetseg.registry import Registry

DATASETS = Registry("data set", package="mxnetseg.data.datasets")

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def usual_statistics(channels: int) -> Tuple[Tuple[float, ...], Tuple[float, ...]]:
    """(mean, std) where nobody measured them: ImageNet's of red, green and blue, 0.5 and 0.25 of others."""
    if channels < 3:
        return (0.5,) * channels, (0.25,) * channels
    others = channels - 3
    return IMAGENET_MEAN + (0.5,) * others, IMAGENET_STD + (0.25,) * others


class Sample(NamedTuple):
    """One picture: `image` uint8 (H, W, channels), RGB where there are 3; `label` int32 (H, W) of train ids,
    or None; `name`."""

    image: np.ndarray
    label: Optional[np.ndarray]
    name: str


class Item(NamedTuple):
    """Where one sample lies. `name` is unique within a split and can serve as a file name (no slash).

    `more`: further image files, whose channels follow those of `image`.
    """

    image: str
    label: Optional[str]
    name: str
    more: Tuple[str, ...] = ()


class Submission(NamedTuple):
    """How a benchmark's server takes predictions.

    path : of one inside the archive; `{name}` is the sample's, `{split}` the split's
    archive : ".zip", or ".tgz"
    indexed : PNG files carry the palette; else they are grey
    """

    path: str = "{name}.png"
    archive: str = ".zip"
    indexed: bool = False


class Dataset:
    """The contract. Subclasses fill in the facts, `__len__` and `__getitem__`."""

    # Facts; a subclass states them, an instance may replace them (`folder` does).
    name: str = ""
    title: str = ""
    paper: str = ""
    url: str = ""
    classes: Sequence[str] = ()
    palette: np.ndarray = np.zeros((0, 3), np.uint8)
    ignore_index: int = 255
    splits: Tuple[str, ...] = ("train", "val", "test")
    unlabelled_splits: Tuple[str, ...] = ()
    # Splits that some copies carry without labels: unlabelled where not one item has any.
    optional_labels: Tuple[str, ...] = ()
    # Train id -> id that the benchmark's files have, where they have other ones; and the layout that its
    # server takes, where there is one.
    train_id_to_label_id: Optional[Sequence[int]] = None
    submission: Optional[Submission] = None
    # Factors of `--ms`, and the crop and base sizes (pixels) of the usual recipes.
    scales: Tuple[float, ...] = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
    crop: int = 480
    base: int = 520
    # Of the images: 3 are RGB. Statistics per channel in [0, 1] units.
    channels: int = 3
    mean: Tuple[float, ...] = IMAGENET_MEAN
    std: Tuple[float, ...] = IMAGENET_STD
    # One line: what lies where under the root.
    layout: str = ""

    def __init__(self, root: Optional[str] = None, split: str = "train"):
        self.root = root
        self.split = split

    @property
    def nclass(self) -> int:
        return len(self.classes)

    @property
    def scored_classes(self) -> List[str]:
        """Names of what a prediction can be: the classes, behind a background where there is only one."""
        names = list(self.classes)
        return ["background", *names] if len(names) == 1 else names

    @property
    def scored_palette(self) -> np.ndarray:
        """Their colours, uint8 (n, 3)."""
        palette, count = palette_array(self.palette), len(self.scored_classes)
        if len(palette) == 1 and count == 2:
            return np.concatenate([np.zeros((1, 3), np.uint8), palette])
        return palette[:count] if len(palette) >= count else default_palette(count)

    @property
    def has_labels(self) -> bool:
        """False where the split comes without labels (a benchmark's test set)."""
        return not any(part in self.unlabelled_splits for part in self.split.split("+"))

    def __len__(self) -> int:
        raise NotImplementedError

    def __getitem__(self, index: int) -> Sample:
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}(root={self.root!r}, split={self.split!r}, {len(self)} samples)"


class FileDataset(Dataset):
    """A data set of one image file and one label file per sample.

    Splits can be joined: `train+val`. Construction lists files and checks that they pair up; values
    inside them are checked as they are read.
    """

    # Value in the label file -> train id (or `ignore_index`). A value outside the table is an error that
    # lists it. None: the files hold train ids and `ignore_index` already.
    label_table: Optional[Dict[int, int]] = None

    def __init__(self, root: Optional[str] = None, split: str = "train"):
        super().__init__(root, split)
        self.root = self.find_root(os.fspath(root) if root is not None else default_root(self.name))
        self.items = self._list_all()
        self._lut: Optional[np.ndarray] = None

    # --- what a subclass writes -------------------------------------------------------------------

    def find_root(self, root: str) -> str:
        """The folder that `layout` describes, given what the user typed. Override to accept variants."""
        if not os.path.isdir(root):
            what = "is not a folder" if os.path.exists(root) else "does not exist"
            raise DatasetError(
                f"{root}: the root of data set {self.name!r} {what}; expected {self.layout}: "
                f"give data.root, or put it under the folder that MXNETSEG_DATA names"
            )
        return root

    def list_items(self, split: str) -> List[Item]:
        """The samples of one split (of `self.splits`), in an order that does not depend on the machine."""
        raise NotImplementedError

    def decode_label(self, raw: np.ndarray, path: str) -> np.ndarray:
        """Stored label, uint8/uint16 (H, W), or uint8 (H, W, 3) -> int32 (H, W) of train ids."""
        if raw.ndim == 3:
            raise DatasetError(
                f"{path}: label is an RGB picture; expected one channel of class ids. "
                f"Convert its colours to ids, or use data set 'folder' with label_format: rgb"
            )
        if self._lut is None or (raw.dtype == np.uint16 and len(self._lut) == 256):
            self._lut = self._label_lut(256 if raw.dtype == np.uint8 else 65536)
        # OpenCV's look-up takes a quarter of the time of NumPy's, for 8 bits alone.
        label = cv2.LUT(raw, self._lut[:256]) if raw.dtype == np.uint8 else self._lut[raw]
        if label.min() < 0:
            raise self._unknown_values(raw, label, path)
        return label

    # --- shared -----------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Sample:
        item = self.items[index]
        image = self.read_picture(item)
        if item.label is None:
            return Sample(image, None, item.name)
        raw = read_label(item.label)
        if raw.shape[:2] != image.shape[:2]:
            raise self._sizes_differ(item, image, raw)
        return Sample(image, self.decode_label(raw, item.label), item.name)

    def read_picture(self, item: Item) -> np.ndarray:
        """The image of a sample, uint8 (H, W, channels)."""
        if self.channels == 3 and not item.more:
            return read_image(item.image)
        return read_channels([item.image, *item.more], self.channels)

    def read_label_file(self, index: int) -> Optional[np.ndarray]:
        """The label alone, int32 (H, W) of train ids (statistics and samplers need no image)."""
        path = self.items[index].label
        return None if path is None else self.decode_label(read_label(path), path)

    def missing(self, path: str, expected: str) -> DatasetError:
        """The error for a folder or list that the layout has and the root lacks."""
        return DatasetError(
            f"{path}: not found; data set {self.name!r} expects {expected}. Layout: {self.layout}"
        )

    def find_files(self, folder: str, suffixes: Sequence[str] = IMAGE_EXTENSIONS) -> List[str]:
        """Paths under `root/folder` (any depth) that end in one of `suffixes` in any case, sorted."""
        top = os.path.join(self.root, folder)
        if not os.path.isdir(top):
            raise self.missing(top, f"a folder of {'/'.join(suffixes)} files there")
        wanted = tuple(suffix.lower() for suffix in suffixes)
        found, seen = [], set()
        for where, folders, names in os.walk(top, followlinks=True):
            # A link to a folder above would be followed round and round.
            place = os.stat(where)
            if (place.st_dev, place.st_ino) in seen:
                folders.clear()
                continue
            seen.add((place.st_dev, place.st_ino))
            found += [os.path.join(where, n) for n in names if n.lower().endswith(wanted) and n[0] != "."]
        return sorted(found)

    def read_list(self, path: str) -> List[List[str]]:
        """The lines of a list file under the root, each split at blanks; empty ones left out."""
        path = os.path.join(self.root, path)
        try:
            with open(path, encoding="utf-8-sig", opener=only_files) as handle:
                return [line.split() for line in handle if line.strip()]
        except FileNotFoundError:
            raise self.missing(path, "a list of samples there") from None
        except (OSError, UnicodeDecodeError) as error:
            raise DatasetError(f"{path}: list file cannot be read: {error}") from error

    def _list_all(self) -> List[Item]:
        items: List[Item] = []
        for part in self.split.split("+"):
            if part not in self.splits:
                raise DatasetError(
                    f"data set {self.name!r} has no split {part!r}; it has {', '.join(self.splits)} "
                    f"(joined with '+' if wanted, as in train+val)"
                )
            listed = self.list_items(part)
            if not listed:
                raise DatasetError(
                    f"{self.root}: split {part!r} of data set {self.name!r} is empty; expected {self.layout}"
                )
            if part in self.optional_labels and all(item.label is None for item in listed):
                self.unlabelled_splits = (*self.unlabelled_splits, part)
            if part not in self.unlabelled_splits:
                self._check_pairs(listed, part)
            items += listed
        return items

    def _check_pairs(self, items: Sequence[Item], split: str) -> None:
        # One listing per folder instead of one look-up per file: 100,000 labels on a network disk.
        folders: Dict[str, set] = {}
        for item in items:
            if item.label is None:
                raise DatasetError(f"{item.image}: image of split {split!r} has no label file")
            folder, name = os.path.split(item.label)
            if folder not in folders:
                folders[folder] = set(os.listdir(folder)) if os.path.isdir(folder) else set()
            if name not in folders[folder]:
                lacking = sum(1 for i in items if i.label is None or not os.path.exists(i.label))
                raise DatasetError(
                    f"{item.image}: image without label: expected {item.label} "
                    f"({lacking} of the {len(items)} images of split {split!r} lack theirs)"
                )

    def _label_lut(self, size: int) -> np.ndarray:
        lut = np.full(size, -1, np.int32)
        table = self.label_table
        if table is None:
            table = {i: i for i in range(self.nclass)}
            table[self.ignore_index] = self.ignore_index
        for value, train_id in table.items():
            if 0 <= value < size:
                lut[value] = train_id
        return lut

    def _unknown_values(self, raw: np.ndarray, label: np.ndarray, path: str) -> DatasetError:
        values, counts = np.unique(raw[label < 0], return_counts=True)
        order = np.argsort(-counts)
        listed = ", ".join(f"{values[k]} ({counts[k]} pixels)" for k in order[:6])
        more = f" and {len(values) - 6} more" if len(values) > 6 else ""
        known = _ranges(
            self.label_table if self.label_table is not None else [*range(self.nclass), self.ignore_index]
        )
        return DatasetError(
            f"{path}: label holds values that data set {self.name!r} does not know: {listed}{more}; "
            f"known are {known}: correct the file{self.unknown_value_advice}"
        )

    # What else to do than correct the file; completes the sentence of the error.
    unknown_value_advice = " or check that these are this data set's labels"

    def _sizes_differ(self, item: Item, image: np.ndarray, raw: np.ndarray) -> DatasetError:
        ih, iw = image.shape[:2]
        lh, lw = raw.shape[:2]
        turned = ""
        if (lh, lw) == (iw, ih) and exif_orientation(item.image) >= 5:
            turned = (
                " (the image carries an EXIF rotation, which is applied: "
                "the label was drawn on the unrotated picture)"
            )
        return DatasetError(
            f"{item.label}: label is {lw}x{lh} (width x height) but its image {item.image} is "
            f"{iw}x{ih}{turned}; both must have the same size"
        )


def default_root(name: str) -> str:
    """`$MXNETSEG_DATA/<name>`, else `./datasets/<name>`."""
    return os.path.join(os.environ.get("MXNETSEG_DATA") or "datasets", name)


def stem(path: str) -> str:
    """File name without folder and extension."""
    return os.path.splitext(os.path.basename(path))[0]


def _ranges(values) -> str:
    """Numbers in words: [0, 1, 2, 5] -> '0-2, 5'."""
    parts = []
    ordered = sorted(set(values))
    start = previous = None
    for value in [*ordered, None]:
        if start is not None and value is not None and value == previous + 1:
            previous = value
            continue
        if start is not None:
            parts.append(str(start) if start == previous else f"{start}-{previous}")
        start = previous = value
    return ", ".join(parts)

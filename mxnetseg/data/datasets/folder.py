"""Anybody's own images and labels, described in the recipe; no code.

The smallest description, with images/train/a.jpg beside labels/train/a.png:

    data:
      name: folder
      root: path/to/mine
      options:
        classes: [background, leaf, stem]

Options, all but `classes` with defaults:

    classes        names in the order of the train ids, or a mapping name -> [r, g, b]
    palette        colours for pictures, one [r, g, b] per class
    images, labels folders of images and labels under the root; `{split}` stands for the split's name
    channels       of an image; 3 (default) reads any picture as RGB, other numbers what the files store
    splits         per split what differs: {val: {images: .., labels: .., list: ..}}; a split whose
                   `labels` is null has none and can only be predicted
    list           file naming the samples of a split, a line each: image and label, or one name
    image_suffix, label_suffix   ends that pair a_img.jpg with a_mask.png; a dot in it fixes the extension
                   A list of folders as `images`, or of ends as `image_suffix`, makes an image of several
                   files, whose channels follow one another ([rgb/{split}, infrared/{split}])
    label_format   ids (default): one channel of numbers
                   rgb: colours, those of `classes` or `palette`
                   binary: 0 is background, everything else foreground, as in masks of 0 and 255
    id_map         value in the file -> train id or class name or `ignore`
    ignore         file values (or colours) that count for nothing; default [255], with one or two
                   classes and with binary and rgb labels nothing
    reduce_zero_label   0 in the files is ignored and k means class k - 1, as ADE20K counts
    scales, crop, base, mean, std   facts other data sets state themselves
"""

from __future__ import annotations

import os
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np

from mxnetseg.data.datasets.base import DATASETS, FileDataset, Item, palette_array, usual_statistics
from mxnetseg.data.reading import IMAGE_EXTENSIONS
from mxnetseg.errors import DatasetError, nearest

_FORMATS = ("ids", "rgb", "binary")
_SPLIT_KEYS = ("images", "labels", "list")
_LABEL_EXTENSIONS = (".png", ".tif", ".tiff", ".bmp", ".gif")
_IGNORE = 255
_UNKNOWN = 254  # in the table of colours


@DATASETS.register("folder")
class Folder(FileDataset):
    """See the head of this file."""

    name = "folder"
    title = "Your own images and labels"
    ignore_index = _IGNORE
    optional_labels = ("test",)
    crop = 512
    base = 512
    layout = "images/{split}/ and labels/{split}/ with files of the same names, unless options say otherwise"
    unknown_value_advice = (
        ", or describe the value under data.options: id_map, ignore: [255], classes, or label_format: binary "
        "for masks of 0 and 255"
    )

    def __init__(
        self,
        root: Optional[str] = None,
        split: str = "train",
        classes: Any = None,
        palette: Optional[Sequence[Sequence[int]]] = None,
        images: Union[str, Sequence[str]] = "images/{split}",
        labels: Optional[str] = "labels/{split}",
        splits: Optional[Mapping[str, Any]] = None,
        list: Optional[str] = None,
        channels: Optional[int] = None,
        image_suffix: Union[str, Sequence[str]] = "",
        label_suffix: str = "",
        label_format: str = "ids",
        id_map: Optional[Mapping[Any, Any]] = None,
        ignore: Optional[Sequence[Any]] = None,
        reduce_zero_label: bool = False,
        scales: Optional[Sequence[float]] = None,
        crop: Optional[int] = None,
        base: Optional[int] = None,
        mean: Optional[Sequence[float]] = None,
        std: Optional[Sequence[float]] = None,
    ):
        self.classes, colours = _read_classes(classes)
        self.palette = _read_palette(palette if palette is not None else colours, self.classes)
        if label_format not in _FORMATS:
            raise _option("label_format", f"{label_format!r} is none of {', '.join(_FORMATS)}")
        if label_format == "rgb" and palette is None and colours is None:
            raise _option(
                "label_format",
                "rgb needs the colours: give `classes` as name -> [r, g, b], or `palette`",
            )
        self.label_format = label_format
        if ignore is None:
            # With two classes 255 is the object as often as it is ignored: the user has to state which.
            ignore = [] if label_format != "ids" or len(self.classes) <= 2 else [_IGNORE]
        self.ignored = [*ignore]
        self.label_table = self._read_table(id_map, reduce_zero_label)
        self._colours: Optional[np.ndarray] = None
        several = [v for v in (images, image_suffix) if not isinstance(v, str)]
        files = max([len(v) for v in several], default=1)
        if any(len(v) != files for v in several) or files < 1:
            raise _option("images", "and image_suffix must be lists of one length where both are lists")
        self.image_suffixes = [image_suffix] * files if isinstance(image_suffix, str) else [*image_suffix]
        self.image_suffix, self.label_suffix = self.image_suffixes[0], label_suffix
        self.channels = channels if channels is not None else files if files > 1 else 3
        if not isinstance(self.channels, int) or self.channels < 1:
            raise _option("channels", f"is {channels!r}; give the number of channels of an image")
        if self.channels != 3:
            self.mean, self.std = usual_statistics(self.channels)
        folders = [images] * files if isinstance(images, str) else [*images]
        self.places = _read_splits(splits, {"images": folders, "labels": labels, "list": list})
        self.splits = tuple(self.places) if splits else ("train", "val", "test")
        self.unlabelled_splits = tuple(s for s in self.splits if self._place(s)["labels"] is None)
        facts = {"scales": scales, "crop": crop, "base": base, "mean": mean, "std": std}
        for key, value in facts.items():
            if value is not None:
                setattr(self, key, tuple(value) if isinstance(value, (tuple, type([]))) else value)
        if len(self.mean) != self.channels or len(self.std) != self.channels:
            raise _option("mean", f"and std need {self.channels} values, one for each channel")
        super().__init__(root, split)

    def list_items(self, split: str) -> List[Item]:
        place = self._place(split)
        labels = place["labels"]
        if split == "test" and labels and not os.path.isdir(os.path.join(self.root, labels)):
            place["labels"] = None  # pictures to predict, with nothing to compare with
        if place["list"]:
            return self._items_of_list(place)
        suffixes = _suffixes(self.image_suffix, IMAGE_EXTENSIONS)
        images = self.find_files(place["images"][0], suffixes)
        top = os.path.join(self.root, place["images"][0])
        more = self._further_images(place)
        labels = self._labels_by_key(place)
        items = []
        for path in images:
            inside = os.path.relpath(path, top)
            key = _strip(inside, self.image_suffix)
            if key is None:
                continue
            label = None
            if labels is not None:
                wanted = os.path.join(self.root, place["labels"], key + self.label_suffix)
                guess = wanted if "." in os.path.basename(self.label_suffix) else wanted + ".png"
                label = labels.get(key, guess)
            name = _flat(os.path.splitext(inside)[0])
            items.append(Item(path, label, name, tuple(self._partner(path, key, found) for found in more)))
        return items

    def _further_images(self, place: Mapping[str, Any]) -> List[Dict[str, str]]:
        """For each file after the first that an image has: {key: path}."""
        tables = []
        for folder, suffix in zip(place["images"][1:], self.image_suffixes[1:]):
            top = os.path.join(self.root, folder)
            paths = self.find_files(folder, _suffixes(suffix, IMAGE_EXTENSIONS))
            keys = [_strip(os.path.relpath(path, top), suffix) for path in paths]
            tables.append({key: path for key, path in zip(keys, paths) if key is not None})
        return tables

    def _partner(self, path: str, key: str, found: Mapping[str, str]) -> str:
        if key not in found:
            raise DatasetError(
                f"{path}: one of the {len(self.image_suffixes)} files of this image is not there: nothing is "
                f"called {key!r} beside it in data.options.images"
            )
        return found[key]

    def decode_label(self, raw: np.ndarray, path: str) -> np.ndarray:
        if self.label_format == "rgb":
            return self._decode_colours(raw, path)
        if raw.ndim == 3:
            raise DatasetError(
                f"{path}: label is an RGB picture; expected one channel of class ids. If its colours "
                f"stand for classes set data.options.label_format to rgb and give the palette"
            )
        if self.label_format == "binary":
            label = (raw != 0).astype(np.int32)
            for value in self.ignored:
                label[raw == value] = _IGNORE
            return label
        return super().decode_label(raw, path)

    def _decode_colours(self, raw: np.ndarray, path: str) -> np.ndarray:
        if raw.ndim == 2:  # every pixel happens to be grey
            raw = np.repeat(raw[:, :, None], 3, axis=2)
        if self._colours is None:
            table = np.full(1 << 24, _UNKNOWN, np.uint8)
            for train_id, colour in enumerate(self.palette):
                table[_code(colour)] = train_id
            for colour in self.ignored:
                table[_code(colour)] = _IGNORE
            self._colours = table
        codes = raw[:, :, 0].astype(np.int32) << 16
        codes |= raw[:, :, 1].astype(np.int32) << 8
        codes |= raw[:, :, 2]
        label = self._colours[codes]
        unknown = label == _UNKNOWN
        if unknown.any():
            found, counts = np.unique(codes[unknown], return_counts=True)
            order = np.argsort(-counts)[:6]
            listed = ", ".join(
                f"({found[k] >> 16}, {found[k] >> 8 & 255}, {found[k] & 255}) in {counts[k]} pixels"
                for k in order
            )
            raise DatasetError(
                f"{path}: label has {len(found)} colours that no class has: {listed}; add them to the "
                f"palette, or to data.options.ignore as [r, g, b]"
            )
        return label.astype(np.int32)

    def __getstate__(self) -> Dict[str, Any]:
        # 16 MB that every worker makes for itself when it needs it.
        return {**self.__dict__, "_colours": None}

    def _place(self, split: str) -> Dict[str, Any]:
        """Folders of images, folder of labels and list file of a split; None for what it does not have."""
        place = dict(self.places.get(split, self.places.get("", {})))
        images = place.get("images")
        place["images"] = [images] * len(self.image_suffixes) if isinstance(images, str) else images
        if len(place["images"] or []) != len(self.image_suffixes):
            raise _option("splits", f"{split} needs {len(self.image_suffixes)} folders of images")
        for key, value in place.items():
            if isinstance(value, str):
                place[key] = value.replace("{split}", split)
            elif value is not None:
                place[key] = [folder.replace("{split}", split) for folder in value]
        return place

    def _labels_by_key(self, place: Mapping[str, Any]) -> Optional[Dict[str, str]]:
        if place["labels"] is None:
            return None
        top = os.path.join(self.root, place["labels"])
        found = {}
        for path in self.find_files(place["labels"], _suffixes(self.label_suffix, _LABEL_EXTENSIONS)):
            key = _strip(os.path.relpath(path, top), self.label_suffix)
            if key is not None:
                found[key] = path
        return found

    def _items_of_list(self, place: Mapping[str, Any]) -> List[Item]:
        items = []
        for words in self.read_list(place["list"]):
            if len(words) > 2:
                raise DatasetError(
                    f"{os.path.join(self.root, place['list'])}: line {' '.join(words)!r} has {len(words)} "
                    f"words; expected an image and a label, or one name, without blanks inside"
                )
            image, *more = (
                self._find(words[0], folder, suffix, IMAGE_EXTENSIONS)
                for folder, suffix in zip(place["images"], self.image_suffixes)
            )
            label = None
            if place["labels"] is not None:
                named = words[1] if len(words) == 2 else os.path.splitext(words[0])[0]
                label = self._find(named, place["labels"], self.label_suffix, _LABEL_EXTENSIONS)
            items.append(Item(image, label, _flat(os.path.splitext(words[0])[0]), tuple(more)))
        return items

    def _find(self, name: str, folder: str, suffix: str, extensions: Sequence[str]) -> str:
        """The file a list means: relative to the root or to the folder, with or without its end."""
        stems = [os.path.join(self.root, name), os.path.join(self.root, folder, name)]
        for path in stems:
            if os.path.isfile(path):
                return path
        for path in (s + suffix + extension for s in stems for extension in ("", *extensions)):
            if os.path.isfile(path):
                return path
        return stems[0] if os.path.splitext(name)[1] else stems[1] + suffix + extensions[0]

    def _read_table(self, id_map: Optional[Mapping], reduce_zero_label: bool) -> Dict[int, int]:
        if id_map is not None and reduce_zero_label:
            raise _option("reduce_zero_label", "cannot be combined with id_map; state it in id_map")
        if self.label_format != "ids":
            if id_map is not None or reduce_zero_label:
                raise _option("id_map", f"works with label_format ids, not {self.label_format}")
            return {}
        count = len(self.classes)
        if id_map is not None:
            table = {_whole(k, "id_map"): self._train_id(v) for k, v in id_map.items()}
        elif reduce_zero_label:
            table = {0: _IGNORE, **{k + 1: k for k in range(count)}}
        else:
            # One class means a mask: 0 is what is not of the class.
            table = {k: k for k in range(max(count, 2))}
        for value in self.ignored:
            table.setdefault(_whole(value, "ignore"), _IGNORE)
        return table

    def _train_id(self, target: Any) -> int:
        if isinstance(target, str):
            if target == "ignore":
                return _IGNORE
            if target in self.classes:
                return self.classes.index(target)
            close = nearest(target, self.classes) or self.classes
            raise _option("id_map", f"names no class: {target!r}; nearest: {', '.join(close)}")
        target = _whole(target, "id_map")
        if not 0 <= target < max(len(self.classes), 2) and target != _IGNORE:
            raise _option(
                "id_map",
                f"maps to {target}; train ids are 0 to {len(self.classes) - 1}, or 255 (ignore)",
            )
        return target


def _read_classes(classes: Any) -> Tuple[List[str], Optional[List]]:
    if isinstance(classes, Mapping):
        return [str(name) for name in classes], [*classes.values()]
    if isinstance(classes, (type([]), tuple)) and classes:
        names = [str(name) for name in classes]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise _option("classes", f"names {', '.join(doubled)} more than once")
        if len(names) > 254:
            raise _option("classes", f"has {len(names)} names; at most 254 fit beside the ignore value")
        return names, None
    raise _option("classes", f"is {classes!r}; give the names of the classes, in the order of the ids")


def _read_palette(palette: Optional[Sequence], classes: Sequence[str]) -> np.ndarray:
    if palette is None:
        return palette_array([_colour(k) for k in range(len(classes))])
    if len(palette) != len(classes):
        raise _option("palette", f"has {len(palette)} colours for {len(classes)} classes")
    for colour in palette:
        _code(colour)
    return palette_array(palette)


def _colour(index: int) -> Tuple[int, int, int]:
    """Colours far apart: the bits of the index spread over the three channels, low ones first."""
    channels = [0, 0, 0]
    for place in range(8):
        for channel in range(3):
            channels[channel] |= (index >> (3 * place + channel) & 1) << (7 - place)
    return channels[0], channels[1], channels[2]


def _code(colour: Any) -> int:
    try:
        red, green, blue = (int(value) for value in colour)
    except (TypeError, ValueError):
        raise _option("palette", f"holds {colour!r}; a colour is [r, g, b]") from None
    if not all(0 <= value <= 255 for value in (red, green, blue)):
        raise _option("palette", f"holds {colour!r}; channels are 0 to 255")
    return red << 16 | green << 8 | blue


def _read_splits(splits: Optional[Mapping], shared: Dict) -> Dict[str, Dict[str, Any]]:
    if not splits:
        return {"": dict(shared)}
    places = {}
    for name, own in splits.items():
        if isinstance(own, str):  # a list file
            own = {"list": own}
        if not isinstance(own, Mapping):
            raise _option("splits", f"{name} is {own!r}; give images, labels or list")
        for key in own:
            if key not in _SPLIT_KEYS:
                raise _option("splits", f"{name} has key {key!r}; known: {', '.join(_SPLIT_KEYS)}")
        places[str(name)] = {**shared, **own}
    return places


def _suffixes(suffix: str, extensions: Sequence[str]) -> Tuple[str, ...]:
    return (suffix,) if "." in suffix else tuple(suffix + extension for extension in extensions)


def _strip(name: str, suffix: str) -> Optional[str]:
    """What pairs an image with its label: the path without suffix and extension."""
    bare = name if "." in suffix else os.path.splitext(name)[0]
    if not bare.endswith(suffix):
        return None
    return bare[: len(bare) - len(suffix)] if suffix else bare


def _flat(path: str) -> str:
    return path.replace(os.sep, "_").replace("/", "_")


def _whole(value: Any, option: str) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError):
        raise _option(option, f"holds {value!r}; expected whole numbers") from None
    if not 0 <= number < 65536:
        raise _option(option, f"holds {number}; label files hold 0 to 65535")
    return number


def _option(name: str, problem: str) -> DatasetError:
    return DatasetError(f"data set 'folder': data.options.{name} {problem}")

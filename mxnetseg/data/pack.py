"""Packing a data set into RecordIO shards, and writing its labels as train ids.

A pack is a folder with, per split, `<split>.json` (the facts of the data set) and shards
`<split>-00000.rec` with their `.idx`. A record's payload: `MXS1`, kind of picture, sizes, then
name, picture and label. Labels are train ids, as PNG; pictures are the file's own bytes unless
asked otherwise.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import tempfile
from typing import Any, List, NamedTuple, Optional, Tuple, Union

import cv2
import numpy as np

from mxnetseg.data.datasets.base import Dataset, FileDataset, Sample
from mxnetseg.data.headers import dimensions, most_pixels
from mxnetseg.data.parallel import map_samples
from mxnetseg.data.prepare.workspace import process_pool, progress_bar
from mxnetseg.data.recordio import Record, write_record
from mxnetseg.errors import ConfigError, DatasetError
from mxnetseg.opening import only_files

IMAGE_FORMATS = ("original", "png", "jpeg", "raw")
SHARD_BYTES = 256_000_000
VERSION = 1

_PAYLOAD = struct.Struct("<4sBHII")
_TAG = b"MXS1"
_ENCODED, _RAW = 0, 1
_SIZE = struct.Struct("<HH")
# Straight to RGB where OpenCV can (4.10).
_READ_RGB = getattr(cv2, "IMREAD_COLOR_RGB", None)
_FACTS = ("name title paper url ignore_index scales crop base mean std classes train_id_to_label_id").split()


class Packed(NamedTuple):
    """What `pack` has written."""

    samples: int
    shards: int
    bytes: int


def pack(
    dataset: Dataset,
    folder: str,
    shards: Optional[int] = None,
    image_format: str = "original",
    quality: int = 95,
    workers: int = 1,
) -> Packed:
    """Write every sample of a data set's split to `folder`, which may hold other splits.

    shards        number of files; None: as many as give about 256 MB each.
    image_format  `original` keeps the bytes of the image file; `png` and `jpeg` (`quality` 1..100)
                  encode anew; `raw` stores the pixels, largest and fastest to read.
    Nothing is seen in `folder` before the split is complete. A damaged sample is a DatasetError.
    """
    if image_format not in IMAGE_FORMATS:
        raise ConfigError(f"image format {image_format!r}: expected {', '.join(IMAGE_FORMATS)}")
    if not 1 <= quality <= 100 or (shards is not None and not 1 <= shards <= len(dataset)):
        raise ConfigError(f"quality {quality} must be 1..100 and shards {shards} 1..{len(dataset)}")
    if dataset.channels != 3:
        raise ConfigError(f"packs hold RGB; images of {dataset.name!r} have {dataset.channels} channels")
    encoder = _Encoder(image_format, quality)
    if shards is None:
        probe = [len(encoder(dataset, k * len(dataset) // 4)) for k in range(min(4, len(dataset)))]
        shards = max(1, round(len(dataset) * np.mean(probe) / SHARD_BYTES))
        shards = min(int(shards), len(dataset))
    bounds = [len(dataset) * k // shards for k in range(shards + 1)]
    os.makedirs(folder, exist_ok=True)
    # On the folder's own file system, so that moving in is only a change of name.
    temporary = tempfile.mkdtemp(prefix=".pack-", dir=folder)
    try:
        names = [f"{_file_name(dataset.split)}-{k:05d}" for k in range(shards)]
        jobs = [
            (dataset, encoder, os.path.join(temporary, name), *bounds[k : k + 2])
            for k, name in enumerate(names)
        ]
        _write_shards(jobs, workers, dataset)
        facts = {key: getattr(dataset, key) for key in _FACTS}
        facts.update(
            version=VERSION,
            split=dataset.split,
            samples=len(dataset),
            labelled=dataset.has_labels,
            image_format=image_format,
            palette=np.asarray(dataset.palette).tolist(),
            shards=[
                {"file": name + ".rec", "samples": bounds[k + 1] - bounds[k]} for k, name in enumerate(names)
            ],
        )
        with open(os.path.join(temporary, "facts.json"), "w", encoding="utf-8") as out:
            json.dump(facts, out, indent=1)
        total = 0
        for name in names:
            for end in (".rec", ".idx"):
                os.replace(os.path.join(temporary, name + end), os.path.join(folder, name + end))
            total += os.path.getsize(os.path.join(folder, name + ".rec"))
        os.replace(
            os.path.join(temporary, "facts.json"),
            os.path.join(folder, _file_name(dataset.split) + ".json"),
        )
    except OSError as error:
        raise DatasetError(f"{error.filename or folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return Packed(len(dataset), shards, total)


def _file_name(split: str) -> str:
    return split.replace("/", "_")


def _write_shards(jobs: List[Tuple], workers: int, dataset: Dataset) -> None:
    bar = progress_bar(len(jobs), f"packing {dataset.name} {dataset.split}")
    if workers <= 1 or len(jobs) < 2:
        for job in jobs:
            _write_shard(*job)
            bar.update()
    else:
        with process_pool(min(workers, len(jobs))) as pool:
            pending = [pool.submit(_write_shard, *job) for job in jobs]
            try:
                for one in pending:
                    one.result()
                    bar.update()
            finally:
                for one in pending:
                    one.cancel()
    bar.close()


def _write_shard(dataset: Dataset, encoder: _Encoder, path: str, start: int, stop: int) -> None:
    with open(path + ".rec", "wb") as records, open(path + ".idx", "w", encoding="ascii") as index:
        for number in range(start, stop):
            position = write_record(records, Record(number, encoder(dataset, number)))
            index.write(f"{number}\t{position}\n")


class _Encoder(NamedTuple):
    image_format: str
    quality: int

    def __call__(self, dataset: Dataset, index: int) -> bytes:
        """The payload of one sample."""
        sample = dataset[index]
        kind, image = self._image(dataset, index, sample)
        label = b"" if sample.label is None else _png(sample.label, dataset.ignore_index)
        name = sample.name.encode()
        return b"".join((_PAYLOAD.pack(_TAG, kind, len(name), len(image), len(label)), name, image, label))

    def _image(self, dataset: Dataset, index: int, sample: Sample) -> Tuple[int, bytes]:
        if self.image_format == "raw":
            return _RAW, _SIZE.pack(*sample.image.shape[:2]) + sample.image.tobytes()
        if self.image_format == "original" and isinstance(dataset, FileDataset):
            with open(dataset.items[index].image, "rb", opener=only_files) as handle:
                return _ENCODED, handle.read()
        pixels = cv2.cvtColor(sample.image, cv2.COLOR_RGB2BGR)
        if self.image_format == "jpeg":
            data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, self.quality])[1]
        else:
            data = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1]
        return _ENCODED, data.tobytes()


def _png(label: np.ndarray, ignore_index: int) -> bytes:
    if label.min() < 0 or label.max() > 255 or ignore_index > 255:
        raise DatasetError(f"labels {label.min()}..{label.max()} do not fit the 8 bits of a pack")
    return cv2.imencode(".png", label.astype(np.uint8))[1].tobytes()


def unpack_payload(
    payload: Union[bytes, memoryview], where: str
) -> Tuple[str, np.ndarray, Optional[np.ndarray]]:
    """(name, uint8 (H, W, 3) RGB, int32 (H, W) or None) of a record; `where` begins its errors."""
    if len(payload) < _PAYLOAD.size or payload[:4] != _TAG:
        raise DatasetError(f"{where}: record is not of a pack of mxnetseg; pack the data set anew")
    _, kind, name_size, image_size, label_size = _PAYLOAD.unpack_from(payload)
    view = memoryview(payload)[_PAYLOAD.size :]
    if len(view) != name_size + image_size + label_size:
        raise DatasetError(f"{where}: record has {len(view)} bytes, its parts say otherwise")
    name = bytes(view[:name_size]).decode(errors="replace")
    data = view[name_size : name_size + image_size]
    if kind == _RAW:
        height, width = _SIZE.unpack_from(data) if image_size >= _SIZE.size else (0, 0)
        if image_size != _SIZE.size + height * width * 3:
            raise DatasetError(f"{where}: picture of {name!r} has another size than it says; pack it anew")
        image = np.frombuffer(data, np.uint8, height * width * 3, _SIZE.size)
        image = image.reshape(height, width, 3)
    else:
        image = _decode(data, cv2.IMREAD_COLOR if _READ_RGB is None else _READ_RGB)
        if image is None:
            raise DatasetError(f"{where}: picture of {name!r} cannot be decoded; pack the data set anew")
        if _READ_RGB is None:
            image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    if not label_size:
        return name, image, None
    label = _decode(view[name_size + image_size :], cv2.IMREAD_UNCHANGED)
    if label is None or label.shape != image.shape[:2]:
        raise DatasetError(f"{where}: label of {name!r} cannot be decoded; pack the data set anew")
    return name, image, label.astype(np.int32)


def _decode(data: memoryview, flag: int) -> Optional[np.ndarray]:
    size = dimensions(bytes(data))
    if size is None or size[0] * size[1] > most_pixels():
        return None
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    except cv2.error:
        return None


def write_train_ids(dataset: Dataset, folder: str, workers: int = 1) -> int:
    """`folder/<split>/<name>.png`: every label as train ids (8 bits). Files that exist are left alone."""
    target = os.path.join(folder, _file_name(dataset.split))
    os.makedirs(target, exist_ok=True)
    bar = progress_bar(len(dataset), f"{dataset.name} {dataset.split}")
    for done in map_samples(dataset, _LabelWriter(target), workers):
        if isinstance(done, str):
            raise DatasetError(done)
        bar.update()
    bar.close()
    return len(dataset)


class _LabelWriter(NamedTuple):
    folder: str

    def __call__(self, dataset: Any, index: int) -> None:
        name = dataset.items[index].name
        path = os.path.join(self.folder, name + ".png")
        if os.path.exists(path):
            return
        label = dataset.read_label_file(index)
        temporary = f"{path}.{os.getpid()}.part"
        with open(temporary, "wb") as out:
            out.write(_png(label, dataset.ignore_index))
        os.replace(temporary, path)

"""RecordIO, MXNet's file format for streams of records, read and written without MXNet.

A record is the magic number, a word of 3 bits of kind and 29 bits of length, the data, and zeros up
to a multiple of four bytes, all little endian. Data in which the magic number occurs at a multiple
of four is cut there into several (kinds 1 first, 2 middle, 3 last; 0 whole) and the reader puts the
number back. Data begins with MXNet's image header: flag, label, id, id2. `mxnet.recordio` reads
what is written here and the other way round.
"""

from __future__ import annotations

import os
import struct
import zlib
from typing import BinaryIO, List, NamedTuple, Tuple, Union

import numpy as np

from mxnetseg.errors import DatasetError
from mxnetseg.opening import only_files

_MAGIC = 0xCED7230A
_HEAD = struct.Struct("<II")
_IMAGE_HEADER = struct.Struct("<IfQQ")
_LENGTH_BITS = 29
_MAX_LENGTH = (1 << _LENGTH_BITS) - 1


class Record(NamedTuple):
    """`id` numbers the record; `payload`, bytes or a view of them, is what lies behind the image header."""

    id: int
    payload: Union[bytes, memoryview]


def write_record(out: BinaryIO, record: Record) -> int:
    """Append a record; returns its position. The checksum of the payload goes into the header's id2."""
    position = out.tell()
    checksum = zlib.crc32(record.payload)
    data = _IMAGE_HEADER.pack(0, 0.0, record.id, checksum) + record.payload
    if len(data) > _MAX_LENGTH:
        raise DatasetError(f"a sample of {len(data)} bytes is too large for RecordIO ({_MAX_LENGTH})")
    parts = _split(data)
    for i, part in enumerate(parts):
        kind = 0 if len(parts) == 1 else 1 if i == 0 else 3 if i == len(parts) - 1 else 2
        out.write(_HEAD.pack(_MAGIC, kind << _LENGTH_BITS | len(part)))
        out.write(part)
        out.write(b"\0" * (-len(part) % 4))
    return position


def read_record(file: int, position: int, path: str, hint: int = 1 << 16) -> Record:
    """The record at `position` of an open file descriptor. `hint`: bytes to read at once.

    Raises DatasetError naming `path` where the file is truncated or the record's checksum differs.
    """
    data = os.pread(file, hint, position)
    if len(data) < _HEAD.size:
        raise _damaged(path, position, "the file ends before it")
    parts, offset = [], 0
    while True:
        if len(data) < offset + _HEAD.size:
            data += os.pread(file, hint, position + len(data))
        if len(data) < offset + _HEAD.size:
            raise _damaged(path, position, "the file ends within it")
        magic, word = _HEAD.unpack_from(data, offset)
        if magic != _MAGIC:
            raise _damaged(path, position, "there is no record at this position")
        kind, length = word >> _LENGTH_BITS, word & _MAX_LENGTH
        offset += _HEAD.size
        end = offset + length
        if len(data) < end:
            data += os.pread(file, end + _HEAD.size - len(data), position + len(data))
        if len(data) < end:
            raise _damaged(path, position, "the file ends within it")
        parts.append(memoryview(data)[offset:end])
        offset = end + (-length % 4)
        if kind in (0, 3):
            break
    whole = memoryview(parts[0] if len(parts) == 1 else struct.pack("<I", _MAGIC).join(parts))
    if len(whole) < _IMAGE_HEADER.size:
        raise _damaged(path, position, "it is too short for an image header")
    flag, _, number, checksum = _IMAGE_HEADER.unpack_from(whole)
    payload = whole[_IMAGE_HEADER.size :]
    if flag:
        raise _damaged(path, position, "its header holds labels: it is of another kind of pack")
    if zlib.crc32(payload) != checksum:
        raise _damaged(path, position, "its checksum differs")
    return Record(number, payload)


def read_index(path: str) -> List[Tuple[int, int]]:
    """(id, position) of every record from an `.idx` file."""
    try:
        with open(path, encoding="ascii", opener=only_files) as handle:
            pairs = [line.split("\t") for line in handle if line.strip()]
        return [(int(number), int(position)) for number, position in pairs]
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: index of a RecordIO file cannot be read ({error})") from error


def _split(data: bytes) -> List[bytes]:
    words = np.frombuffer(data, "<u4", len(data) // 4)
    parts, start = [], 0
    for word in np.flatnonzero(words == _MAGIC):
        parts.append(data[start : 4 * word])
        start = 4 * int(word) + 4
    return [*parts, data[start:]]


def _damaged(path: str, position: int, reason: str) -> DatasetError:
    return DatasetError(
        f"{path}: the record at byte {position} cannot be read: {reason}; copy the file again or pack "
        f"the data set anew"
    )

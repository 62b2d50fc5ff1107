"""MATLAB's files, both kinds: what they hold is measured before SciPy or HDF5 make anything of it.

A file of kilobytes can inflate to gigabytes, state a matrix of any size, or nest cells until SciPy overflows
the stack. Nothing that takes more than `most_bytes()` is read.
"""

from __future__ import annotations

import io
import math
import os
import struct
import zlib
from typing import Any, Iterator, Tuple

import numpy as np

from mxnetseg.data.headers import VARIABLE, most_pixels
from mxnetseg.errors import DatasetError
from mxnetseg.opening import only_files

_HEADER = 128  # bytes before the first element
_MATRIX, _COMPRESSED = 14, 15
_SPARSE = 5  # a class of matrices that states more values than it stores
_DEPTH = 16  # of cells in cells


def most_bytes() -> int:
    """What the variables of a file may take, 1 GiB unless the limit on pixels says otherwise."""
    return 4 * most_pixels()


def read_mat(path: str, variable: str) -> Any:
    """A variable of a MATLAB file (version 7 or older); DatasetError where file or variable is not there."""
    from scipy.io import loadmat

    try:
        contents = loadmat(io.BytesIO(_measured(path)), variable_names=[variable])
    except FileNotFoundError:
        raise DatasetError(f"{path}: MATLAB file does not exist") from None
    except DatasetError:
        raise
    except Exception as error:  # scipy raises whatever its parsing meets in a damaged file
        raise DatasetError(
            f"{path}: MATLAB file cannot be read ({type(error).__name__}: {error}); unpack it again"
        ) from error
    if variable not in contents:
        raise DatasetError(f"{path}: MATLAB file has no variable {variable!r}")
    return contents[variable]


def read_numbers(path: str, variable: str) -> np.ndarray:
    """The whole numbers of a list, int64 (N,); DatasetError where it holds anything else."""
    values = np.asarray(read_mat(path, variable)).ravel()
    if values.dtype.kind not in "uif" or not np.isfinite(values).all():
        raise DatasetError(f"{path}: {variable} holds {values.dtype}; expected numbers")
    return values.astype(np.int64)


def open_hdf5(path: str) -> Any:
    """The file as `h5py.File`, for `with`; DatasetError where it is none."""
    try:
        import h5py
    except ImportError:
        raise DatasetError(
            f"{path}: reading this MATLAB file needs the package h5py: pip install h5py"
        ) from None
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise DatasetError(f"{path}: HDF5 file cannot be read ({error}); download it again") from error


def hdf5_array(opened: Any, name: str, path: str) -> Any:
    """An array of an open HDF5 file, of which nothing is read yet."""
    if name not in opened:
        raise DatasetError(f"{path}: has no variable {name!r}; it is another file")
    if not hasattr(opened[name], "shape"):
        raise DatasetError(f"{path}: {name!r} is no array; it is another file")
    return opened[name]


def hdf5_rows(opened: Any, name: str, path: str, first: int, last: int) -> np.ndarray:
    """Rows `first` to `last` of an array, measured before they are read."""
    array = hdf5_array(opened, name, path)
    last = min(last, array.shape[0]) if array.shape else last
    size = math.prod(array.shape[1:]) * max(0, last - first) * array.dtype.itemsize
    if size > most_bytes():
        raise _too_large(path, f"{name!r} is {array.shape}")
    applied = array.id.get_create_plist()
    filters = {applied.get_filter(i)[0] for i in range(applied.get_nfilters())}
    if not filters <= {1, 2, 3}:  # deflate, shuffle, checksum: what MATLAB writes
        raise DatasetError(f"{path}: {name!r} is compressed in a way that MATLAB does not use")
    if 1 in filters:
        _measure_chunks(array, name, path, first, last)
    return array[first:last]


def _measure_chunks(array: Any, name: str, path: str, first: int, last: int) -> None:
    """HDF5 inflates a piece to whatever it holds: none of those needed may hold more than it should."""
    chunk = math.prod(array.chunks) * array.dtype.itemsize
    if chunk > most_bytes():
        raise _too_large(path, f"a piece of {name!r} is {array.chunks}")
    for number in range(array.id.get_num_chunks()):
        info = array.id.get_chunk_info(number)
        row = info.chunk_offset[0]
        if row >= last or row + array.chunks[0] <= first:
            continue
        skipped, stored = array.id.read_direct_chunk(info.chunk_offset)
        # Four bytes more where a checksum was taken before it was compressed.
        if not skipped and len(zlib.decompressobj().decompress(stored, chunk + 5)) > chunk + 4:
            raise _too_large(
                path, f"a piece of {name!r} inflates beyond the {chunk} bytes that it should hold"
            )


def _measured(path: str) -> bytes:
    """The file with nothing compressed in it; ValueError where it states or holds more than it may."""
    most = most_bytes()
    with open(path, "rb", opener=only_files) as handle:
        if os.fstat(handle.fileno()).st_size > most:
            raise _too_large(path, "the file is that long itself")
        data = handle.read()
    # Version 4 has no such header: it compresses nothing, and scipy reads no more than is there.
    if len(data) < _HEADER or 0 in data[:4] or data[126:128] not in (b"IM", b"MI"):
        return data
    order = "<" if data[126:128] == b"IM" else ">"
    pieces = [data[:_HEADER]]
    held = _HEADER
    for kind, begin, end in _elements(data, _HEADER, len(data), order, aligned=False):
        if kind == _COMPRESSED:
            unzip = zlib.decompressobj()
            piece = unzip.decompress(data[begin:end], most - held + 1)
        else:
            piece = struct.pack(order + "II", kind, end - begin) + data[begin:end]
        held += len(piece)
        if held > most:
            raise _too_large(path, "it inflates to more")
        _check_nested(piece, 0, len(piece), order, 0)
        pieces.append(piece)
    return b"".join(pieces)


def _elements(
    data: bytes, place: int, end: int, order: str, aligned: bool = True
) -> Iterator[Tuple[int, int, int]]:
    """(kind, begin, end) of the elements that follow one another."""
    while place + 8 <= end:
        kind, size = struct.unpack_from(order + "II", data, place)
        if kind >> 16:  # up to four bytes, within the tag
            yield kind & 0xFFFF, place + 4, place + 4 + min(kind >> 16, 4)
            place += 8
            continue
        begin, place = place + 8, place + 8 + size
        if place > end:
            raise ValueError(f"an element states {size} bytes where {end - begin} are left")
        yield kind, begin, place
        if aligned:
            place += -size % 8


def _check_nested(data: bytes, begin: int, end: int, order: str, depth: int) -> None:
    """ValueError where a matrix states more values than it has bytes, or cells are nested too deep."""
    if depth > _DEPTH:
        raise ValueError(f"cells nested more than {_DEPTH} deep")
    for kind, inner, stop in _elements(data, begin, end, order):
        if kind != _MATRIX or inner == stop:
            continue
        parts = _elements(data, inner, stop, order)
        (_, flags, _), (_, sides, after) = next(parts), next(parts, (0, 0, 0))
        shape = struct.unpack_from(f"{order}{max(0, after - sides) // 4}i", data, sides)
        (matrix_class,) = struct.unpack_from(order + "I", data, flags)
        if min(shape, default=0) < 0 or (
            matrix_class & 0xFF != _SPARSE and math.prod(shape) > max(stop - inner, 1)
        ):
            raise ValueError(f"a matrix of {shape} in {stop - inner} bytes")
        _check_nested(data, inner, stop, order, depth + 1)


def _too_large(path: str, what: str) -> DatasetError:
    return DatasetError(
        f"{path}: takes more memory than the {most_bytes() >> 20} MB allowed: {what}; unpack it again, or "
        f"raise {VARIABLE}"
    )

"""MXNet's `.params` files, named arrays, read and written in NumPy.

Not `mx.nd.load`, whose reader takes a damaged file at its word (sizes, devices, types), and not `mx.nd.save`,
whose writes to a full disk may go unnoticed. The format is that of src/ndarray/ndarray.cc: a list of arrays,
then a list of names, little-endian throughout.
"""

from __future__ import annotations

import math
import os
import struct
from typing import BinaryIO, Dict, List, Mapping, Tuple

import numpy as np

_LIST = 0x112
# Of one dense array as MXNet 1.x writes it, with NumPy's shapes, and as MXNet 0.11 wrote it. Before, the
# number of dimensions stood there.
_ARRAY, _ARRAY_NUMPY, _ARRAY_OLD = 0xF993FAC9, 0xF993FACA, 0xF993FAC8
_TYPES = {
    0: "float32",
    1: "float64",
    2: "float16",
    3: "uint8",
    4: "int32",
    5: "int8",
    6: "int64",
    7: "bool",
    8: "int16",
    9: "uint16",
}
_FLAGS = {name: flag for flag, name in _TYPES.items()}
_CPU = 1
_DIMENSIONS = 32  # of a NumPy array


def write(out: BinaryIO, arrays: Mapping[str, np.ndarray]) -> None:
    """Named arrays into an open file, as `mx.nd.load` and `net.load_parameters` read them."""
    out.write(struct.pack("<QQQ", _LIST, 0, len(arrays)))
    for array in arrays.values():
        array = np.ascontiguousarray(array)
        out.write(struct.pack("<Iii", _ARRAY, 0, array.ndim))
        out.write(struct.pack(f"<{array.ndim}q", *array.shape))
        out.write(struct.pack("<iii", _CPU, 0, _FLAGS[array.dtype.name]))
        out.write(memoryview(array).cast("B"))
    out.write(struct.pack("<Q", len(arrays)))
    for name in arrays:
        encoded = name.encode()
        out.write(struct.pack("<Q", len(encoded)) + encoded)


def read(path) -> Dict[str, np.ndarray]:
    """{name: array} of a file, names without the `arg:` and `aux:` of MXNet's older interfaces.

    Raises ValueError, in one line, for a file that is damaged, of another kind, without names, or that holds
    arrays which are not dense. Nothing is allocated that is not in the file.
    """
    with open(path, "rb") as file:
        return _Reader(file).arrays()


class _Reader:
    def __init__(self, file: BinaryIO):
        self._file = file
        self._left = os.fstat(file.fileno()).st_size

    def arrays(self) -> Dict[str, np.ndarray]:
        magic, _ = self._numbers("QQ")
        if magic != _LIST:
            raise ValueError("it does not begin like one")
        arrays = [self._array() for _ in range(self._count())]
        names = [self._bytes(self._count()).decode("utf-8", "replace") for _ in range(self._count())]
        if self._left:
            raise ValueError(f"{self._left} bytes follow its end")
        if not names or len(names) != len(arrays):
            raise ValueError(f"it has {len(arrays)} arrays and {len(names)} names")
        return {
            name.split(":", 1)[1] if name.startswith(("arg:", "aux:")) else name: array
            for name, array in zip(names, arrays)
        }

    def _bytes(self, count: int) -> bytes:
        if count > self._left:
            raise ValueError("it ends too early")
        self._left -= count
        data = self._file.read(count)
        if len(data) < count:
            raise ValueError("it ends too early")
        return data

    def _numbers(self, form: str) -> Tuple[int, ...]:
        return struct.unpack("<" + form, self._bytes(struct.calcsize("<" + form)))

    def _count(self) -> int:
        """A number of things that follow, each of at least four bytes or one of text."""
        (count,) = self._numbers("Q")
        if count > self._left:
            raise ValueError("it ends too early")
        return count

    def _array(self) -> np.ndarray:
        (magic,) = self._numbers("I")
        if magic in (_ARRAY, _ARRAY_NUMPY) and self._numbers("i") != (0,):
            raise ValueError("it holds a sparse array; only dense ones are read")
        shape = self._shape(magic)
        if not shape and magic != _ARRAY_NUMPY:
            return np.zeros(0, np.float32)  # MXNet writes nothing more of an array without a shape
        _, _, flag = self._numbers("iii")
        if flag not in _TYPES:
            raise ValueError(f"it holds numbers of a kind that is not known ({flag})")
        kind = np.dtype(_TYPES[flag])
        return np.frombuffer(self._bytes(math.prod(shape) * kind.itemsize), kind).reshape(shape)

    def _shape(self, magic: int) -> List[int]:
        if magic in (_ARRAY, _ARRAY_NUMPY, _ARRAY_OLD):
            (count,) = self._numbers("i")
            form = "q"
        else:
            count, form = magic, "I"
        if not 0 <= count <= _DIMENSIONS:
            raise ValueError(f"it states an array of {count} dimensions")
        shape = list(self._numbers(f"{count}{form}"))
        if any(not 0 <= n < 1 << 48 for n in shape) or math.prod(n for n in shape if n) >= 1 << 48:
            raise ValueError("it states an array of an impossible shape")
        return shape

"""Weight files for other libraries, written without them: PyTorch's, safetensors and NumPy's."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path
from typing import BinaryIO, Callable, Dict, Mapping, Union

import numpy as np
import safetensors.numpy

from mxnetseg.errors import CheckpointError
from mxnetseg.run_files import atomic_file

_STORAGES = {
    "float16": b"HalfStorage",
    "float32": b"FloatStorage",
    "float64": b"DoubleStorage",
    "int64": b"LongStorage",
}


def write_tensors(path: Union[str, Path], tensors: Mapping[str, np.ndarray]) -> None:
    """Write {name: array} in the format that the ending of `path` says, in this order: `.pth` or `.pt` (a
    dictionary of tensors, for `torch.load`), `.safetensors`, `.npz`. CheckpointError for other endings, and
    where the file cannot be written; it is there whole or not at all."""
    path = Path(path)
    if path.suffix not in _WRITERS:
        raise CheckpointError(f"{path}: write one of {', '.join(_WRITERS)}")
    with atomic_file(path) as file:
        _WRITERS[path.suffix](file, {name: np.asarray(array, order="C") for name, array in tensors.items()})


def _write_safetensors(file: BinaryIO, tensors: Dict[str, np.ndarray]) -> None:
    file.write(safetensors.numpy.save(tensors))


def _write_npz(file: BinaryIO, tensors: Dict[str, np.ndarray]) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in tensors.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)


def _write_torch(file: BinaryIO, tensors: Dict[str, np.ndarray]) -> None:
    """The zip archive of `torch.save`: a pickle that names storages, and their bytes, one file each."""
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", _pickle(tensors))
        archive.writestr("archive/byteorder", b"little")
        for key, array in enumerate(tensors.values()):
            little = array.astype(array.dtype.newbyteorder("<"), copy=False)
            with archive.open(f"archive/data/{key}", "w", force_zip64=True) as entry:
                entry.write(little.tobytes())
        archive.writestr("archive/version", b"3\n")


def _pickle(tensors: Dict[str, np.ndarray]) -> bytes:
    """Protocol 2, by hand: the classes that it names belong to PyTorch, which need not be here."""
    parts = [b"\x80\x02", _ORDERED, b"("]
    for key, (name, array) in enumerate(tensors.items()):
        storage = _tuple(
            _text("storage"),
            b"ctorch\n" + _STORAGES[array.dtype.name] + b"\n",
            _text(str(key)),
            _text("cpu"),
            _number(array.size),
        )
        strides = [stride // array.itemsize for stride in array.strides]
        arguments = _tuple(
            storage + b"Q",
            _number(0),
            _tuple(*map(_number, array.shape)),
            _tuple(*map(_number, strides)),
            b"\x89",
            _ORDERED,
        )
        parts += [_text(name), b"ctorch._utils\n_rebuild_tensor_v2\n", arguments, b"R"]
    return b"".join([*parts, b"u."])


# An empty OrderedDict.
_ORDERED = b"ccollections\nOrderedDict\n)R"


def _tuple(*items: bytes) -> bytes:
    return b"(" + b"".join(items) + b"t"


def _text(text: str) -> bytes:
    data = text.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def _number(value: int) -> bytes:
    if value < 2**31:
        return b"J" + struct.pack("<i", value)
    return b"\x8a\x08" + struct.pack("<q", value)


_WRITERS: Dict[str, Callable[[BinaryIO, Dict[str, np.ndarray]], None]] = {
    ".pth": _write_torch,
    ".pt": _write_torch,
    ".safetensors": _write_safetensors,
    ".npz": _write_npz,
}

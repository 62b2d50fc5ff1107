"""Files of `torch.save` read without PyTorch, whose wheels weigh gigabytes: tensors and plain containers.

Two layouts are known: the zip archive that PyTorch writes since 1.6 (`data.pkl`, one entry per storage) and
the stream before it (four pickles, then the storages one after the other). Nothing that the file names is
called or imported: what is neither tensor nor plain container becomes an inert placeholder. Tensors may not
reach outside their storage.
"""

from __future__ import annotations

import collections
import math
import pickle
import struct
import sys
import zipfile
from typing import Any, Callable, Dict

import numpy as np

_STREAM_MAGIC, _STREAM_VERSION = 0x1950A86A20F9469CFC6C, 1001
# Storage class or dtype name -> (bytes of a value as NumPy reads them, what becomes of them).
_DTYPES = {
    "Float": np.float32, "Double": np.float64, "Half": np.float16, "BFloat16": np.uint16, "Long": np.int64,
    "Int": np.int32, "Short": np.int16, "Char": np.int8, "Byte": np.uint8, "Bool": np.bool_,
}  # fmt: skip
_DTYPE_NAMES = {
    "float32": "Float", "float": "Float", "float64": "Double", "double": "Double", "float16": "Half",
    "half": "Half", "bfloat16": "BFloat16", "int64": "Long", "long": "Long", "int32": "Int", "int": "Int",
    "int16": "Short", "short": "Short", "int8": "Char", "uint8": "Byte", "bool": "Bool",
}  # fmt: skip


def read(path):
    """What `torch.save` wrote to `path`, tensors as NumPy arrays (bfloat16 as float32), other objects inert.

    Raises ValueError, in one line, for a file that is damaged, of another format or of a byte order or kind
    of tensor that is not known.
    """
    try:
        with open(path, "rb") as file:
            if zipfile.is_zipfile(file):
                file.seek(0)
                with zipfile.ZipFile(file) as archive:
                    return _read_archive(archive)
            file.seek(0)
            return _read_stream(file)
    except ValueError:
        raise
    except (OSError, EOFError, zipfile.BadZipFile, zipfile.LargeZipFile, pickle.UnpicklingError,
            struct.error) as error:  # fmt: skip
        raise ValueError(str(error) or type(error).__name__) from None
    except Exception as error:
        # A pickle program is free to do nonsense: pop from an empty stack, add to a number.
        raise ValueError(f"its pickle makes no sense ({type(error).__name__}: {error})") from None


class _Storage:
    """A run of values, fetched when a tensor wants it."""

    def __init__(self, kind: str, count: int, fetch: Callable[[], bytes]):
        self.kind, self.count, self.fetch = kind, count, fetch
        self._values = None

    def values(self) -> np.ndarray:
        if self._values is None:
            data, dtype = self.fetch(), np.dtype(_DTYPES[self.kind]).newbyteorder("<")
            if len(data) != self.count * dtype.itemsize:
                raise ValueError(f"a storage has {len(data)} bytes instead of {self.count * dtype.itemsize}")
            values = np.frombuffer(data, dtype)
            if self.kind == "BFloat16":
                values = (values.astype(np.uint32) << 16).view(np.float32)
            self._values = values
        return self._values


class _Tensor:
    """A view of a storage; becomes an array when the whole file has been read."""

    def __init__(self, storage, offset, size, stride):
        self.storage, self.offset, self.size, self.stride = storage, offset, tuple(size), tuple(stride)

    def array(self) -> np.ndarray:
        values = self.storage.values()
        whole = all(isinstance(n, int) and n >= 0 for n in (self.offset, *self.size, *self.stride))
        if not whole or len(self.size) != len(self.stride):
            raise ValueError("a tensor has an impossible shape")
        if 0 in self.size:
            return np.zeros(self.size, values.dtype)
        last = self.offset + sum((n - 1) * step for n, step in zip(self.size, self.stride))
        if last >= len(values):
            raise ValueError(f"a tensor of shape {self.size} reaches outside its storage")
        # A shape that repeats values (stride 0) may claim any size; published weights are dense.
        if math.prod(self.size) > len(values):
            raise ValueError(f"a tensor of shape {self.size} has more values than its storage")
        steps = [step * values.itemsize for step in self.stride]
        view = np.lib.stride_tricks.as_strided(values[self.offset :], self.size, steps, writeable=False)
        return np.ascontiguousarray(view).reshape(self.size)


class _Dtype(str):
    """The name of a `torch` dtype."""


class _Inert:
    """Stands for any other object: takes whatever the pickle says and does nothing."""

    def __new__(cls, *args, **keywords):
        return object.__new__(cls)

    def __init__(self, *args, **keywords):
        pass

    def __setstate__(self, state):
        pass

    def __call__(self, *args, **keywords):
        return self

    def append(self, item):
        pass

    def extend(self, items):
        pass

    def __setitem__(self, key, value):
        pass


def _rebuild_tensor(storage, offset, size, stride, *_):
    return _Tensor(storage, offset, size, stride) if isinstance(storage, _Storage) else _Inert()


def _rebuild_typed_tensor(storage, offset, size, stride, requires_grad, hooks, dtype, *_):
    """Tensors whose storage is plain bytes and whose type stands beside it."""
    if not isinstance(storage, _Storage) or dtype not in _DTYPE_NAMES:
        return _Inert()
    kind = _DTYPE_NAMES[dtype]
    count = storage.count // np.dtype(_DTYPES[kind]).itemsize
    return _Tensor(_Storage(kind, count, storage.fetch), offset, size, stride)


def _rebuild_parameter(tensor, *_):
    return tensor


def _rebuild_from_type(function, kind, arguments, state):
    return function(*arguments) if function in _TENSOR_MAKERS.values() else _Inert()


_TENSOR_MAKERS: Dict[str, Any] = {
    "_rebuild_tensor": _rebuild_tensor,
    "_rebuild_tensor_v2": _rebuild_tensor,
    "_rebuild_tensor_v3": _rebuild_typed_tensor,
    "_rebuild_parameter": _rebuild_parameter,
    "_rebuild_parameter_with_state": _rebuild_parameter,
}


class _Unpickler(pickle.Unpickler):
    def __init__(self, file, storage=None):
        super().__init__(file, encoding="utf-8")
        self._storage = storage

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if module == "torch._utils" and name in _TENSOR_MAKERS:
            return _TENSOR_MAKERS[name]
        if (module, name) == ("torch._tensor", "_rebuild_from_type_v2"):
            return _rebuild_from_type
        if (module, name) == ("torch", "Size"):
            return tuple
        if module in ("torch", "torch.storage") and name.endswith("Storage"):
            return _Dtype(name[: -len("Storage")])
        if module == "torch" and name in _DTYPE_NAMES:
            return _Dtype(name)
        return _Inert

    def persistent_load(self, saved):
        if self._storage is None or not isinstance(saved, tuple) or saved[0] != "storage":
            raise ValueError("it refers to something other than a storage")
        _, kind, key, _, count, *view = saved
        if any(part is not None for part in view):
            raise ValueError("its storages are views of each other, as only PyTorch before 0.4 wrote them")
        kind = "Byte" if kind == "Untyped" else kind
        if not isinstance(kind, str) or kind not in _DTYPES:
            return _Inert()
        return self._storage(str(kind), str(key), int(count))


def _read_archive(archive):
    names = {name.partition("/")[2]: name for name in archive.namelist() if "/" in name}
    if "data.pkl" not in names:
        raise ValueError("a zip archive that torch.save did not write (no data.pkl in it)")
    if "constants.pkl" in names:
        raise ValueError("a TorchScript program; save the network's state_dict() instead")
    if "byteorder" in names and archive.read(names["byteorder"]) != b"little":
        raise ValueError("written on a machine of the other byte order")
    known: Dict[str, _Storage] = {}

    def storage(kind, key, count):
        # Storages may be shared by tensors, under one key.
        if key not in known:
            entry = names.get(f"data/{key}")
            if entry is None:
                raise ValueError(f"storage {key} is not in it")
            known[key] = _Storage(kind, count, lambda: archive.read(entry))
        return known[key]

    with archive.open(names["data.pkl"]) as program:
        return _arrays(_Unpickler(program, storage).load())


def _read_stream(file):
    if _Unpickler(file).load() != _STREAM_MAGIC:
        raise ValueError("torch.save did not write it")
    if _Unpickler(file).load() != _STREAM_VERSION:
        raise ValueError("of an unknown version")
    machine = _Unpickler(file).load()
    if isinstance(machine, dict) and machine.get("little_endian") is False:
        raise ValueError("written on a machine of the other byte order")
    known: Dict[str, _Storage] = {}
    content: Dict[str, bytes] = {}

    def storage(kind, key, count):
        if key not in known:
            known[key] = _Storage(kind, count, lambda: content[key])
        return known[key]

    result = _Unpickler(file, storage).load()
    for key in _Unpickler(file).load():
        (count,) = struct.unpack("<q", file.read(8))
        if key not in known or count != known[key].count:
            raise ValueError(f"storage {key} is not the one that its tensors name")
        content[key] = file.read(count * np.dtype(_DTYPES[known[key].kind]).itemsize)
    return _arrays(result)


def _arrays(value):
    """`value` with every tensor in its containers as an array."""
    if isinstance(value, _Tensor):
        return value.array()
    if isinstance(value, dict):
        return {key: _arrays(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_arrays(item) for item in value]
    return value


if sys.byteorder != "little":
    raise ImportError("weights files are read on little-endian machines only")

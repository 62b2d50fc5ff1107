"""Files of `torch.save` read without PyTorch, whose wheels weigh gigabytes: tensors and plain containers.

Two layouts are known: the zip archive that PyTorch writes since 1.6 (`data.pkl`, one entry per storage) and
the stream before it (five pickles, then the storages one after the other). Their pickles are run by
`unpickle`, so nothing that the file names is called or imported: tensors of a kind that NumPy does not have
become `UnknownTensor`, whatever is neither tensor nor plain container an inert placeholder. Tensors may not
reach outside their storage; what all of it may take is in `limits`.
"""

from __future__ import annotations

import io
import os
import struct
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any, Callable, Optional, Sequence, Union

import numpy as np

from mxnetseg.weights.limits import Allowance, elements
from mxnetseg.weights.unpickle import PROGRAM_BYTES, Inert, Maker, Unpickler, put_items

_DEPTH = 64
_STREAM_MAGIC, _STREAM_VERSION = 0x1950A86A20F9469CFC6C, 1001
# Name of a `torch` dtype -> how NumPy reads its bytes; `decoded` makes numbers of them. Quantized ones are
# here for their size only: the older layout cannot be read past a storage whose size is not known.
DTYPES = {
    name: np.dtype(code)
    for name, code in {
        "float64": "<f8",
        "float32": "<f4",
        "float16": "<f2",
        "bfloat16": "<u2",
        "int64": "<i8",
        "int32": "<i4",
        "int16": "<i2",
        "int8": "i1",
        "uint64": "<u8",
        "uint32": "<u4",
        "uint16": "<u2",
        "uint8": "u1",
        "bool": "?",
        "complex64": "<c8",
        "complex128": "<c16",
        "qint32": "<i4",
        "qint8": "i1",
        "quint8": "u1",
        "quint4x2": "u1",
        "quint2x4": "u1",
    }.items()
}
_STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "UntypedStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
    "QInt32Storage": "qint32",
    "QInt8Storage": "qint8",
    "QUInt8Storage": "quint8",
    "QUInt4x2Storage": "quint4x2",
    "QUInt2x4Storage": "quint2x4",
}


def read(path: Union[str, Path], allowance: Optional[Allowance] = None) -> Any:
    """What `torch.save` wrote to `path`, tensors as NumPy arrays (bfloat16 as float32), those of a kind that
    NumPy does not have as `UnknownTensor`, other objects inert.

    `allowance`: the `limits.Allowance` to take memory from; None makes one for this file.
    Raises ValueError, in one line, for a file that is damaged, of another format, of a byte order or layout
    that is not known, or that states more than `limits` and `unpickle` allow.
    """
    try:
        allowance = allowance or Allowance.of(path)
        with open(path, "rb") as file:
            head = file.read(262)
            file.seek(0)
            # Not zipfile.is_zipfile, which takes any file with an archive's end in its last bytes.
            if head.startswith(b"PK\x03\x04"):
                with zipfile.ZipFile(file) as archive:
                    return _read_archive(archive, allowance)
            if head.endswith(b"ustar"):
                raise ValueError("a tar archive; unpack it and give the file inside")
            return _read_stream(file, allowance)
    except ValueError:
        raise
    except EOFError as error:
        raise ValueError(str(error) or "it ends too early") from None
    except (
        OSError,
        NotImplementedError,
        zipfile.BadZipFile,
        zipfile.LargeZipFile,
        zlib.error,
        struct.error,
    ) as error:
        raise ValueError(str(error) or type(error).__name__) from None
    except MemoryError:
        raise
    except Exception as error:
        # A pickle program is free to do nonsense: pop from an empty stack, add to a number.
        raise ValueError(f"its pickle makes no sense ({type(error).__name__}: {error})") from None


def decoded(values: np.ndarray, dtype: str) -> np.ndarray:
    """`values`, read as `DTYPES` says, as numbers: bfloat16 is the upper half of a float32."""
    if dtype != "bfloat16":
        return values
    wide = values.astype(np.uint32)
    wide <<= 16
    return wide.view(np.float32)


class UnknownTensor(Inert):
    """A tensor that is no plain array of numbers; `kind` says in a word or two why."""

    __slots__ = ("kind",)

    def __init__(self, kind: str) -> None:
        self.kind = kind


class _Name(Inert):
    """A storage class, a dtype or another plain name of `torch`."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class _Storage:
    """A run of values, fetched when a tensor wants it."""

    __slots__ = ("_fetch", "count", "data", "dtype")

    def __init__(self, dtype: str, count: int, fetch: Optional[Callable[[int], bytes]] = None) -> None:
        self.dtype, self.count, self._fetch = dtype, count, fetch
        self.data = None

    def size(self) -> int:
        """Its number of bytes."""
        return self.count * DTYPES[self.dtype].itemsize

    def values(self, dtype: str) -> np.ndarray:
        """Its bytes as NumPy reads `dtype`."""
        if self.data is None:
            if self._fetch is None:
                raise ValueError("a storage that its tensors name is not in it")
            self.data = self._fetch(self.size())
        kind = DTYPES[dtype]
        return np.frombuffer(self.data, kind, len(self.data) // kind.itemsize)


class _Tensor:
    """A view of a storage; becomes an array when the whole file has been read."""

    __slots__ = ("dtype", "offset", "size", "storage", "stride")

    def __init__(
        self, storage: _Storage, dtype: str, offset: int, size: Sequence[int], stride: Sequence[int]
    ) -> None:
        self.storage, self.dtype = storage, dtype
        self.offset, self.size, self.stride = offset, size, stride

    def array(self, allowance: Allowance) -> np.ndarray:
        count = elements(self.size)
        whole = all(isinstance(n, int) and 0 <= n < 1 << 48 for n in (self.offset, *self.stride))
        if not whole or len(self.size) != len(self.stride):
            raise ValueError("a tensor has an impossible shape")
        values = self.storage.values(self.dtype)
        if not count:
            return decoded(np.zeros(self.size, values.dtype), self.dtype)
        last = self.offset + sum((n - 1) * step for n, step in zip(self.size, self.stride))
        if last >= len(values):
            raise ValueError(f"a tensor of shape {self.size} reaches outside its storage")
        # A view takes nothing yet, but `torch.ones(1).expand(3, 4)` is one value and any number of them.
        if count > len(values) or self.dtype == "bfloat16":
            allowance.take(4 * count, f"a tensor of shape {self.size}")
        steps = [step * values.itemsize if n > 1 else 0 for n, step in zip(self.size, self.stride)]
        view = np.lib.stride_tricks.as_strided(values[self.offset :], self.size, steps, writeable=False)
        return decoded(view, self.dtype)


def _rebuild_tensor(storage, offset, size, stride, requires_grad=False, hooks=None, metadata=None):
    return _tensor(storage, getattr(storage, "dtype", None), offset, size, stride, metadata)


def _rebuild_typed_tensor(storage, offset, size, stride, requires_grad, hooks, dtype, metadata=None):
    """Tensors whose storage is plain bytes and whose type stands beside it: uint16 and other late dtypes."""
    return _tensor(storage, getattr(dtype, "name", None), offset, size, stride, metadata)


def _tensor(storage, dtype, offset, size, stride, metadata):
    if not isinstance(storage, _Storage):
        raise ValueError("a tensor has no storage")
    if not isinstance(size, (tuple, list)) or not isinstance(stride, (tuple, list)):
        raise ValueError("a tensor has an impossible shape")
    elements(size)
    if dtype not in DTYPES:
        return UnknownTensor(dtype)
    if metadata:
        # The bits state what PyTorch has yet to do to the values.
        return UnknownTensor("lazily negated or conjugated")
    return _Tensor(storage, dtype, offset, tuple(size), tuple(stride[: len(size) + 1]))


def _rebuild_parameter(tensor, *_):
    return tensor


_TENSOR_MAKERS = {
    "_rebuild_tensor": _rebuild_tensor,
    "_rebuild_tensor_v2": _rebuild_tensor,
    "_rebuild_tensor_v3": _rebuild_typed_tensor,
    "_rebuild_parameter": _rebuild_parameter,
    "_rebuild_parameter_with_state": _rebuild_parameter,
}


def _rebuild_from_type(function, kind, arguments, state):
    """Tensor subclasses and tensors with attributes, both passed over."""
    if not isinstance(function, _TensorMaker) or not isinstance(arguments, tuple):
        return Inert()
    return function.function(*arguments)


class _TensorMaker(Maker):
    """One of `_TENSOR_MAKERS`."""

    __slots__ = ()


def _dictionary(*arguments):
    """OrderedDict, defaultdict and Counter, whose factory and attributes are passed over."""
    result = {}
    for items in arguments:
        if isinstance(items, dict):
            put_items(result, items.items())
        elif isinstance(items, (list, tuple)):  # pairs, as Python 2 wrote them
            put_items(result, (pair for pair in items if isinstance(pair, (list, tuple)) and len(pair) == 2))
    return result


def _resolve(module, name):
    if module == "collections" and name in ("OrderedDict", "defaultdict", "Counter"):
        return Maker(_dictionary)
    if module == "torch._utils" and name in _TENSOR_MAKERS:
        return _TensorMaker(_TENSOR_MAKERS[name])
    if module == "torch._utils" and name.startswith("_rebuild_"):
        # Sparse, quantized, nested, on the meta device.
        return Maker(lambda *_: UnknownTensor(name[len("_rebuild_") :]))
    if module in ("torch._tensor", "torch.tensor") and name == "_rebuild_from_type_v2":
        return Maker(_rebuild_from_type)
    if (module, name) == ("torch", "Size"):
        return Maker(lambda sizes=(): sizes)
    if module in ("torch", "torch.storage") and (name.endswith("Storage") or name.islower()):
        return _Name(name)
    return Inert()


def _no_storage(*_):
    raise ValueError("it refers to a storage where there can be none")


def _unpickler(file, storage=_no_storage):
    def persistent(saved: Any) -> Any:
        if not isinstance(saved, tuple) or not saved:
            raise ValueError("it refers to something other than a storage")
        if saved[0] == "module":
            return Inert()  # the class of a network, which the older layout stores with its source
        if saved[0] != "storage" or len(saved) < 5:
            raise ValueError("it refers to something other than a storage")
        _, kind, key, _, count, *view = saved
        if any(part is not None for part in view):
            raise ValueError("its storages are views of each other, as only PyTorch before 0.4 wrote them")
        if not isinstance(kind, _Name) or not isinstance(key, (str, int)):
            raise ValueError("a storage has an impossible type or name")
        if not isinstance(count, int) or not 0 <= count < 1 << 48:
            raise ValueError("a storage has an impossible size")
        return storage(_STORAGES.get(kind.name, kind.name), str(key), count)

    return Unpickler(file, _resolve, persistent)


def _read_archive(archive, allowance):
    names = {name.partition("/")[2]: name for name in archive.namelist() if "/" in name}
    if "data.pkl" not in names:
        raise ValueError("a zip archive that torch.save did not write (no data.pkl in it)")
    if "constants.pkl" in names:
        raise ValueError("a TorchScript program; save the network's state_dict() instead")
    if "byteorder" in names and _entry(archive, names["byteorder"]).read(7) != b"little":
        raise ValueError("written on a machine of the other byte order")
    known = {}

    def storage(dtype: str, key: str, count: int) -> _Storage:
        # Storages may be shared by tensors, under one key.
        if key not in known:
            name = names.get(f"data/{key}")
            if name is None:
                raise ValueError(f"storage {key} is not in it")
            known[key] = _Storage(dtype, count, lambda size: _content(archive, name, size, allowance))
        return known[key]

    size = archive.getinfo(names["data.pkl"]).file_size
    if size > PROGRAM_BYTES:
        raise ValueError(f"its data.pkl has {size >> 20} MB; {PROGRAM_BYTES >> 20} are the most")
    program = io.BytesIO(_content(archive, names["data.pkl"], size, allowance))
    return _Arrays(allowance)(_unpickler(program, storage).load())


def _entry(archive, name):
    """An entry of the archive, opened."""
    info = archive.getinfo(name)
    if info.flag_bits & 1:
        raise ValueError("encrypted; unpack it and pack it again without a password")
    entry = archive.open(info)
    if info.CRC == 0:
        # torch.serialization.set_crc32_options(False) leaves the sum out.
        entry._expected_crc = None
    return entry


def _content(archive, name, size, allowance):
    """The `size` bytes of an entry; its stated size comes first, for a small file may inflate to anything."""
    stated = archive.getinfo(name).file_size
    if stated == size:
        allowance.take(size, f"its entry {name}")
        with _entry(archive, name) as entry:
            content = entry.read(size)
        stated = len(content)
    if stated != size:
        raise ValueError(f"a storage has {stated} bytes instead of {size}")
    return content


def _read_stream(file, allowance):
    known = {}

    def storage(dtype: str, key: str, count: int) -> _Storage:
        if dtype not in DTYPES:
            raise ValueError(f"a storage is of a kind that is not known ({dtype})")
        return known.setdefault(key, _Storage(dtype, count))

    programs = _unpickler(file, storage)
    if programs.load() != _STREAM_MAGIC:
        raise ValueError("torch.save did not write it")
    if programs.load() != _STREAM_VERSION:
        raise ValueError("of an unknown version")
    machine = programs.load()
    if isinstance(machine, dict) and machine.get("little_endian") is False:
        raise ValueError("written on a machine of the other byte order")
    result = programs.load()
    end = os.fstat(file.fileno()).st_size
    for key in programs.load():
        (count,) = struct.unpack("<q", file.read(8))
        if not isinstance(key, str) or key not in known or count != known[key].count:
            raise ValueError("a storage is not the one that its tensors name")
        size = known[key].size()
        if size > end - file.tell():
            raise ValueError(f"it ends within storage {key}")
        if known[key].data is None:
            allowance.take(size, f"storage {key}")
        known[key].data = file.read(size)
    return _Arrays(allowance)(result)


class _Arrays:
    """Containers copied with every tensor in them as an array.

    What the file shares, such as a list of lists of one list, stays shared. All of it is kept alive
    meanwhile, so that `id` identifies it.
    """

    def __init__(self, allowance: Allowance) -> None:
        self._allowance, self._done = allowance, {}

    def __call__(self, value, depth=0):
        if not isinstance(value, (_Tensor, dict, list, tuple)):
            return value
        if depth > _DEPTH:
            raise ValueError(f"its containers are nested more than {_DEPTH} deep")
        if id(value) not in self._done:
            if isinstance(value, _Tensor):
                self._done[id(value)] = value.array(self._allowance)
            elif isinstance(value, dict):
                self._done[id(value)] = result = {}
                result.update((key, self(item, depth + 1)) for key, item in value.items())
            else:
                self._done[id(value)] = result = []
                result.extend(self(item, depth + 1) for item in value)
        return self._done[id(value)]


if sys.byteorder != "little":
    raise ImportError("weights files are read on little-endian machines only")

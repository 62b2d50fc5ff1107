"""`torch.save` in little, so that the suite has PyTorch files where there is no PyTorch."""

from __future__ import annotations

import collections
import io
import pickle
import struct
import sys
import types
import zipfile
from contextlib import contextmanager
from unittest import mock

import numpy as np

STORAGES = {"<f4": "FloatStorage", "<f8": "DoubleStorage", "<f2": "HalfStorage", "<i8": "LongStorage"}
MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001


class Tensor:
    """An array as torch pickles it; `size`, `stride` and `offset` may lie about the storage."""

    def __init__(self, array, size=None, stride=None, offset=0):
        self.array = np.ascontiguousarray(array)
        self.size = self.array.shape if size is None else size
        self.stride = stride or tuple(s // self.array.itemsize for s in self.array.strides)
        self.offset = offset

    def __reduce__(self):
        rebuild = sys.modules["torch._utils"]._rebuild_tensor_v2
        return rebuild, (
            Storage(self.array),
            self.offset,
            self.size,
            self.stride,
            False,
            collections.OrderedDict(),
        )


class Storage:
    def __init__(self, array):
        self.array = array


class Pickler(pickle.Pickler):
    def __init__(self, file, storages, view=()):
        super().__init__(file, protocol=2)
        self.storages, self.view = storages, view

    def persistent_id(self, thing):
        if not isinstance(thing, Storage):
            return None
        key = str(len(self.storages))
        self.storages[key] = thing.array
        kind = getattr(sys.modules["torch"], STORAGES[thing.array.dtype.str])
        return ("storage", kind, key, "cuda:0", thing.array.size, *self.view)


@contextmanager
def _names():
    """Modules to pickle names out of."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for name in STORAGES.values():
        setattr(torch, name, type(name, (), {"__module__": "torch"}))
    exec("def _rebuild_tensor_v2(*arguments): pass", utils.__dict__)
    utils._rebuild_tensor_v2.__module__ = "torch._utils"
    torch._utils = utils
    with mock.patch.dict(sys.modules, {"torch": torch, "torch._utils": utils}):
        yield


def _tensors(value):
    if isinstance(value, np.ndarray):
        return Tensor(value)
    if isinstance(value, dict):
        return collections.OrderedDict((k, _tensors(v)) for k, v in value.items())
    return value


def save(content, path, stream=False, byteorder=b"little", view=None, missing=0):
    """Write `content`, its arrays as tensors, in the zip layout or in the older `stream` one.

    `view` and `missing` values belong to the storages of the latter.
    """
    storages, program = {}, io.BytesIO()
    with _names():
        Pickler(program, storages, (view,) if stream else ()).dump(_tensors(content))
    if stream:
        with open(path, "wb") as file:
            for head in (MAGIC, VERSION, {"little_endian": byteorder == b"little"}):
                pickle.dump(head, file, protocol=2)
            file.write(program.getvalue())
            pickle.dump(list(storages), file, protocol=2)
            for array in storages.values():
                file.write(struct.pack("<q", array.size - missing) + array.tobytes())
        return
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/data.pkl", program.getvalue())
        archive.writestr("net/byteorder", byteorder)
        archive.writestr("net/version", b"3\n")
        for key, array in storages.items():
            archive.writestr(f"net/data/{key}", array.tobytes())


def archive(path, program, entries=(), **keywords):
    """A zip archive as torch.save writes it around any pickle; `entries` are more names and contents."""
    with zipfile.ZipFile(path, "w", **keywords) as file:
        for name, content in (("data.pkl", program), *entries):
            file.writestr(f"net/{name}", content)

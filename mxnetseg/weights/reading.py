"""Reading published weight files into a name -> NumPy array mapping.

PyTorch files (`.pth`, `.pt`, `.tar`, `.pkl`) are read with `weights_only=True`. Files that also hold objects
of their training framework are read a second time by an unpickler that builds tensors and plain
containers only: anything else becomes an inert placeholder and nothing in the file is ever called.
"""

from __future__ import annotations

import pickle
import types
import zipfile
from pathlib import Path

import mxnet as mx
import numpy as np

from mxnetseg.errors import CheckpointError

TORCH_SUFFIXES = (".pth", ".pt", ".tar", ".pkl", ".bin")
WRAPPERS = (
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "network",
    "params",
    "weights",
)
PREFIXES = ("module.", "_orig_mod.", "model.", "net.")


def read_tensors(path):
    """{tensor name: float array} of a weights file, wrappers and data-parallel prefixes taken off.

    Knows PyTorch files, MXNet `.params` and NumPy `.npz`. Raises CheckpointError naming the file.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"no weights file at {path}")
    if path.suffix in TORCH_SUFFIXES:
        content = _read_torch(path)
    elif path.suffix == ".params":
        content = _read_params(path)
    elif path.suffix == ".npz":
        content = _read_npz(path)
    else:
        raise CheckpointError(
            f"{path} has no known ending: expected {', '.join(TORCH_SUFFIXES)}, .params or .npz"
        )
    tensors = {name: _array(value) for name, value in _unwrap(content).items() if _is_tensor(value)}
    if not tensors:
        raise CheckpointError(
            f"{path} holds no tensors, neither at its top nor under {', '.join(WRAPPERS[:3])}"
        )
    return _strip(tensors)


def _read_torch(path):
    try:
        import torch
    except ImportError:
        raise CheckpointError(
            f"{path} is a PyTorch file and PyTorch is not installed; pip install torch (CPU is enough)"
        ) from None
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "Weights only load failed" not in str(error) and "Unsupported" not in str(error):
            raise CheckpointError(f"{path} is damaged or no PyTorch file: {_first_line(error)}") from None
    except Exception as error:
        raise CheckpointError(f"{path} is damaged or no PyTorch file: {_first_line(error)}") from None
    try:
        return torch.load(path, map_location="cpu", weights_only=False, pickle_module=_inert_pickle())
    except Exception as error:
        raise CheckpointError(f"{path} is damaged or no PyTorch file: {_first_line(error)}") from None


class _Inert:
    """Stands for any object that is not a tensor: takes whatever the pickle says and does nothing."""

    def __init__(self, *args, **keywords):
        pass

    def __new__(cls, *args, **keywords):
        return object.__new__(cls)

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


def _inert_pickle():
    allowed = {
        ("collections", "OrderedDict"),
        ("torch._utils", "_rebuild_tensor_v2"),
        ("torch._utils", "_rebuild_tensor"),
        ("torch._utils", "_rebuild_parameter"),
        ("torch", "Size"),
        ("torch.serialization", "_get_layout"),
    }

    class Unpickler(pickle.Unpickler):
        def find_class(self, module, name):
            storage = module in ("torch", "torch.storage") and name.endswith("Storage")
            if storage or (module, name) in allowed:
                return super().find_class(module, name)
            return _Inert

    def load(file, **keywords):
        return Unpickler(file, **keywords).load()

    module = types.ModuleType("inert_pickle")
    module.Unpickler, module.load, module.UnpicklingError = Unpickler, load, pickle.UnpicklingError
    return module


def _read_params(path):
    try:
        content = mx.nd.load(str(path))
    except Exception as error:
        raise CheckpointError(f"{path} is damaged or no MXNet parameter file: {_first_line(error)}") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds arrays without names")
    return {name.split(":", 1)[-1]: value for name, value in content.items()}


def _read_npz(path):
    try:
        with np.load(path, allow_pickle=False) as content:
            return {name: content[name] for name in content.files}
    except (ValueError, OSError, KeyError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path} is damaged or no NumPy archive: {_first_line(error)}") from None


def _unwrap(content):
    for _ in range(3):
        inner = next(
            (content[k] for k in WRAPPERS if isinstance(content, dict) and isinstance(content.get(k), dict)),
            None,
        )
        if inner is None:
            break
        content = inner
    return content if isinstance(content, dict) else {}


def _strip(tensors):
    for prefix in PREFIXES:
        while tensors and all(name.startswith(prefix) for name in tensors):
            tensors = {name[len(prefix) :]: value for name, value in tensors.items()}
    return tensors


def _is_tensor(value):
    return hasattr(value, "shape") and (
        hasattr(value, "numpy") or hasattr(value, "asnumpy") or isinstance(value, np.ndarray)
    )


def _array(value):
    if isinstance(value, np.ndarray):
        return value
    if hasattr(value, "asnumpy"):
        return value.asnumpy()
    return value.detach().float().cpu().numpy() if value.is_floating_point() else value.cpu().numpy()


def _first_line(error):
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]

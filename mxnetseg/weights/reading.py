"""Reading published weight files into a name -> NumPy array mapping.

PyTorch files (`.pth`, `.pt`, `.tar`, `.pkl`, `.bin`) are read by PyTorch with `weights_only=True` where it is
installed. Without it, and files that also hold objects of their training framework, are read by `torchfile`,
which builds tensors and plain containers only: nothing in the file is ever called.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import mxnet as mx
import numpy as np
import safetensors
import safetensors.numpy

from mxnetseg.errors import CheckpointError
from mxnetseg.weights import torchfile

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

    Knows PyTorch files, `.safetensors`, MXNet `.params` and NumPy `.npz`. Raises CheckpointError naming the
    file.
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
    elif path.suffix == ".safetensors":
        content = _read_safetensors(path)
    else:
        raise CheckpointError(
            f"{path} has no known ending: expected {', '.join(TORCH_SUFFIXES)}, .safetensors, "
            ".params or .npz"
        )
    tensors = {
        name: _array(value)
        for name, value in _unwrap(content).items()
        if isinstance(name, str) and _is_tensor(value)
    }
    if not tensors:
        raise CheckpointError(
            f"{path} holds no tensors, neither at its top nor under {', '.join(WRAPPERS[:3])}"
        )
    return _strip(tensors)


def _read_torch(path):
    try:
        import torch

        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception:
        # Not installed; or the file holds more than tensors; or it is damaged, which the reader below says.
        pass
    try:
        return torchfile.read(path)
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged or no PyTorch file: {_first_line(error)}") from None


def _read_safetensors(path):
    try:
        return safetensors.numpy.load_file(path)
    except (safetensors.SafetensorError, OSError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path} is damaged or no safetensors file that NumPy can hold: {_first_line(error)}"
        ) from None


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
    if hasattr(value, "asnumpy"):
        value = value.asnumpy()
    elif not isinstance(value, np.ndarray):
        value = value.detach().float().numpy() if value.is_floating_point() else value.numpy()
    return value.astype(np.float32, copy=False) if value.dtype.kind == "f" else value


def _first_line(error):
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]

"""Reading published weight files into a name -> NumPy array mapping.

PyTorch files (`.pth`, `.pt`, `.tar`, `.pkl`, `.bin`) are read by PyTorch with `weights_only=True` where it is
installed. Without it, and files that also hold objects of their training framework, are read by `torchfile`,
which builds tensors and plain containers only: nothing in the file is ever called.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import mxnet as mx
import numpy as np
import safetensors

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
SAFETENSORS = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
    "C64": "complex64",
}
PREFIXES = ("module.", "_orig_mod.", "model.", "net.")
_ADVICE = "save it again as a dense float32 tensor"


def read_tensors(path):
    """{tensor name: array} of a weights file, wrappers and data-parallel prefixes taken off; floating point
    numbers are float32.

    Knows PyTorch files, `.safetensors`, MXNet `.params` and NumPy `.npz`. Raises CheckpointError naming the
    file, and the tensor where one is at fault.
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
            f"{path} has no known ending: expected {', '.join(TORCH_SUFFIXES)}, .safetensors, .params or .npz"
        )
    arrays = {n: _array(path, n, value) for n, value in _unwrap(content).items() if isinstance(n, str)}
    tensors = {name: array for name, array in arrays.items() if array is not None}
    if not tensors:
        raise CheckpointError(
            f"{path} holds no tensors, neither at its top nor under {', '.join(WRAPPERS[:3])}"
        )
    return _strip(tensors)


def _read_torch(path):
    try:
        # Its warnings (a TorchScript program, a pickle protocol) would stand before the one line of an error.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import torch

            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception:
        # Not installed; or the file holds more than tensors; or it is damaged, which the reader below says.
        pass
    try:
        return torchfile.read(path)
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged or no PyTorch file: {_line(error)}") from None


def _read_safetensors(path):
    # Not safetensors.numpy, which has no bfloat16.
    try:
        content = dict(safetensors.deserialize(path.read_bytes()))
    except (safetensors.SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is damaged or no safetensors file: {_line(error)}") from None
    return {name: _from_bytes(**tensor) for name, tensor in content.items()}


def _from_bytes(dtype, shape, data):
    if dtype not in SAFETENSORS:
        return torchfile.UnknownTensor(dtype)
    name = SAFETENSORS[dtype]
    return torchfile.decoded(np.frombuffer(data, torchfile.DTYPES[name]).reshape(shape), name)


def _read_params(path):
    try:
        content = mx.nd.load(str(path))
    except Exception as error:
        raise CheckpointError(f"{path} is damaged or no MXNet parameter file: {_line(error)}") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds arrays without names")
    return {name.split(":", 1)[-1]: value for name, value in content.items()}


def _read_npz(path):
    try:
        content = np.load(path, allow_pickle=False)
        if isinstance(content, np.ndarray):
            raise ValueError("a single array without a name; numpy.savez writes named ones")
        with content:
            return {name: content[name] for name in content.files}
    except Exception as error:
        # NumPy lets zipfile's, zlib's and the tokenizer's own errors through.
        raise CheckpointError(f"{path} is damaged or no NumPy archive: {_line(error)}") from None


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


def _array(path, name, value):
    """`value` as an array, None where it is no tensor."""
    if isinstance(value, torchfile.UnknownTensor):
        raise _unknown(path, name, value.kind)
    try:
        array = _converted(value)
    except Exception as error:
        # PyTorch says in a dozen ways that a tensor is sparse, quantized, on no device or lazily negated.
        raise CheckpointError(
            f"{path}: tensor {name!r} cannot be converted to an array: {_line(error)}; {_ADVICE}"
        ) from None
    if array is not None and array.dtype.kind not in "biuf":
        raise _unknown(path, name, array.dtype)
    return array


def _converted(value):
    if hasattr(value, "asnumpy"):
        value = value.asnumpy()
    elif hasattr(value, "numpy") and hasattr(value, "shape"):
        value = value.detach().float().numpy() if value.is_floating_point() else value.numpy()
    elif not isinstance(value, np.ndarray):
        return None
    return value.astype(np.float32, copy=False) if value.dtype.kind == "f" else value


def _unknown(path, name, kind):
    return CheckpointError(f"{path}: tensor {name!r} is of a kind that is not known ({kind}); {_ADVICE}")


def _line(error):
    """What `error` says, in one line; MXNet's errors may begin with a traceback."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return (lines[-1] if lines[0].startswith("Traceback") else lines[0])[:200]

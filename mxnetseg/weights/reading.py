"""Reading published weight files into a name -> NumPy array mapping.

Each format has a reader that believes nothing the file states (`limits`): shapes, sizes and nesting are
looked at before anything is allocated, and nothing in a file is ever called. PyTorch files are read by
`torchfile` where PyTorch is installed too, so that a file is read, or refused, the same everywhere.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Dict, Union

import numpy as np
import safetensors

from mxnetseg import params_file
from mxnetseg.errors import CheckpointError
from mxnetseg.weights import torchfile
from mxnetseg.weights.limits import TENSORS, Allowance, elements

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


def read_tensors(path: Union[str, Path]) -> Dict[str, np.ndarray]:
    """{tensor name: array} of a weights file, wrappers and data-parallel prefixes taken off; floating point
    numbers are float32.

    Knows PyTorch files, `.safetensors`, MXNet `.params` and NumPy `.npz`. Raises CheckpointError naming the
    file, and the tensor where one is at fault.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"no weights file at {path}")
    known = next((kind for kind in _READERS if path.suffix in kind), None)
    if known is None:
        raise CheckpointError(
            f"{path} has no known ending: expected {', '.join(TORCH_SUFFIXES)}, .safetensors, .params or .npz"
        )
    read, what = _READERS[known]
    try:
        allowance = Allowance.of(path)
        content = _unwrap(read(path, allowance))
        _afford(content, allowance)
    except MemoryError:
        raise CheckpointError(f"{path} needs more memory than there is") from None
    except Exception as error:
        # safetensors, zipfile, zlib and NumPy's header reader each have errors of their own.
        raise CheckpointError(f"{path} is damaged or no {what}: {_line(error)}") from None
    arrays = {n: _array(path, n, value) for n, value in content.items() if isinstance(n, str)}
    tensors = {name: array for name, array in arrays.items() if array is not None}
    if not tensors:
        raise CheckpointError(
            f"{path} holds no tensors, neither at its top nor under {', '.join(WRAPPERS[:3])}"
        )
    return _strip(tensors)


def _afford(content, allowance):
    """Whether there may be so many tensors, and memory for those that have yet to become float32."""
    if len(content) > TENSORS:
        raise ValueError(f"it names {len(content)} tensors; {TENSORS} are the most")
    for name, value in content.items():
        if isinstance(value, np.ndarray) and value.dtype != np.float32:
            allowance.take(4 * value.size, f"tensor {name!r}")


def _read_safetensors(path, allowance):
    # Not safetensors.numpy, which has no bfloat16.
    allowance.take(2 * path.stat().st_size, "the file")
    content = safetensors.deserialize(path.read_bytes())
    return {name: _from_bytes(allowance, **tensor) for name, tensor in content}


def _from_bytes(allowance, dtype, shape, data):
    if dtype not in SAFETENSORS:
        return torchfile.UnknownTensor(dtype)
    name = SAFETENSORS[dtype]
    if name == "bfloat16":
        allowance.take(4 * elements(shape), "a tensor in bfloat16")
    elements(shape)
    return torchfile.decoded(np.frombuffer(data, torchfile.DTYPES[name]).reshape(shape), name)


def _read_npz(path, allowance):
    with open(path, "rb") as file:
        if file.read(6) == np.lib.format.MAGIC_PREFIX:
            raise ValueError("a single array without a name; numpy.savez writes named ones")
        file.seek(0)
        with zipfile.ZipFile(file) as archive:
            entries = [info for info in archive.infolist() if info.filename.endswith(".npy")]
            if len(entries) > TENSORS:
                raise ValueError(f"it names {len(entries)} arrays; {TENSORS} are the most")
            return {info.filename[:-4]: _read_npy(archive, info, allowance) for info in entries}


def _read_npy(archive, info, allowance):
    """One array of a NumPy archive; its size in the archive's directory has to fit the shape it states."""
    form = np.lib.format
    allowance.take(info.file_size, f"array {info.filename[:-4]!r}")
    with archive.open(info) as file:
        version = form.read_magic(file)
        read_header = form.read_array_header_1_0 if version == (1, 0) else form.read_array_header_2_0
        shape, fortran, dtype = read_header(file)
        if dtype.kind not in "biufc" or dtype.subdtype is not None:
            return torchfile.UnknownTensor(str(dtype))
        size = elements(shape) * dtype.itemsize
        if size > info.file_size:
            raise ValueError(f"array {info.filename[:-4]!r} of shape {shape} is cut short")
        data = file.read(size)
        if len(data) < size:
            raise ValueError(f"array {info.filename[:-4]!r} of shape {shape} is cut short")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


# endings -> (reader of a path within an allowance, what such a file is called)
_READERS = {
    TORCH_SUFFIXES: (torchfile.read, "PyTorch file"),
    (".params",): (lambda path, _: params_file.read(path), "MXNet parameter file"),
    (".npz",): (_read_npz, "NumPy archive"),
    (".safetensors",): (_read_safetensors, "safetensors file"),
}


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
    if not isinstance(value, np.ndarray):
        return None
    if value.dtype.kind not in "biuf":
        raise _unknown(path, name, value.dtype)
    with np.errstate(over="ignore"):  # a float64 may be beyond float32: infinity, without a warning beside it
        return value.astype(np.float32, copy=False) if value.dtype.kind == "f" else value


def _unknown(path, name, kind):
    return CheckpointError(f"{path}: tensor {name!r} is of a kind that is not known ({kind}); {_ADVICE}")


def _line(error):
    """What `error` says, in one short line."""
    return (" ".join(str(error).split()) or type(error).__name__)[:200]

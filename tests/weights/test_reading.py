"""Published files in their own formats, whole, wrapped and damaged."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest
import safetensors.numpy

from mxnetseg.errors import CheckpointError
from mxnetseg.weights import reading, torchfile
from mxnetseg.weights.reading import read_tensors
from tests.weights.torch_writer import save

FILES = Path(__file__).parent / "files"

TENSORS = {"conv.weight": np.arange(12, dtype=np.float32).reshape(3, 4), "bn.bias": np.ones(3, np.float32)}


def same(found):
    assert set(found) == set(TENSORS)
    for name, array in TENSORS.items():
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "module.", "module.module."])
def test_wrappers_and_prefixes_of_pytorch_files_are_taken_off(tmp_path, wrapper, prefix):
    content = {prefix + name: value for name, value in TENSORS.items()}
    if wrapper:
        content = {wrapper: content, "epoch": 7, "command": "train"}
    save(content, tmp_path / "net.pth")
    same(read_tensors(tmp_path / "net.pth"))


def test_objects_of_a_training_framework_are_passed_over_and_never_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (exec, (f"open({str(tmp_path / 'sprung')!r}, 'w')",))

    save({"state_dict": TENSORS, "message_hub": Trap()}, tmp_path / "net.pth")
    same(read_tensors(tmp_path / "net.pth"))
    assert not (tmp_path / "sprung").exists()


def test_half_precision_tensors_become_float32(tmp_path):
    save({k: v.astype(np.float16) for k, v in TENSORS.items()}, tmp_path / "net.pth")
    found = read_tensors(tmp_path / "net.pth")
    assert all(a.dtype == np.float32 for a in found.values())
    same(found)


def test_safetensors_are_read(tmp_path):
    safetensors.numpy.save_file(TENSORS, tmp_path / "net.safetensors")
    same(read_tensors(tmp_path / "net.safetensors"))


def test_mxnet_and_numpy_files_are_read(tmp_path):
    mx.nd.save(str(tmp_path / "net.params"), {f"arg:{k}": mx.nd.array(v) for k, v in TENSORS.items()})
    same(read_tensors(tmp_path / "net.params"))
    np.savez(tmp_path / "net.npz", **TENSORS)
    same(read_tensors(tmp_path / "net.npz"))


@pytest.mark.parametrize("suffix", [".params", ".npz", ".pth", ".safetensors"])
def test_damaged_files_are_named(tmp_path, suffix):
    path = tmp_path / f"net{suffix}"
    path.write_bytes(b"PK\x03\x04 nothing of the kind" * 10)
    with pytest.raises(CheckpointError, match=f"net{suffix} is damaged"):
        read_tensors(path)


def test_a_truncated_pytorch_file_is_damaged(tmp_path):
    path = tmp_path / "net.pth"
    save(TENSORS, path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(CheckpointError, match="damaged"):
        read_tensors(path)


def test_missing_files_and_unknown_endings_are_said(tmp_path):
    with pytest.raises(CheckpointError, match=r"no weights file at .*gone\.pth"):
        read_tensors(tmp_path / "gone.pth")
    (tmp_path / "net.h5").write_bytes(b"x")
    with pytest.raises(CheckpointError, match="no known ending"):
        read_tensors(tmp_path / "net.h5")


def test_a_file_without_tensors_is_said(tmp_path):
    save({"epoch": 3, 7: TENSORS["bn.bias"]}, tmp_path / "net.pth")
    with pytest.raises(CheckpointError, match="no tensors"):
        read_tensors(tmp_path / "net.pth")


# What PyTorch writes and NumPy has no array for.
KINDS = {
    "complex64": lambda torch, w: w.to(torch.complex64),
    "negated": lambda torch, w: w.to(torch.complex64).conj().imag,
    "conjugated": lambda torch, w: w.to(torch.complex64).conj(),
    "complex32": lambda torch, w: w.to(torch.complex32),
    "sparse": lambda torch, w: w.to_sparse(),
    "sparse_csr": lambda torch, w: w.to_sparse_csr(),
    "quantized": lambda torch, w: torch.quantize_per_tensor(w, 0.1, 0, torch.qint8),
    "meta": lambda torch, w: w.to("meta"),
    "nested": lambda torch, w: torch.nested.nested_tensor([w, w]),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_tensors_without_a_numpy_form_are_named(kind, stream, tmp_path):
    torch = pytest.importorskip("torch")
    value = KINDS[kind](torch, torch.arange(6, dtype=torch.float32).reshape(2, 3))
    torch.save({"fc.w": value}, tmp_path / "net.pth", _use_new_zipfile_serialization=not stream)
    with pytest.raises(CheckpointError, match=r"net\.pth: tensor 'fc\.w' .*save it again") as caught:
        read_tensors(tmp_path / "net.pth")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["complex64", "float8", "negated", "sparse", "quantized", "meta"])
def test_kinds_are_named_where_pytorch_is_not_installed(kind, monkeypatch):
    content = torchfile.read(FILES / "kinds_archive.pth")["kinds"]
    monkeypatch.setattr(reading, "_unwrap", lambda _: {"fc.w": content[kind]})
    with pytest.raises(CheckpointError, match=r"tensor 'fc\.w' is of a kind that is not known \("):
        read_tensors(FILES / "kinds_archive.pth")


def safetensors_file(path, dtype, shape, data):
    header = json.dumps({"fc.w": {"dtype": dtype, "shape": shape, "data_offsets": [0, len(data)]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)
    return path


def test_safetensors_are_read_in_bfloat16_and_refused_in_float8(tmp_path):
    path = tmp_path / "net.safetensors"
    values = np.array([[1, -2.5], [3, 0]], np.float32)
    halves = (values.view(np.uint32) >> 16).astype(np.uint16)
    found = read_tensors(safetensors_file(path, "BF16", [2, 2], halves.tobytes()))["fc.w"]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, values)
    for dtype in ("F8_E4M3", "F8_E5M2"):
        with pytest.raises(CheckpointError, match=rf"'fc\.w' is of a kind that is not known \({dtype}\)"):
            read_tensors(safetensors_file(path, dtype, [4], bytes(4)))


def npz_cases():
    single, unfinished = io.BytesIO(), io.BytesIO()
    np.save(single, np.ones(3))
    header = b"{'descr': ("
    with zipfile.ZipFile(unfinished, "w") as file:
        file.writestr("a.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
    return [(b"", "not a zip file"), (single.getvalue(), "without a name"), (unfinished.getvalue(), "EOF")]


@pytest.mark.parametrize("content, reason", npz_cases(), ids=["empty", "single array", "header cut off"])
def test_damaged_numpy_archives_are_one_line(content, reason, tmp_path):
    (tmp_path / "net.npz").write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"net\.npz is damaged or no NumPy archive: .*{reason}"):
        read_tensors(tmp_path / "net.npz")


@pytest.mark.parametrize("content", [b"", b"x" * 100])
def test_damaged_mxnet_files_are_one_line(content, tmp_path):
    (tmp_path / "net.params").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"no MXNet parameter file: it (ends too early|does not begin)"):
        read_tensors(tmp_path / "net.params")

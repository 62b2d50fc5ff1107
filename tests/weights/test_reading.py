"""Published files in their own formats, whole, wrapped and damaged."""

from __future__ import annotations

import sys

import mxnet as mx
import numpy as np
import pytest
import safetensors.numpy

from mxnetseg.errors import CheckpointError
from mxnetseg.weights.reading import read_tensors
from tests.weights.torch_writer import save

TENSORS = {"conv.weight": np.arange(12, dtype=np.float32).reshape(3, 4), "bn.bias": np.ones(3, np.float32)}


def same(found):
    assert set(found) == set(TENSORS)
    for name, array in TENSORS.items():
        np.testing.assert_array_equal(found[name], array)


@pytest.fixture(params=["with PyTorch", "without PyTorch"])
def reader(request, monkeypatch):
    """The two ways to read a PyTorch file."""
    if request.param == "without PyTorch":
        monkeypatch.setitem(sys.modules, "torch", None)
    else:
        pytest.importorskip("torch", reason="PyTorch is not installed: its own reader is not tried")


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "module.", "module.module."])
def test_wrappers_and_prefixes_of_pytorch_files_are_taken_off(reader, tmp_path, wrapper, prefix):
    content = {prefix + name: value for name, value in TENSORS.items()}
    if wrapper:
        content = {wrapper: content, "epoch": 7, "command": "train"}
    save(content, tmp_path / "net.pth")
    same(read_tensors(tmp_path / "net.pth"))


def test_objects_of_a_training_framework_are_passed_over_and_never_run(reader, tmp_path):
    class Trap:
        def __reduce__(self):
            return (exec, (f"open({str(tmp_path / 'sprung')!r}, 'w')",))

    save({"state_dict": TENSORS, "message_hub": Trap()}, tmp_path / "net.pth")
    same(read_tensors(tmp_path / "net.pth"))
    assert not (tmp_path / "sprung").exists()


def test_half_precision_tensors_become_float32(reader, tmp_path):
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


def test_a_truncated_pytorch_file_is_damaged(reader, tmp_path):
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


def test_a_file_without_tensors_is_said(reader, tmp_path):
    save({"epoch": 3, 7: TENSORS["bn.bias"]}, tmp_path / "net.pth")
    with pytest.raises(CheckpointError, match="no tensors"):
        read_tensors(tmp_path / "net.pth")

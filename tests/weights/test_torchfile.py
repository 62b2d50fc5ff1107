"""PyTorch's own files and hostile ones, read without PyTorch."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mxnetseg.weights import torchfile
from tests.weights.torch_writer import Tensor, save

FILES = Path(__file__).parent / "files"  # written by torch.save of PyTorch 2.13
W = np.arange(24, dtype=np.float32).reshape(4, 6)


@pytest.mark.parametrize("layout", ["archive", "stream"])
def test_files_of_pytorch_give_their_tensors(layout):
    found = torchfile.read(FILES / f"{layout}.pth")
    assert found["epoch"] == 3 and found["optimizer"]["state"] == {0: {"step": 3}}
    expected = {
        "weight": W, "transposed": W.T, "part": W[1:3, 2:], "parameter": W + 0.5,
        "half": W.astype(np.float16), "bfloat16": W, "double": W.astype(np.float64),
        "num_batches_tracked": np.int64(7), "empty": np.zeros((0, 3), np.float32),
    }  # fmt: skip
    assert set(found["state_dict"]) == {f"module.{name}" for name in expected}
    for name, array in expected.items():
        value = found["state_dict"][f"module.{name}"]
        assert (value.dtype, value.shape) == (array.dtype, array.shape), name
        np.testing.assert_array_equal(value, array, err_msg=name)


@pytest.mark.parametrize("stream", [False, True])
def test_the_writer_of_these_tests_writes_what_pytorch_reads(stream, tmp_path):
    torch = pytest.importorskip("torch")
    save({"weight": W}, tmp_path / "net.pth", stream)
    found = torch.load(tmp_path / "net.pth", map_location="cpu", weights_only=True)
    np.testing.assert_array_equal(found["weight"].numpy(), W)
    np.testing.assert_array_equal(torchfile.read(tmp_path / "net.pth")["weight"], W)


@pytest.mark.parametrize(
    "lie, complaint",
    [
        (dict(size=(5, 6)), "outside its storage"),
        (dict(offset=1), "outside its storage"),
        (dict(offset=-1), "impossible shape"),
        (dict(size=(4, -6)), "impossible shape"),
        (dict(stride=(-6, 1)), "impossible shape"),
        (dict(size=(4, 6, 1)), "impossible shape"),
        (dict(size=(10**9, 10**9), stride=(0, 0)), "more values than its storage"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_tensor_cannot_reach_outside_its_storage(lie, complaint, stream, tmp_path):
    save({"weight": Tensor(W, **lie)}, tmp_path / "net.pth", stream)
    with pytest.raises(ValueError, match=complaint):
        torchfile.read(tmp_path / "net.pth")


@pytest.mark.parametrize("layout", ["archive", "stream"])
def test_a_file_cut_anywhere_is_a_value_error(layout, tmp_path):
    whole = (FILES / f"{layout}.pth").read_bytes()
    for end in range(0, len(whole), 37):
        (tmp_path / "net.pth").write_bytes(whole[:end])
        with pytest.raises(ValueError):
            torchfile.read(tmp_path / "net.pth")


def test_damage_anywhere_gives_tensors_or_a_value_error(tmp_path):
    whole = bytearray((FILES / "stream.pth").read_bytes())
    rng = np.random.default_rng(0)
    for place in rng.integers(0, len(whole), 300):
        damaged = bytes(whole[:place]) + bytes([int(rng.integers(256))]) + bytes(whole[place + 1 :])
        (tmp_path / "net.pth").write_bytes(damaged)
        try:
            torchfile.read(tmp_path / "net.pth")
        except ValueError as error:
            assert str(error)


def test_nothing_in_a_file_is_called(tmp_path):
    class Trap:
        def __reduce__(self):
            return (exec, (f"open({str(tmp_path / 'sprung')!r}, 'w')",))

    for stream in (False, True):
        save({"weight": W, "hub": Trap()}, tmp_path / "net.pth", stream)
        np.testing.assert_array_equal(torchfile.read(tmp_path / "net.pth")["weight"], W)
    assert not (tmp_path / "sprung").exists()


def test_other_archives_are_told_apart(tmp_path):
    path = tmp_path / "net.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "x")
    with pytest.raises(ValueError, match=r"torch\.save did not write"):
        torchfile.read(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/data.pkl", pickle.dumps({}))
        archive.writestr("net/constants.pkl", pickle.dumps(()))
    with pytest.raises(ValueError, match="TorchScript"):
        torchfile.read(path)
    save({"weight": W}, path, byteorder=b"big")
    with pytest.raises(ValueError, match="other byte order"):
        torchfile.read(path)

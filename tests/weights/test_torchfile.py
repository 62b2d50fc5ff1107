"""PyTorch's own files and hostile ones, read without PyTorch."""

from __future__ import annotations

import collections
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mxnetseg.weights import torchfile
from tests.weights.torch_writer import Tensor, archive, save

FILES = Path(__file__).parent / "files"  # written by torch.save of PyTorch 2.13
W = np.arange(24, dtype=np.float32).reshape(4, 6)


@pytest.mark.parametrize("layout", ["archive", "stream"])
def test_files_of_pytorch_give_their_tensors(layout):
    found = torchfile.read(FILES / f"{layout}.pth")
    assert found["epoch"] == 3 and found["optimizer"]["state"] == {0: {"step": 3}}
    expected = {
        "weight": W,
        "transposed": W.T,
        "part": W[1:3, 2:],
        "parameter": W + 0.5,
        "half": W.astype(np.float16),
        "bfloat16": W,
        "double": W.astype(np.float64),
        "num_batches_tracked": np.int64(7),
        "empty": np.zeros((0, 3), np.float32),
    }
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
        (dict(size=(10**9, 10**9), stride=(0, 0)), "impossible shape"),
        (dict(size=(10**5, 10**6), stride=(0, 0)), "out of proportion to the file"),
        (dict(size=(1,) * 80, stride=(0,) * 80), "80 dimensions"),
        (dict(size=(4, 6, 0), stride=(0, 0, 2**70)), "impossible shape"),
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


def test_other_archives_are_recognized(tmp_path):
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
    save({"weight": W}, path, stream=True, byteorder=b"big")
    with pytest.raises(ValueError, match="other byte order"):
        torchfile.read(path)
    save({"weight": W}, tmp_path / "inner.pth")
    with tarfile.open(path, "w") as tar:
        tar.add(tmp_path / "inner.pth")
    with pytest.raises(ValueError, match="a tar archive"):
        torchfile.read(path)


@pytest.mark.parametrize("layout", ["archive", "stream"])
def test_late_dtypes_subclasses_and_expanded_tensors_are_read(layout):
    found = torchfile.read(FILES / f"kinds_{layout}.pth")["state_dict"]
    expected = {
        "uint16": np.array([1, 65535], np.uint16),
        "uint64": np.array([2**64 - 1], np.uint64),
        "subclass": np.arange(6, dtype=np.float32).reshape(2, 3),
        "expanded": np.ones((3, 4), np.float32),
        "odd": np.array([1, 2, 3], np.uint8),
    }
    assert set(found) == set(expected)
    for name, array in expected.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape), name
        np.testing.assert_array_equal(found[name], array, err_msg=name)


@pytest.mark.parametrize("layout", ["archive", "stream"])
def test_tensors_that_are_no_plain_numbers_are_marked_with_their_kind(layout):
    found = torchfile.read(FILES / f"kinds_{layout}.pth")["kinds"]
    assert type(found) is dict and found.pop("complex64").dtype == np.complex64
    assert all(type(value) is torchfile.UnknownTensor for value in found.values())
    assert {name: value.kind for name, value in found.items()} == {
        "float8": "float8_e4m3fn",
        "negated": "lazily negated or conjugated",
        "conjugated": "lazily negated or conjugated",
        "sparse": "sparse_tensor",
        "quantized": "qtensor",
        "meta": "meta_tensor_no_storage",
    }


def test_a_storage_that_is_not_known_is_said_by_its_kind(tmp_path):
    save({"weight": W}, tmp_path / "net.pth", stream=True)
    data = (tmp_path / "net.pth").read_bytes().replace(b"FloatStorage", b"FlyerStorage")
    (tmp_path / "net.pth").write_bytes(data)
    with pytest.raises(ValueError, match=r"kind that is not known \(FlyerStorage\)"):
        torchfile.read(tmp_path / "net.pth")


@pytest.mark.parametrize(
    "lie, complaint",
    [
        (dict(view=("0", 0, 24)), "views of each other"),
        (dict(missing=1), "not the one that its tensors name"),
    ],
)
def test_the_older_layout_is_held_to_what_it_says(lie, complaint, tmp_path):
    save({"weight": W}, tmp_path / "net.pth", stream=True, **lie)
    with pytest.raises(ValueError, match=complaint):
        torchfile.read(tmp_path / "net.pth")


def test_an_older_file_cut_within_a_storage_says_so(tmp_path):
    save({"weight": W}, tmp_path / "net.pth", stream=True)
    (tmp_path / "net.pth").write_bytes((tmp_path / "net.pth").read_bytes()[:-1])
    with pytest.raises(ValueError, match="ends within storage 0"):
        torchfile.read(tmp_path / "net.pth")


def test_an_older_file_that_ends_like_a_zip_archive_is_no_archive(tmp_path):
    values = np.frombuffer(b"PK\x05\x06" + bytes(20), np.int64)
    save({"steps": values}, tmp_path / "net.pth", stream=True)
    assert zipfile.is_zipfile(tmp_path / "net.pth")
    np.testing.assert_array_equal(torchfile.read(tmp_path / "net.pth")["steps"], values)


def test_check_sums_count_where_the_file_has_them(tmp_path):
    found = torchfile.read(FILES / "no_crc.pth")["weight"]
    np.testing.assert_array_equal(found, np.arange(6, dtype=np.float32).reshape(2, 3))
    save({"weight": W}, tmp_path / "net.pth")
    data = (tmp_path / "net.pth").read_bytes()
    (tmp_path / "net.pth").write_bytes(data.replace(W.tobytes(), (W + 1).tobytes()))
    with pytest.raises(ValueError, match="Bad CRC-32"):
        torchfile.read(tmp_path / "net.pth")


def test_dictionaries_of_collections_are_plain_ones(tmp_path):
    counter, default = collections.Counter(a=2), collections.defaultdict(list, a=3)
    pairs = b"\x80\x02ccollections\nOrderedDict\n](](X\x01\x00\x00\x00aK\x01ee\x85R."  # Python 2's way
    for program, value in ((pickle.dumps(counter, 2), 2), (pickle.dumps(default, 2), 3), (pairs, 1)):
        archive(tmp_path / "net.pth", program)
        found = torchfile.read(tmp_path / "net.pth")
        assert type(found) is dict and found == {"a": value}


def test_bytes_of_python_2_are_passed_over(tmp_path):
    archive(tmp_path / "net.pth", b"\x80\x02}(U\x05epochK\x03U\x04lossU\x04\x00\x00\x80\x3fu.")
    assert torchfile.read(tmp_path / "net.pth")["epoch"] == 3


def test_a_network_beside_its_tensors_is_passed_over(tmp_path):
    network = b"(X\x06\x00\x00\x00modulecmine\nNet\nNNtQ)\x81}b"
    archive(tmp_path / "net.pth", b"\x80\x02}(K\x01" + network + b"K\x02K\x03u.")
    assert torchfile.read(tmp_path / "net.pth")[2] == 3


def test_what_a_file_shares_stays_shared(tmp_path):
    inner = content = []
    for _ in range(5):
        content = [content] * 3
    inner.append(content)  # and a ring
    archive(tmp_path / "net.pth", pickle.dumps(content, 2))
    found = torchfile.read(tmp_path / "net.pth")
    assert found[0] is found[1] and found[0][0][0][0][0][0] is found


def test_a_storage_of_another_size_is_not_inflated(tmp_path, monkeypatch):
    save({"weight": W}, tmp_path / "whole.pth")
    with zipfile.ZipFile(tmp_path / "whole.pth") as whole:
        program = whole.read("net/data.pkl")
    archive(tmp_path / "net.pth", program, [("data/0", bytes(1 << 20))], compression=zipfile.ZIP_DEFLATED)
    opened, plain = [], zipfile.ZipFile.open
    monkeypatch.setattr(
        zipfile.ZipFile, "open", lambda self, info, *rest: opened.append(info) or plain(self, info, *rest)
    )
    with pytest.raises(ValueError, match=f"{1 << 20} bytes instead of 96"):
        torchfile.read(tmp_path / "net.pth")
    assert [info.filename for info in opened] == ["net/data.pkl"]


@pytest.mark.parametrize(
    "name", [b"torch._utils\n_rebuild_tensor", b"torch._tensor\n_rebuild_from_type_v2", b"torch\nuint8"]
)
def test_a_file_cannot_change_what_it_is_handed(name, tmp_path):
    before = torchfile._rebuild_tensor.__defaults__
    state = pickle.dumps((None, {"__defaults__": (7,), "_function": 7, "name": 7}), 2)[2:-1]
    archive(tmp_path / "net.pth", b"\x80\x02c" + name + b"\n" + state + b"b.")
    found = torchfile.read(tmp_path / "net.pth")
    assert getattr(found, "_function", None) != 7 and getattr(found, "name", None) != 7
    assert torchfile._rebuild_tensor.__defaults__ == before


def test_an_encrypted_archive_is_said(tmp_path):
    with zipfile.ZipFile(tmp_path / "net.pth", "w") as file:
        file.writestr("net/data.pkl", pickle.dumps({}))
        file.infolist()[0].flag_bits |= 1
    with pytest.raises(ValueError, match="without a password"):
        torchfile.read(tmp_path / "net.pth")

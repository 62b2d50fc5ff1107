"""MATLAB's files are measured before anything is made of them."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest

from mxnetseg.data.headers import VARIABLE
from mxnetseg.data.prepare import matlab
from mxnetseg.errors import DatasetError


@pytest.fixture
def small_limit(monkeypatch):
    """Nothing above 40,000 bytes."""
    monkeypatch.setenv(VARIABLE, "10000")


def saved(path, compressed=True, **variables):
    from scipy.io import savemat

    savemat(path, variables, do_compression=compressed)
    return str(path)


def element(kind, data):
    return struct.pack("<II", kind, len(data)) + data + b"\0" * (-len(data) % 8)


def matrix(matrix_class, shape, name, *parts):
    flags, sides = struct.pack("<II", matrix_class, 0), struct.pack(f"<{len(shape)}i", *shape)
    return element(14, element(6, flags) + element(5, sides) + element(1, name) + b"".join(parts))


def version_5(path, *elements):
    path.write_bytes(b"MATLAB 5.0".ljust(124) + struct.pack("<H2s", 0x100, b"IM") + b"".join(elements))
    return str(path)


@pytest.mark.parametrize("compressed", [True, False])
def test_matrices_structures_cells_and_sparse_matrices_are_read(tmp_path, compressed):
    from scipy.sparse import coo_matrix

    ids = np.arange(12, dtype=np.uint8).reshape(3, 4)
    cells = np.empty((1, 2), object)
    cells[:] = [[ids, coo_matrix(([True], ([100], [200])), shape=(400, 500))]]
    path = saved(tmp_path / "a.mat", compressed, ids=ids, S={"Segmentation": ids, "Boundaries": cells})
    np.testing.assert_array_equal(matlab.read_mat(path, "ids"), ids)
    np.testing.assert_array_equal(matlab.read_mat(path, "S")["Segmentation"].ravel()[0], ids)


def test_a_file_of_version_4_is_read(tmp_path):
    from scipy.io import savemat

    savemat(tmp_path / "a.mat", {"ids": np.eye(3)}, format="4")
    np.testing.assert_array_equal(matlab.read_mat(str(tmp_path / "a.mat"), "ids"), np.eye(3))


def test_a_matrix_that_inflates_beyond_the_limit_is_refused(tmp_path, small_limit):
    path = saved(tmp_path / "a.mat", ids=np.zeros((250, 200), np.uint8))
    with pytest.raises(DatasetError, match=rf"a\.mat: takes more memory.*{VARIABLE}"):
        matlab.read_mat(path, "ids")


def test_small_matrices_that_are_too_large_together_are_refused(tmp_path, small_limit):
    path = saved(tmp_path / "a.mat", **{f"ids{i}": np.zeros((100, 200), np.uint8) for i in range(3)})
    with pytest.raises(DatasetError, match="takes more memory"):
        matlab.read_mat(path, "ids0")


def test_a_text_that_states_a_length_it_does_not_have_is_refused(tmp_path):
    path = version_5(tmp_path / "a.mat", matrix(4, (1 << 30, 1), b"ids", element(16, b"")))
    with pytest.raises(DatasetError, match=r"a matrix of \(1073741824, 1\)"):
        matlab.read_mat(path, "ids")


def test_cells_nested_without_end_are_refused(tmp_path):
    inner = matrix(6, (1, 1), b"", element(9, bytes(8)))
    for _ in range(40):
        inner = matrix(1, (1, 1), b"ids", inner)
    packed = zlib.compress(inner)
    path = version_5(tmp_path / "a.mat", struct.pack("<II", 15, len(packed)) + packed)
    with pytest.raises(DatasetError, match="nested"):
        matlab.read_mat(path, "ids")


def test_damaged_files_are_named(tmp_path):
    whole = io.BytesIO()
    saved(whole, ids=np.arange(400).reshape(20, 20))
    data = np.frombuffer(whole.getvalue(), np.uint8)
    random = np.random.default_rng(0)
    path = tmp_path / "a.mat"
    for _ in range(200):
        broken = data[: random.integers(1, len(data) + 1)].copy()
        broken[random.integers(0, len(broken), 4)] = random.integers(0, 256, 4)
        path.write_bytes(broken.tobytes())
        try:
            matlab.read_mat(str(path), "ids")
        except DatasetError as error:
            assert "a.mat" in str(error)


def test_lists_of_numbers_are_nothing_else(tmp_path):
    path = saved(tmp_path / "a.mat", ids=np.array([[3], [5]]), text="ab", holes=np.array([1, np.nan]))
    np.testing.assert_array_equal(matlab.read_numbers(path, "ids"), [3, 5])
    for name in ("text", "holes"):
        with pytest.raises(DatasetError, match=f"{name} holds"):
            matlab.read_numbers(path, name)


@pytest.fixture
def hdf5(tmp_path):
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    with h5py.File(tmp_path / "a.mat", "w") as out:
        values = np.arange(10 * 600, dtype=np.uint16).reshape(10, 20, 30)
        out.create_dataset("ids", data=values, chunks=(4, 20, 30), compression="gzip", shuffle=True)
        out.create_dataset("vast", shape=(10, 1 << 20, 1 << 20), dtype="u1", chunks=(1, 1024, 1024))
        lzf = out.create_dataset("lzf", data=values, compression="lzf")
        assert lzf.compression == "lzf"
        bomb = out.create_dataset(
            "bomb", shape=(10, 20, 30), dtype="u1", chunks=(5, 20, 30), compression="gzip"
        )
        bomb.id.write_direct_chunk((5, 0, 0), zlib.compress(bytes(1 << 20)))
    with h5py.File(tmp_path / "a.mat") as opened:
        yield opened


def test_rows_of_hdf5_are_read(hdf5):
    rows = matlab.hdf5_rows(hdf5, "ids", "a.mat", 3, 6)
    np.testing.assert_array_equal(rows, np.arange(10 * 600).reshape(10, 20, 30)[3:6])


@pytest.mark.parametrize(
    "name, words", [("vast", "takes more memory"), ("lzf", "does not use"), ("bomb", "inflates beyond")]
)
def test_arrays_of_hdf5_that_cannot_be_read_safely_are_refused(hdf5, name, words):
    with pytest.raises(DatasetError, match=rf"a\.mat: .*{words}"):
        matlab.hdf5_rows(hdf5, name, "a.mat", 4, 6)


def test_rows_beside_a_damaged_piece_are_read(hdf5):
    assert matlab.hdf5_rows(hdf5, "bomb", "a.mat", 0, 5).shape == (5, 20, 30)

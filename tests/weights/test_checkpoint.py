"""Files of a run: formats, what damaged and foreign files say, a disk that fills up."""

from __future__ import annotations

import builtins
import errno
import os

import mxnet as mx
import numpy as np
import pytest

from mxnetseg import run_files as files
from mxnetseg.errors import CheckpointError
from mxnetseg.models import create_model
from mxnetseg.recipe import load_recipe, make_recipe
from mxnetseg.weights import checkpoint
from tests.runs import save_checkpoint
from tests.train.tiny import tiny


@pytest.fixture(scope="module")
def fcn():
    return create_model("fcn", 5, backbone="resnet18", aux=False)


@pytest.fixture
def run(tmp_path, fcn):
    """A folder with the weights and the recipe of a small FCN."""
    recipe = make_recipe(
        {
            "model": {"name": "fcn", "backbone": "resnet18", "nclass": 5, "aux": False},
            "data": {"name": "synthetic"},
            "schedule": {"epochs": 1},
        }
    )
    save_checkpoint(tmp_path, fcn, files.BEST, recipe)
    return tmp_path


def test_params_files_are_those_of_mxnet(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {
        "a.weight": rng.normal(size=(2, 3, 4)).astype(np.float32),
        "b": np.arange(5, dtype=np.int32),
        "half": rng.normal(size=(3,)).astype(np.float16),
    }
    files.save_params(tmp_path / "ours", arrays)
    mx.nd.save(str(tmp_path / "theirs"), {n: mx.nd.array(a, dtype=a.dtype) for n, a in arrays.items()})
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


def test_gluon_reads_what_is_saved(tmp_path):
    net, other = tiny(), tiny(seed=2)
    save_checkpoint(tmp_path, net)
    other.load_parameters(str(tmp_path / files.LAST))
    for a, b in zip(checkpoint.network_arrays(net).values(), checkpoint.network_arrays(other).values()):
        np.testing.assert_array_equal(a, b)


def test_a_checkpoint_describes_itself(run, fcn):
    net, recipe = checkpoint.load_network(run / files.BEST)
    assert recipe.model.backbone == "resnet18"
    x = mx.nd.ones((1, 3, 64, 64))
    np.testing.assert_array_equal(net(x)[0].asnumpy(), fcn(x)[0].asnumpy())
    assert checkpoint.load_network(run)[1].model.nclass == 5


def test_a_bare_file_is_read_with_the_recipe_that_is_given(run, tmp_path):
    recipe = load_recipe(run / files.RECIPE)
    (run / files.BEST).rename(tmp_path / "x.params")
    (run / files.RECIPE).unlink()
    with pytest.raises(CheckpointError, match=r"no recipe\.yaml beside it"):
        checkpoint.load_network(tmp_path / "x.params")
    net, _ = checkpoint.load_network(tmp_path / "x.params", recipe)
    assert net(mx.nd.ones((1, 3, 64, 64)))[0].shape == (1, 5, 64, 64)


def test_another_class_count_is_reported_in_numbers(run):
    with pytest.raises(CheckpointError, match="is for 5 classes, the network has 19"):
        checkpoint.load_network(run / files.BEST, nclass=19)


def test_another_model_is_reported(run):
    other = create_model("fcn", 5, backbone="resnet34", aux=False)
    with pytest.raises(CheckpointError, match=r"of another network: .* fit, .* missing \(first: backbone"):
        checkpoint.load_into(other, checkpoint.read_params(run / files.BEST))


def test_a_missing_checkpoint_names_what_is_there(run):
    with pytest.raises(CheckpointError, match=r"not found; in that folder: best\.params"):
        checkpoint.read_params(run / "bst.params")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.999])
def test_a_file_cut_short_is_reported_and_nothing_crashes(run, share):
    data = (run / files.BEST).read_bytes()
    (run / files.BEST).write_bytes(data[: int(len(data) * share)])
    with pytest.raises(CheckpointError, match="not an MXNet parameter file, or cut short"):
        checkpoint.load_network(run / files.BEST)


def test_a_file_of_something_else_is_reported(tmp_path):
    (tmp_path / "x.params").write_text("hello " * 100)
    with pytest.raises(CheckpointError, match="not an MXNet parameter file"):
        checkpoint.read_params(tmp_path / "x.params")


def test_fine_tuning_takes_what_fits_and_lists_the_rest(run):
    other = create_model("fcn", 7, backbone="resnet18", aux=False)
    fit = checkpoint.load_into(other, checkpoint.read_params(run), strict=False)
    skipped = dict(fit.skipped)
    assert all(why.startswith("(5,") for why in skipped.values()) and len(skipped) == 2
    assert len(fit.loaded) > 50


def test_state_comes_back_as_it_was_and_damage_is_seen(tmp_path):
    arrays = {"net:0:a.b": np.arange(6, dtype=np.float32).reshape(2, 3), "opt::counts": np.ones((1, 2), int)}
    files.save_state(tmp_path, {"iteration": 3}, arrays)
    meta, back = files.load_state(tmp_path)
    assert meta == {"iteration": 3} == files.read_meta(tmp_path)
    for name, array in arrays.items():
        np.testing.assert_array_equal(back[name], array)
    path = tmp_path / files.STATE
    data = bytearray(path.read_bytes())
    for damaged in (data[: len(data) // 2], bytes(data).replace(arrays["net:0:a.b"].tobytes(), b"x" * 24)):
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match="damaged"):
            files.load_state(tmp_path)


class FullDisk:
    """A file on which only so many bytes find room."""

    def __init__(self, handle, room):
        self.handle, self.room = handle, room

    def write(self, data):
        self.room -= memoryview(data).nbytes
        if self.room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self.handle.write(data)

    def __getattr__(self, name):
        return getattr(self.handle, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.handle.close()


@pytest.mark.parametrize("kind", ["params", "state"])
def test_a_full_disk_leaves_the_old_file_and_no_rubbish(tmp_path, monkeypatch, kind):
    def save():
        if kind == "params":
            return save_checkpoint(tmp_path, tiny())
        return files.save_state(tmp_path, {}, {"a": np.zeros(1000, np.float32)})

    save()
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    real = builtins.open
    monkeypatch.setattr(
        builtins,
        "open",
        lambda path, mode="r", *a, **k: (
            FullDisk(real(path, mode, *a, **k), 200) if mode == "wb" else real(path, mode, *a, **k)
        ),
    )
    with pytest.raises(CheckpointError, match=r"No space left on device.*is untouched"):
        save()
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_a_folder_that_cannot_be_made_is_reported(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="give another"):
        files.make_folder(tmp_path / "file" / "run")


def test_a_small_state_that_would_inflate_to_anything_is_refused(tmp_path):
    np.savez_compressed(tmp_path / "state", meta=np.frombuffer(b"{}", np.uint8), big=np.zeros(1 << 24))
    (tmp_path / "state.npz").rename(tmp_path / files.STATE)
    for read in (files.load_state, files.read_meta):
        with pytest.raises(CheckpointError, match="compressed or overlap"):
            read(tmp_path)


def test_a_state_damaged_anywhere_is_read_or_one_line(tmp_path):
    files.save_state(tmp_path, {"iteration": 3}, {"a": np.arange(10), "b": np.ones((2, 3), np.float32)})
    whole = (tmp_path / files.STATE).read_bytes()
    rng = np.random.default_rng(0)
    for case in range(300):
        data = bytearray(whole)
        data[rng.integers(0, len(data))] = rng.integers(0, 256)
        (tmp_path / files.STATE).write_bytes(data[: rng.integers(1, len(data))] if case % 3 else data)
        for read in (files.load_state, files.read_meta):
            try:
                read(tmp_path)
            except CheckpointError as error:
                assert "\n" not in str(error)

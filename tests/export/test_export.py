"""`to_onnx` and `python -m mxnetseg.export`: what is written, what it says of itself, what is refused."""

from __future__ import annotations

import json
import os

import mxnet as mx
import numpy as np
import pytest
from mxnet.gluon import nn

from mxnetseg.cli.export import main
from mxnetseg.compute.onnx_inference import by_onnxruntime
from mxnetseg.errors import CheckpointError, ExportError
from mxnetseg.models import create_model
from mxnetseg.recipe import find_recipe
from mxnetseg.run_files import save_params, save_recipe
from mxnetseg.weights.checkpoint import network_arrays

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from mxnetseg.export import onnx_model, to_onnx  # noqa: E402
from mxnetseg.export.description import read_description  # noqa: E402

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.fixture(scope="module")
def net():
    mx.random.seed(0)
    return create_model("fastscnn", 4)


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    """A run as training leaves it: weights and recipe."""
    folder = tmp_path_factory.mktemp("run")
    recipe = find_recipe("fastscnn", None, "camvid")
    mx.random.seed(0)
    net = create_model("fastscnn", 11, form=recipe.model.form)
    save_params(folder / "best.params", network_arrays(net))
    save_recipe(folder, recipe)
    return folder


def session(path):
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def test_a_file_takes_any_size_and_says_so(net, tmp_path):
    found = to_onnx(net, tmp_path / "net.onnx")
    assert found["difference"] < 1e-3
    (taken,), (given,) = (
        session(tmp_path / "net.onnx").get_inputs(),
        session(tmp_path / "net.onnx").get_outputs(),
    )
    assert (taken.name, taken.shape) == ("image", ["batch", 3, "height", "width"])
    assert (given.name, given.shape) == ("logits", ["batch", 4, "height", "width"])
    assert onnx.load(str(tmp_path / "net.onnx")).opset_import[0].version >= 17


def test_fixed_sides_are_stated_in_the_file(net, tmp_path):
    to_onnx(net, tmp_path / "net.onnx", size=(64, 96), batch=2)
    assert session(tmp_path / "net.onnx").get_inputs()[0].shape == [2, 3, 64, 96]
    inference = by_onnxruntime((tmp_path / "net.onnx").read_bytes(), "net.onnx")
    assert inference.forward(np.zeros((2, 3, 64, 96), np.float32)).read().shape[2:] == (64, 96)
    with pytest.raises(ExportError, match=r"net\.onnx: takes 2 x 3 x 64 x 96 only, and was given 1 x 3 x"):
        inference.forward(np.zeros((1, 3, 64, 96), np.float32))


def test_pictures_in_and_labels_out(net, tmp_path):
    to_onnx(net, tmp_path / "net.onnx", uint8=True, argmax=True)
    pictures = np.random.RandomState(3).randint(0, 256, (2, 70, 90, 3)).astype(np.uint8)
    (labels,) = session(tmp_path / "net.onnx").run(["labels"], {"image": pictures})
    x = ((pictures / 255 - MEAN) / STD).transpose(0, 3, 1, 2)
    expected = net.deploy()(mx.nd.array(x))[0].asnumpy().argmax(1)
    assert labels.dtype == np.uint8 and labels.shape == (2, 70, 90)
    assert (labels == expected).mean() > 0.999


def test_one_logit_gives_labels_above_zero(tmp_path):
    mx.random.seed(0)
    net = create_model("fastscnn", 1)
    to_onnx(net, tmp_path / "net.onnx", argmax=True)
    x = np.random.RandomState(3).standard_normal((1, 3, 64, 64)).astype(np.float32)
    (labels,) = session(tmp_path / "net.onnx").run(None, {"image": x})
    expected = net.deploy()(mx.nd.array(x))[0].asnumpy()[:, 0] > 0
    assert (labels == expected).mean() > 0.999 and 0 < labels.mean() < 1


def test_half_stores_half_the_bytes(net, tmp_path):
    to_onnx(net, tmp_path / "whole.onnx")
    to_onnx(net, tmp_path / "half.onnx", half=True)
    sizes = [os.path.getsize(tmp_path / name) for name in ("whole.onnx", "half.onnx")]
    assert sizes[1] < 0.65 * sizes[0]


def test_a_wrong_translation_is_found_before_anything_is_written(net, tmp_path, monkeypatch):
    (tmp_path / "net.onnx").write_bytes(b"before")
    monkeypatch.setitem(onnx_model.OPERATORS, "Activation", lambda w, node, inputs: w.emit("Tanh", inputs))
    with pytest.raises(ExportError, match="does not give what MXNet gives"):
        to_onnx(net, tmp_path / "net.onnx")
    assert (tmp_path / "net.onnx").read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["net.onnx"]


def test_a_full_disk_leaves_no_half_file(net, tmp_path, monkeypatch):
    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match="No space left on device"):
        to_onnx(net, tmp_path / "net.onnx")
    assert os.listdir(tmp_path) == []


def test_an_operator_without_a_translation_is_named_with_its_layer(tmp_path):
    class Odd(nn.HybridBlock):
        def hybrid_forward(self, F, x):
            return (F.arctan(x, name="angle"),)

    with pytest.raises(ExportError, match=r"arctan of layer \S*angle has no ONNX form"):
        to_onnx(Odd(), tmp_path / "net.onnx")


def test_the_command_writes_a_file_that_describes_itself(run_dir, tmp_path, capsys):
    out = tmp_path / "net.onnx"
    assert main(["--checkpoint", str(run_dir), str(out), "--argmax"]) == 0
    said = capsys.readouterr().out
    assert "wrote" in said and "logits" not in said  # it has none
    texts = {entry.key: entry.value for entry in onnx.load(str(out)).metadata_props}
    assert texts["model"] == "fastscnn" and len(json.loads(texts["palette"])) == 11
    assert json.loads(texts["classes"])[0] == "sky" and len(json.loads(texts["mean"])) == 3
    assert json.loads(texts["protocol"])["protocol"] == "own"
    described = read_description(out)
    assert described.recipe.model.name == "fastscnn" and described.recipe.data.root is None
    assert (described.nclass, described.argmax, described.uint8) == (11, True, False)


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["OUT.txt"], "must end in .onnx"),
        (["missing/net.onnx"], "does not exist"),
        (["net.onnx", "--size", "0", "64"], "--size"),
        (["net.onnx", "--batch", "0"], "--batch"),
        (["net.onnx", "--checkpoint", "other.onnx"], "other.onnx: is exported already"),
        (["net.onnx", "--size", "x", "64"], "--size"),
        ([], "OUT.onnx"),
    ],
)
def test_bad_arguments_are_one_line(arguments, words, run_dir, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(["--checkpoint", str(run_dir), *arguments])
    error = capsys.readouterr().err
    assert stop.value.code == 2 and words in error and error.count("\n") == 1
    assert os.listdir(tmp_path) == []


def test_a_file_of_another_program_is_one_line(tmp_path):
    made = onnx.helper.make_model(onnx.helper.make_graph([], "g", [], []))
    onnx.save(made, str(tmp_path / "other.onnx"))
    (tmp_path / "text.onnx").write_bytes(b"not a model \xff\xff")
    with pytest.raises(ExportError, match=r"was not written by"):
        read_description(tmp_path / "other.onnx")
    with pytest.raises(ExportError, match=r"not an ONNX file|was not written by"):
        read_description(tmp_path / "text.onnx")
    with pytest.raises(ExportError, match="cannot be read"):
        read_description(tmp_path / "missing.onnx")

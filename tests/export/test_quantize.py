"""8-bit integers: what they cost, which layers are spared, what is refused."""

from __future__ import annotations

import os

import numpy as np
import pytest

from mxnetseg.cli.export import main
from mxnetseg.data import create_dataset
from mxnetseg.errors import ConfigError, DatasetError, ExportError
from mxnetseg.predict.session import recipe_of

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from mxnetseg.export import quantize  # noqa: E402
from mxnetseg.export.checkpoint import export_checkpoint  # noqa: E402
from mxnetseg.export.form import Form, Input  # noqa: E402

STATISTICS = Input((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.fixture(scope="module")
def trained(repository):
    """The small trained network that comes with the demo."""
    return repository / "weights" / "demo" / "small.params"


@pytest.fixture(scope="module")
def scenes():
    return create_dataset("synthetic", split="train", size=(128, 256))


def run_file(path, x):
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(
        None, {"image": x}
    )[0]


def test_a_file_in_integers_is_a_third_of_the_size_and_gives_nearly_the_same_labels(
    trained, scenes, tmp_path
):
    recipe = recipe_of(trained)
    export_checkpoint(trained, recipe, tmp_path / "float.onnx")
    found = export_checkpoint(trained, recipe, tmp_path / "int8.onnx", calibrate=scenes, pictures=4)
    assert found["before"] > 0.2 and found["before"] - found["after"] <= quantize.MOST_LOST
    assert 0 <= found["kept"] < found["layers"] / 2
    assert os.path.getsize(tmp_path / "int8.onnx") < 0.36 * os.path.getsize(tmp_path / "float.onnx")
    calibration = quantize.calibration_of(scenes, Form(), Input(*recipe.input.of(scenes)), 3)
    for picture, _ in calibration:
        float_logits, logits = (run_file(tmp_path / f"{k}.onnx", picture) for k in ("float", "int8"))
        assert (logits.argmax(1) == float_logits.argmax(1)).mean() > 0.9
        assert np.abs(logits - float_logits).max() > 1e-3 * float_logits.std()  # it is another arithmetic


def test_the_command_says_what_integers_cost_and_eval_scores_the_file(trained, tmp_path, capsys):
    from mxnetseg.cli.eval import main as evaluate

    out = tmp_path / "small.onnx"
    arguments = ["--checkpoint", str(trained), str(out), "--int8", "--pictures", "2"]
    assert main(arguments) == 0
    assert "8-bit integers: mIoU " in capsys.readouterr().out
    evaluate(["--checkpoint", str(out), "--engine", "onnxruntime", "--limit", "2"])
    assert "mIoU" in capsys.readouterr().out


@pytest.fixture
def model(trained, tmp_path):
    export_checkpoint(trained, recipe_of(trained), tmp_path / "net.onnx")
    return onnx.load(str(tmp_path / "net.onnx"))


def test_layers_stay_in_float_until_the_score_holds(model, scenes, monkeypatch):
    scores = iter([0.5, 0.40, 0.45, 0.48, 0.495])  # float32, then with 0, 1, 2 and 4 layers spared
    monkeypatch.setattr(quantize, "_score", lambda content, calibration: next(scores))
    found = quantize.quantize(model, quantize.calibration_of(scenes, Form(), STATISTICS, 1))
    assert (found.before, found.after, found.kept) == (0.5, 0.495, 4)
    weights = {
        n.input[0] for n in onnx.load_from_string(found.content).graph.node if n.op_type == "QuantizeLinear"
    }
    assert weights  # the others are quantized


def test_integers_that_lose_too_much_whatever_is_spared_are_refused(model, scenes, monkeypatch):
    scores = iter([0.5])
    monkeypatch.setattr(quantize, "_score", lambda content, calibration: next(scores, 0.1))
    with pytest.raises(ExportError, match=r"falls from 50.0 to 10.0 %.*nothing was written"):
        quantize.quantize(model, quantize.calibration_of(scenes, Form(), STATISTICS, 1))


def test_rounding_loses_most_where_the_range_is_far_wider_than_the_values():
    values = np.random.RandomState(0).uniform(0, 1, 10000).astype(np.float32)
    assert quantize._loss(values, 0.0, 1.0) < 1e-5 < 1e-2 < quantize._loss(values, 0.0, 200.0)
    # A step of 1/255, uniform rounding: its power is step^2 / 12, that of the values a third.
    assert quantize._loss(values, 0.0, 1.0) == pytest.approx((1 / 255) ** 2 / 12 * 3, rel=0.05)


def test_pictures_of_a_fixed_size_are_resized_with_their_labels(scenes):
    form = Form(size=(64, 96), uint8=True)
    calibration = quantize.calibration_of(scenes, form, STATISTICS, 2)
    picture, label = calibration.read(1)
    assert picture.shape == (1, 64, 96, 3) and picture.dtype == np.uint8 and label.shape == (64, 96)
    assert set(np.unique(label)) <= set(np.unique(scenes[len(scenes) - 1].label))


def test_data_that_cannot_calibrate_is_refused(scenes, trained, tmp_path):
    with pytest.raises(ConfigError, match="batch 4 must be 1"):
        quantize.calibration_of(scenes, Form(batch=4), STATISTICS, 2)
    from mxnetseg.data.datasets.loose import LoosePictures

    picture = tmp_path / "a.png"
    import cv2

    cv2.imwrite(str(picture), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(DatasetError, match="calibration needs pictures with labels"):
        quantize.calibration_of(LoosePictures([str(picture)], "synthetic"), Form(), STATISTICS, 2)


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--int8", "--half"], "exclude each other"),
        (["--calibrate", "camvid"], "--calibrate: for --int8"),
        (["--pictures", "4", "--root", "here"], "--root, --pictures: for --int8"),
        (["--int8", "--pictures", "0"], "--pictures 0"),
        (["--int8", "--calibrate", "camvid", "--root", "nowhere"], "give data.root (--root)"),
        (["--int8", "--calibrate", "camvidd"], "camvid"),
    ],
)
def test_bad_arguments_are_one_line_and_leave_nothing(
    arguments, words, trained, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(["--checkpoint", str(trained), "net.onnx", *arguments])
    error = capsys.readouterr().err
    assert stop.value.code == 2 and words in error and error.count("\n") == 1
    assert os.listdir(tmp_path) == []

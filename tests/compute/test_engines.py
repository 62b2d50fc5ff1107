"""The same logits from every engine, of checkpoints and of exported files."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from mxnetseg.cli import eval as eval_command
from mxnetseg.compute.inference import ENGINES, open_network
from mxnetseg.errors import DeviceError, EngineError, ExportError
from mxnetseg.export.checkpoint import export_checkpoint
from mxnetseg.predict.session import recipe_of
from mxnetseg.recipe import find_recipe
from mxnetseg.run_files import save_params, save_recipe
from mxnetseg.weights.checkpoint import draw_network, network_arrays

OTHERS = [name for name in ENGINES if name != "mxnet"]


def needs(engine):
    if importlib.util.find_spec(engine) is None:
        pytest.skip(f"{engine} is not installed")
    pytest.importorskip("onnx", reason="onnx is not installed")


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    recipe = find_recipe("bisenet", "resnet18", "camvid")
    recipe.model.nclass = 11
    save_params(folder / "best.params", network_arrays(draw_network(recipe.model, 0)))
    save_recipe(folder, recipe)
    return folder


@pytest.fixture(scope="module")
def exported(run_dir, tmp_path_factory):
    pytest.importorskip("onnx", reason="onnx is not installed")
    file = tmp_path_factory.mktemp("exported") / "net.onnx"
    export_checkpoint(run_dir, recipe_of(run_dir), file)
    return file


@pytest.mark.parametrize("engine", OTHERS)
def test_an_engine_gives_the_logits_of_mxnet_at_odd_sizes_and_several_batches(engine, run_dir):
    needs(engine)
    recipe = recipe_of(run_dir)
    reference = open_network(run_dir, recipe, 11, ["cpu"])
    ours = open_network(run_dir, recipe, 11, ["cpu"], engine)
    assert ours.engine and list(ours.devices)
    for shape in ((1, 3, 97, 131), (3, 3, 64, 96)):
        x = np.random.RandomState(0).standard_normal(shape).astype(np.float32)
        expected, scores = reference.scores(x).read(), ours.scores(x)
        scores.wait()
        found = scores.read()
        assert scores.nclass == 11 and found.flags.writeable and found.dtype == np.float32
        assert np.abs(found - expected).max() < 1e-3 * expected.std()


def test_scores_of_torch_are_worked_on_where_they_are(run_dir):
    needs("torch")
    recipe = recipe_of(run_dir)
    x = np.random.RandomState(0).standard_normal((2, 3, 32, 48)).astype(np.float32)
    both = [open_network(run_dir, recipe, 11, ["cpu"], engine).scores(x) for engine in ("mxnet", "torch")]
    for work in (
        lambda s: s.cut(20, 30).read(),
        lambda s: s.mirrored().read(),
        lambda s: s.probabilities().read(),
        lambda s: s.resized(50, 31, False).read(),
        lambda s: s.resized(50, 31, True).read(),
        lambda s: s.probabilities().plus(s.probabilities()).read(),
        lambda s: s.labels(0.5),
    ):
        expected, found = (work(scores) for scores in both)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_an_exported_file_is_a_checkpoint(engine, exported, run_dir):
    needs(engine)
    recipe = recipe_of(exported)
    assert recipe.model.name == "bisenet"
    x = np.random.RandomState(0).standard_normal((1, 3, 65, 97)).astype(np.float32)
    expected = open_network(run_dir, recipe_of(run_dir), 11, ["cpu"]).scores(x).read()
    found = open_network(exported, recipe, None, ["cpu"], engine).scores(x).read()
    assert np.abs(found - expected).max() < 1e-3 * expected.std()


def test_eval_predicts_pictures_with_an_exported_file(exported, repository, tmp_path, capsys):
    needs("onnxruntime")
    picture = sorted((repository / "demo" / "images").iterdir())[0]
    eval_command.main(["--checkpoint", str(exported), "--image", str(picture), "--output", str(tmp_path)])
    assert list(tmp_path.rglob("*.png")) and "bisenet" in capsys.readouterr().out


def test_openvino_computes_in_bfloat16_where_it_is_asked_to(run_dir):
    needs("openvino")
    import openvino

    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this processor has no bfloat16")
    x = np.random.RandomState(0).standard_normal((1, 3, 64, 96)).astype(np.float32)
    exact, narrow = (
        open_network(run_dir, recipe_of(run_dir, settings={"compute.amp": amp}), 11, ["cpu"], "openvino")
        .scores(x)
        .read()
        for amp in ("none", "bf16")
    )
    difference = np.abs(exact - narrow).max() / exact.std()
    assert 1e-3 < difference < 0.5  # eight bits of mantissa through some twenty layers


def test_eval_refuses_a_precision_that_the_engine_has_not(exported, capsys):
    with pytest.raises(SystemExit) as end:
        eval_command.main(["--checkpoint", str(exported), "--data", "synthetic", "--amp", "bf16"])
    assert end.value.code == 2
    assert "the onnxruntime engine has no bf16: use --engine torch or openvino" in capsys.readouterr().err


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_a_device_that_the_engine_cannot_use_is_one_line(engine, run_dir):
    needs(engine)
    with pytest.raises(DeviceError, match=f"{engine} engine computes on the CPU only"):
        open_network(run_dir, recipe_of(run_dir), 11, ["0"], engine)


@pytest.mark.parametrize(
    "engine, package", [("torch", "torch"), ("onnxruntime", "onnxruntime"), ("openvino", "openvino")]
)
def test_an_engine_that_is_not_installed_is_one_line(engine, package, run_dir, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == package else found(name, *a)
    )
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(EngineError, match=r"not installed.*pip install -r requirements"):
        open_network(run_dir, recipe_of(run_dir), 11, ["cpu"], engine)


def test_a_file_without_logits_is_refused(run_dir, tmp_path):
    needs("onnxruntime")
    recipe = recipe_of(run_dir)
    export_checkpoint(run_dir, recipe, tmp_path / "labels.onnx", argmax=True)
    with pytest.raises(ExportError, match="gives label maps"):
        open_network(tmp_path / "labels.onnx", recipe, 11, ["cpu"], "onnxruntime")


def test_a_file_of_another_program_given_to_eval_is_one_line(tmp_path, capsys):
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([], "g", [], [])), str(tmp_path / "other.onnx"))
    with pytest.raises(SystemExit) as stop:
        eval_command.main(["--checkpoint", str(tmp_path / "other.onnx"), "--data", "camvid"])
    error = capsys.readouterr().err
    assert stop.value.code == 2 and "was not written by" in error and error.count("\n") == 1


def test_engines_of_onnx_files_start_as_many_threads_as_the_variable_says(exported, monkeypatch):
    needs("onnxruntime")
    needs("openvino")
    import onnxruntime
    import openvino

    seen, session, compiled = [], onnxruntime.InferenceSession, openvino.Core.compile_model

    def open_session(content, options, **rest):
        seen.append(options.intra_op_num_threads)
        return session(content, options, **rest)

    def compile_model(core, *given):
        found = compiled(core, *given)
        seen.append(found.get_property("INFERENCE_NUM_THREADS"))
        return found

    monkeypatch.setattr(onnxruntime, "InferenceSession", open_session)
    monkeypatch.setattr(openvino.Core, "compile_model", compile_model)
    for threads in (1, 2):
        monkeypatch.setenv("OMP_NUM_THREADS", str(threads))
        for engine in ("onnxruntime", "openvino"):
            open_network(exported, recipe_of(exported), 11, ["cpu"], engine)
    assert seen == [1, 1, 2, 2]

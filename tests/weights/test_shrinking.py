"""Small copies of networks: what is kept of the numbers, what lies beside them, what is refused."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest

from mxnetseg import params_file
from mxnetseg.cli.weights import main
from mxnetseg.errors import CheckpointError
from mxnetseg.recipe import find_recipe
from mxnetseg.run_files import save_params, save_recipe
from mxnetseg.weights import integers, shrinking
from mxnetseg.weights.checkpoint import build_network, load_network, network_arrays, read_params


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    """A run as training leaves it."""
    folder = tmp_path_factory.mktemp("run")
    recipe = find_recipe("bisenet", "resnet18", "camvid")
    mx.random.seed(0)
    net = build_network(recipe.model, nclass=11, pretrained=False)
    save_params(folder / "best.params", network_arrays(net))
    recipe.data.root, recipe.output_dir = "/data/somebody/camvid", "/data/somebody/runs"
    recipe.compute.amp = "bf16"
    save_recipe(folder, recipe)
    (folder / "metrics.jsonl").write_text('{"kind": "val", "miou": 0.5}\n')
    (folder / "report.html").write_text("<p>report</p>")
    return folder


@pytest.mark.parametrize("bits, share, change", [(16, 0.51, 5e-4), (8, 0.27, 1 / 254)])
def test_a_small_copy_loads_as_the_network_and_its_logits_are_close(
    bits, share, change, run_dir, tmp_path, capsys
):
    out = tmp_path / "small"
    assert main(["shrink", str(run_dir), str(out), "--bits", str(bits)]) == 0
    assert f"{out / 'best.params'}: " in capsys.readouterr().out
    net, _ = load_network(run_dir)
    deployed, (small, recipe) = net.deploy(), load_network(out)
    plain = sum(4 * a.size for a in network_arrays(deployed).values())
    assert (out / "best.params").stat().st_size < share * plain
    assert recipe.model.name == "bisenet" and recipe.data.root is None and recipe.output_dir is None
    assert recipe.compute.amp == "none"  # of the processor that trained
    before, after = network_arrays(deployed), network_arrays(small)
    assert before.keys() == after.keys()
    for name, array in before.items():
        assert after[name].dtype == np.float32
        assert np.abs(after[name] - array).max() <= 1.01 * change * np.abs(array).max() + 1e-7, name
    x = mx.nd.random.normal(shape=(1, 3, 64, 96))
    one, two = (network(x)[0].asnumpy() for network in (deployed, small.deploy()))
    assert 0 < np.abs(one - two).max() < 0.2 * one.std()


def test_curves_and_report_go_along_and_the_machine_s_paths_do_not(run_dir, tmp_path):
    shrinking.shrink(run_dir, tmp_path / "small")
    files = {p.name: p.read_bytes() for p in (tmp_path / "small").iterdir()}
    assert set(files) == {"best.params", "recipe.yaml", "metrics.jsonl", "report.html"}
    assert not any(b"somebody" in content for content in files.values())


def test_each_channel_has_a_scale_of_its_own():
    array = np.random.RandomState(0).standard_normal((4, 512)).astype(np.float32)
    array *= np.array([[1e-4], [1], [100], [0]], np.float32)
    found = integers.widen(integers.narrow({"w": array}))["w"]
    for before, after in zip(array, found):
        assert np.abs(before - after).max() <= np.abs(before).max() / 253
    assert (found[3] == 0).all()


def test_small_tensors_and_vectors_stay_in_half_precision():
    kept = integers.narrow({"bias": np.ones(5000, np.float32), "w": np.ones((3, 4), np.float32)})
    assert {name: a.dtype for name, a in kept.items()} == {"bias": np.float16, "w": np.float16}


def test_what_is_there_is_not_replaced_unless_it_may_be(run_dir, tmp_path):
    shrinking.shrink(run_dir, tmp_path)
    with pytest.raises(CheckpointError, match=r"best.params exists"):
        shrinking.shrink(run_dir, tmp_path)
    shrinking.shrink(run_dir, tmp_path, force=True)


def test_numbers_too_large_for_half_precision_are_named(run_dir, tmp_path):
    arrays = {name: a.copy() for name, a in read_params(run_dir / "best.params").items()}
    name = next(name for name in arrays if name.endswith("running_var"))
    arrays[name][0] = 1e6
    (tmp_path / "run").mkdir()
    save_params(tmp_path / "run" / "best.params", arrays)
    (tmp_path / "run" / "recipe.yaml").write_bytes((run_dir / "recipe.yaml").read_bytes())
    with pytest.raises(CheckpointError, match=f"{name}: holds numbers beyond float16's, up to 1e"):
        shrinking.shrink(tmp_path / "run", tmp_path / "small")
    assert not (tmp_path / "small").exists()


@pytest.mark.parametrize(
    "arrays",
    [
        {"w:scale": np.ones(3, np.float32)},
        {"w": np.ones((2, 2), np.int8), "w:scale": np.ones(3, np.float32)},
        {"w": np.ones((), np.int8), "w:scale": np.ones((), np.float32)},
    ],
)
def test_scales_that_fit_nothing_are_a_damaged_file(arrays, tmp_path):
    with open(tmp_path / "x.params", "wb") as out:
        params_file.write(out, {name: np.atleast_1d(a) for name, a in arrays.items()})
    if "w" in arrays and arrays["w"].ndim == 0:
        with pytest.raises(ValueError, match="belong to no tensor"):
            integers.widen(arrays)
    else:
        with pytest.raises(CheckpointError, match="'w:scale' belong to no tensor"):
            read_params(tmp_path / "x.params")

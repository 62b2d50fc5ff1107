"""Files for other libraries hold what they should, and leave nothing half written."""

from __future__ import annotations

import numpy as np
import pytest

from mxnetseg.cli.weights import main
from mxnetseg.errors import CheckpointError
from mxnetseg.weights.checkpoint import load_network
from mxnetseg.weights.layouts import layout
from mxnetseg.weights.reading import read_tensors
from mxnetseg.weights.writing import write_tensors

TENSORS = {
    "b.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 4).transpose(2, 0, 1),
    "a.one": np.float32([3.5]).reshape(()),
    "a.empty": np.zeros((0, 3), np.float32),
    "a.double": np.array([1e300, -2.0]),
    "a.count": np.array([2**40], np.int64),
}


@pytest.mark.parametrize("ending", [".pth", ".pt", ".safetensors", ".npz"])
def test_what_is_written_is_read_again(ending, tmp_path):
    tensors = {name: array for name, array in TENSORS.items() if array.dtype == np.float32}
    write_tensors(tmp_path / f"x{ending}", tensors)
    found = read_tensors(tmp_path / f"x{ending}")
    assert set(found) == set(tensors)
    for name, array in tensors.items():
        np.testing.assert_array_equal(found[name], array)


def test_pytorch_loads_the_file_with_every_type_in_order(tmp_path):
    torch = pytest.importorskip("torch")
    write_tensors(tmp_path / "x.pth", TENSORS)
    for weights_only in (True, False):
        found = torch.load(tmp_path / "x.pth", weights_only=weights_only)
        assert list(found) == list(TENSORS)
        for name, array in TENSORS.items():
            assert found[name].shape == array.shape
            np.testing.assert_array_equal(found[name].numpy(), array)


def test_another_ending_and_a_missing_folder_are_one_line(tmp_path):
    with pytest.raises(CheckpointError, match=r"write one of \.pth"):
        write_tensors(tmp_path / "x.onnx", TENSORS)
    with pytest.raises(CheckpointError, match="cannot be written"):
        write_tensors(tmp_path / "nowhere" / "x.npz", TENSORS)
    assert not list(tmp_path.iterdir())


def test_an_imported_file_is_exported_as_it_came(tmp_path, capsys):
    name = "swiftnet_resnet18"
    names, rng = layout(name), np.random.default_rng(0)
    tensors = {key: rng.standard_normal(shape, dtype=np.float32) for key, shape in names.shapes.items()}
    write_tensors(tmp_path / "theirs.pth", tensors)
    run = tmp_path / "run"
    assert main(["import", str(tmp_path / "theirs.pth"), "--reference", name, "--out", str(run)]) == 0
    for ending in (".pth", ".safetensors", ".npz"):
        out = tmp_path / f"ours{ending}"
        assert main(["export", "--reference", name, str(run), str(out)]) == 0
        found = read_tensors(out)
        assert set(found) == set(tensors)
        for key, array in tensors.items():
            np.testing.assert_array_equal(found[key], array, err_msg=key)


def test_names_can_have_the_prefix_that_a_script_expects(tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    name = "swiftnet_resnet18"
    names = layout(name)
    write_tensors(tmp_path / "a.npz", {k: np.zeros(shape, np.float32) for k, shape in names.shapes.items()})
    run, out = tmp_path / "run", tmp_path / "b.pth"
    main(["import", str(tmp_path / "a.npz"), "--reference", name, "--out", str(run)])
    main(["export", "--reference", name, "--prefix", "module.", str(run), str(out)])
    assert list(torch.load(out)) == [f"module.{key}" for key in names.shapes]


def test_a_run_of_another_network_is_refused_and_nothing_is_written(tmp_path, capsys):
    names = layout("swiftnet_resnet18")
    tensors = {key: np.zeros(shape, np.float32) for key, shape in names.shapes.items()}
    write_tensors(tmp_path / "a.npz", tensors)
    run, out = str(tmp_path / "run"), tmp_path / "out.pth"
    main(["import", str(tmp_path / "a.npz"), "--reference", "swiftnet_resnet18", "--out", run])
    for reference, words in (
        ("sfnet_resnet18", "is a swiftnet, and reference sfnet_resnet18 a sfnet: take one of swiftnet"),
        ("mxseg_swiftnet_resnet18", "in this network and (256, 256, 1, 1) in the reference's"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(["export", "--reference", reference, run, str(out)])
        error = capsys.readouterr().err
        assert ended.value.code == 2 and error.count("\n") == 1 and words in error and not out.exists()


def test_a_network_of_blue_green_red_reads_red_green_blue_here_and_is_written_back_as_it_was(tmp_path):
    name, stem = "hf_mobilevit-small_deeplabv3", "mobilevit.conv_stem.convolution.weight"
    rng = np.random.RandomState(0)
    tensors = {key: rng.uniform(size=shape).astype("float32") for key, shape in layout(name).shapes.items()}
    write_tensors(tmp_path / "a.npz", tensors)
    run, out = tmp_path / "run", tmp_path / "out.npz"
    main(["import", str(tmp_path / "a.npz"), "--reference", name, "--out", str(run)])
    net, _ = load_network(run)
    np.testing.assert_array_equal(net.backbone.stem.unit.conv.weight.data().asnumpy(), tensors[stem][:, ::-1])
    main(["export", "--reference", name, str(run), str(out)])
    np.testing.assert_array_equal(read_tensors(out)[stem], tensors[stem])

"""`python -m mxnetseg.weights` through the real command."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest
import yaml

from mxnetseg.cli.weights import parser
from mxnetseg.models import create_model
from mxnetseg.nn.surgery import named_parameters
from mxnetseg.weights import importer, load
from mxnetseg.weights.reading import TORCH_SUFFIXES
from mxnetseg.weights.rename import reference_info, translate


def command(*arguments, largest_file=None):
    """The command in a process of its own; `largest_file`: bytes it can write to one, as on a full disk."""

    def limit():
        if largest_file is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

    return subprocess.run(
        [sys.executable, "-m", "mxnetseg.weights", *map(str, arguments)],
        capture_output=True,
        text=True,
        # Python 3.11 would keep compiled modules that were cut at the limit, and fail to import them.
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=limit,
    )


def one_line(done):
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def published(reference, nclass):
    """{reference name: array} for a network of ours, by walking the table over candidate names."""
    entry = reference_info(reference)
    net = create_model(entry.model, nclass, **entry.keywords)
    ours = named_parameters(net)
    names = {
        n.replace("backbone.", "")
        .replace("head.classifier.units.0.conv", "head.conv1.conv")
        .replace("head.classifier.units.0.bn", "head.conv1.bn")
        .replace("head.classifier.classifier", "head.conv2")
        .replace("aux_heads.0.units.0", "aux_head.conv1")
        .replace("aux_heads.0.classifier", "aux_head.conv2"): n
        for n in ours
    }
    assert all(translate(theirs, entry.rules, ours) == n for theirs, n in names.items())
    return net, {theirs: ours[n].data().asnumpy() for theirs, n in names.items()}


@pytest.fixture(scope="module")
def fcn():
    return published("mxseg_fcn_resnet18_os32", 19)


def test_load_fills_the_network_of_a_reference(fcn):
    net, tensors = fcn
    twin = load("mxseg_fcn_resnet18_os32", tensors, 19)
    x = mx.nd.random.normal(shape=(1, 3, 64, 96))
    for a, b in zip(net(x), twin(x)):
        np.testing.assert_array_equal(a.asnumpy(), b.asnumpy())


def test_an_imported_checkpoint_describes_itself(fcn, tmp_path):
    from mxnetseg.weights.checkpoint import load_network

    net, tensors = fcn
    file = tmp_path / "published.npz"
    np.savez(file, **tensors)
    done = command("import", file, "--reference", "mxseg_fcn_resnet18_os32", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "19 classes" in done.stdout
    recipe = yaml.safe_load((tmp_path / "out" / "recipe.yaml").read_text())
    assert recipe["model"]["backbone"] == "resnet18"
    assert recipe["data"]["name"] == "cityscapes"
    assert recipe["input"] == {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "range": 1}
    assert recipe["evaluation"]["protocol"] == "mxnetseg" and recipe["evaluation"]["base"] == 2048
    twin, _ = load_network(tmp_path / "out" / "best.params")
    x = mx.nd.random.normal(shape=(1, 3, 64, 96))
    np.testing.assert_allclose(net(x)[0].asnumpy(), twin(x)[0].asnumpy(), rtol=1e-5, atol=1e-5)


def test_left_over_and_missing_tensors_are_listed_and_nothing_is_written(fcn, tmp_path):
    tensors = dict(fcn[1])
    tensors["surplus.weight"] = tensors.pop("bn1.gamma")
    np.savez(tmp_path / "published.npz", **tensors)
    done = command(
        "import",
        tmp_path / "published.npz",
        "--reference",
        "mxseg_fcn_resnet18_os32",
        "--out",
        tmp_path / "out",
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "left over: surplus.weight" in done.stderr
    assert "missing: backbone.bn1.gamma" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def published_file(fcn, tmp_path_factory):
    path = tmp_path_factory.mktemp("published") / "published.npz"
    np.savez(path, **fcn[1])
    return path


REFERENCE = ("--reference", "mxseg_fcn_resnet18_os32")


def test_force_replaces_an_import_and_leaves_what_else_is_there(published_file, tmp_path):
    out = tmp_path / "out"
    assert command("import", published_file, *REFERENCE, "--out", out).returncode == 0
    before = contents(out)
    assert set(before) == {"best.params", "recipe.yaml"}
    assert "--force" in one_line(command("import", published_file, *REFERENCE, "--out", out))
    (out / "best.params").write_bytes(b"older")
    (out / "val").mkdir()
    (out / "val" / "scores.json").write_text("{}")
    done = command("import", published_file, *REFERENCE, "--out", out, "--force")
    assert done.returncode == 0, done.stderr
    assert contents(out) == {**before, "val/scores.json": b"{}"}


@pytest.mark.parametrize(
    "names", [["thesis.txt", "sub/notes.txt"], ["best.params", "recipe.yaml", "last.state"]]
)
def test_force_replaces_nothing_that_no_import_wrote(names, tmp_path, published_file):
    for name in names:
        (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / name).write_text("precious")
    line = one_line(command("import", published_file, *REFERENCE, "--out", tmp_path / "out", "--force"))
    assert names[-1].split("/")[0] in line
    assert set(contents(tmp_path / "out").values()) == {b"precious"}
    assert len(contents(tmp_path / "out")) == len(names)


def test_a_full_disk_leaves_no_half_import_and_the_one_before(published_file, tmp_path):
    new = tmp_path / "new" / "deep"
    done = command("import", published_file, *REFERENCE, "--out", new, largest_file=1 << 20)
    assert "cannot be written" in one_line(done)
    assert list(tmp_path.iterdir()) == []
    old = tmp_path / "old"
    assert command("import", published_file, *REFERENCE, "--out", old).returncode == 0
    before = contents(old)
    done = command("import", published_file, *REFERENCE, "--out", old, "--force", largest_file=1 << 20)
    assert "is untouched" in one_line(done)
    assert contents(old) == before


def test_a_recipe_never_stands_beside_the_weights_of_another_import(fcn, tmp_path, monkeypatch):
    recipe = {
        "model": {"name": "fcn", "nclass": 19},
        "data": {"name": "cityscapes"},
        "schedule": {"iterations": 1},
    }
    importer._write(fcn[0], recipe, tmp_path)
    seen = []
    replace = os.replace
    monkeypatch.setattr(
        os, "replace", lambda a, b: seen.append((Path(b).name, set(contents(tmp_path)))) or replace(a, b)
    )
    importer._write(fcn[0], recipe, tmp_path)
    assert [name for name, _ in seen] == ["best.params", "recipe.yaml"]
    assert not any("recipe.yaml" in there for _, there in seen)


@pytest.mark.parametrize("option", ["align_corners", "align_corners=[", "=true"])
def test_an_option_that_cannot_be_read_is_one_line(option, published_file, tmp_path):
    done = command("import", published_file, *REFERENCE, "--out", tmp_path / "out", "--option", option)
    assert "--option" in one_line(done)


def test_an_unknown_reference_offers_the_nearest(tmp_path):
    done = command("import", tmp_path / "x.npz", "--reference", "mxseg_fcn_resnet18_os16")
    assert done.returncode == 2
    assert "mxseg_fcn_resnet18_os8" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_lists_name_weights_and_references():
    assert "mmseg_fcn_r50-d8" in command("list", "fcn_r50*").stdout
    assert "sfnet_resnet18 " in command("list", "--references", "sfnet*").stdout


def test_help_lists_the_endings_that_are_read(capsys):
    with pytest.raises(SystemExit):
        parser().parse_args(["import", "--help"])
    text = capsys.readouterr().out
    assert all(suffix in text for suffix in (*TORCH_SUFFIXES, ".safetensors", ".params", ".npz"))

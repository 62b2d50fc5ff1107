"""`python -m mxnetseg.weights` through the real command."""

from __future__ import annotations

import subprocess
import sys

import mxnet as mx
import numpy as np
import pytest
import yaml

from mxnetseg.cli.weights import parser
from mxnetseg.models import create_model
from mxnetseg.nn.surgery import named_parameters
from mxnetseg.weights import load
from mxnetseg.weights.reading import TORCH_SUFFIXES
from mxnetseg.weights.rename import reference_info, translate


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "mxnetseg.weights", *map(str, arguments)], capture_output=True, text=True
    )


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

"""`train.py --data` starts on every data set, by the recipe that is found or composed for it."""

from __future__ import annotations

import pytest

from mxnetseg.cli.data import command as data
from mxnetseg.cli.train import main
from mxnetseg.data import DATASETS, list_datasets
from mxnetseg.data.prepare import prepare
from mxnetseg.recipe import find_recipe
from tests.data import miniatures

# What makes a run on a small copy short; everything else is the recipe's.
SHORT = (
    "model.pretrained=false model.norm=bn augment.crop=32 augment.base=null schedule.iterations=1 "
    "schedule.warmup_iterations=0 evaluation.base=null evaluation.limit=1"
).split()
# CamVid's files, described as somebody's own.
FOLDER = (
    "{classes: [a, b, c, d, e, f, g, h, i, j, k], images: '{split}', labels: '{split}annot', ignore: [11]}"
)


def prepared(name, folder):
    mini = miniatures.write(name, folder / "archives")
    prepare(name, str(folder / "root"), mini.sources, log=lambda text: None)
    return str(folder / "root")


def small_copy(name, folder):
    """(root or None, settings) of a data set of a few pictures."""
    if name == "synthetic":
        return None, ["data.options={size: [32, 48], length: 4}"]
    if name == "concat":
        parts = f"[{{name: camvid, root: {prepared('camvid', folder)}}}]"
        return None, [f"data.options={{parts: {parts}}}", "data.sampler=shuffled", "data.sampler_options={}"]
    if name == "folder":
        return prepared("camvid", folder), [f"data.options={FOLDER}"]
    if name == "recordio":
        packs = str(folder / "packs")
        data(["pack", "camvid", "--root", prepared("camvid", folder), "--to", packs, "--workers", "1"])
        return packs, []
    sampled = find_recipe("fcn", None, name).data.sampler == "class_uniform"
    return prepared(name, folder), ["data.sampler_options={tile: 16}"] if sampled else []


@pytest.mark.slow
@pytest.mark.parametrize("name", list_datasets())
def test_a_run_on_every_data_set_trains_and_validates(name, tmp_path, capsys):
    root, settings = small_copy(name, tmp_path)
    where = ["--root", root] if root else []
    what = ["--model", "fcn", "--backbone", "mobilenetv2_0.25", "--data", name, *where]
    how = [
        "--output",
        str(tmp_path / "run"),
        "--ctx",
        "cpu",
        "--quiet",
        "--batch-size",
        "2",
        "--workers",
        "0",
    ]
    arguments = [*what, *how, "--set", *SHORT, *settings]
    if "train" in DATASETS.get(name).unlabelled_splits:
        with pytest.raises(SystemExit):
            main(arguments)
        assert "has no labels: train on another data set" in capsys.readouterr().err
        return
    assert main(arguments) == 0
    assert "best mIoU" in capsys.readouterr().out


@pytest.mark.slow
def test_vessels_are_trained_as_one_logit_too(tmp_path, capsys):
    what = ["--model", "fcn", "--backbone", "mobilenetv2_0.25", "--data", "drive"]
    where = ["--root", prepared("drive", tmp_path), "--output", str(tmp_path / "run")]
    how = ["--ctx", "cpu", "--quiet", "--batch-size", "2", "--workers", "0"]
    assert main([*what, *where, *how, "--set", *SHORT, "model.nclass=1"]) == 0
    assert "best mIoU" in capsys.readouterr().out

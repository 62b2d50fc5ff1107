"""Run folders: what is listed, and which one training writes to."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

from mxnetseg import run_files, runs
from mxnetseg.cli.runs import main
from mxnetseg.errors import CheckpointError
from mxnetseg.recipe import make_recipe
from mxnetseg.train.state import Progress

MINIMAL = {"model": {"name": "fcn"}, "data": {"name": "camvid"}, "schedule": {"epochs": 2}}


def made(folder, **state):
    run_files.make_folder(folder)
    run_files.save_recipe(folder, make_recipe(MINIMAL))
    if state:
        meta = asdict(Progress(steps_per_epoch=4, devices=1, **state))
        run_files.save_state(folder, meta, {"x": np.zeros(1)})
    return folder


def test_runs_are_listed_with_progress_and_score(tmp_path, capsys):
    made(tmp_path / "a", iteration=4, total=8, finished=False, best_miou=0.5)
    made(tmp_path / "deep" / "b", iteration=8, total=8, finished=True)
    made(tmp_path / "c")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "recipe.yaml").write_text("model: 3")
    main(["list", str(tmp_path)])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["unfinished", "4/8", "50.00", "%", str(tmp_path / "a")]
    assert lines[1] == ["weights", "only", str(tmp_path / "c")]
    assert lines[2][:4] == ["cannot", "be", "read", f"{tmp_path / 'd'}:"]
    assert lines[3] == ["finished", "8/8", str(tmp_path / "deep" / "b")]


def test_a_folder_without_runs_is_one_line(tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        main(["list", str(tmp_path)])
    assert end.value.code == 2
    assert capsys.readouterr().err == f"error: {tmp_path}: no run is in this folder or below it\n"


def test_a_run_is_named_after_model_backbone_and_data():
    recipe = make_recipe(MINIMAL)
    assert str(runs.run_folder(recipe)) == "weights/runs/fcn_resnet101_camvid"
    recipe.model.backbone = "resnet18"
    assert str(runs.run_folder(recipe)) == "weights/runs/fcn_resnet18_camvid"
    recipe.output_dir = "here"
    assert str(runs.run_folder(recipe)) == "here"


def test_training_never_starts_over_a_run(tmp_path):
    runs.check_free(tmp_path)
    made(tmp_path, iteration=1, total=2, finished=False)
    with pytest.raises(CheckpointError, match="holds an unfinished run, which can be resumed"):
        runs.check_free(tmp_path)
    made(tmp_path, iteration=2, total=2, finished=True)
    with pytest.raises(CheckpointError, match="holds a finished run"):
        runs.check_free(tmp_path)


def test_a_finished_run_is_resumed_only_to_be_longer(tmp_path):
    made(tmp_path, iteration=2, total=2, finished=True)
    with pytest.raises(CheckpointError, match=r"is finished; to train on, give more schedule\.epochs"):
        runs.resumed(tmp_path, {"seed": 3})
    recipe, folder = runs.resumed(tmp_path / "last.state", {"schedule.epochs": 5, "model.name": "sfnet"})
    assert (recipe.schedule.epochs, recipe.model.name, folder) == (5, "fcn", tmp_path)
    with pytest.raises(CheckpointError, match="no training state to resume from"):
        runs.resumed(tmp_path / "no" / "where", {})

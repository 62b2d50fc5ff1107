"""What a run writes down, and how it goes on after a stop."""

from __future__ import annotations

import builtins
import json
import os

import mxnet as mx
import numpy as np
import pytest

from mxnetseg.errors import ConfigError, MxnetsegError
from mxnetseg.report.tracking import Tracker, read_metrics
from tests.predict.stand_ins import picture


def lines(run):
    return read_metrics(str(run / "metrics.jsonl"))


def test_every_line_has_kind_iteration_epoch_time_and_the_numbers(tmp_path):
    with Tracker(str(tmp_path)) as tracker:
        tracker.log(3, {"loss": np.float32(0.5), "lr": mx.nd.array([0.25])}, epoch=1)
    (line,) = lines(tmp_path)
    assert line.pop("time") > 0
    assert line == {"kind": "train", "iteration": 3, "epoch": 1, "loss": 0.5, "lr": 0.25}


def test_numbers_that_are_not_finite_are_null_so_that_the_file_stays_json(tmp_path):
    with Tracker(str(tmp_path)) as tracker:
        tracker.log(1, {"loss": float("nan"), "parts": [float("inf"), 1]})
    text = (tmp_path / "metrics.jsonl").read_text()
    assert json.loads(text, parse_constant=lambda name: pytest.fail(name))["parts"] == [None, 1]


def test_a_line_is_on_disk_as_soon_as_it_is_logged(tmp_path):
    tracker = Tracker(str(tmp_path))
    tracker.log(1, {"loss": 1})
    assert len(lines(tmp_path)) == 1
    tracker.finish()
    tracker.finish()


def test_a_resumed_run_drops_what_was_written_after_its_checkpoint(tmp_path):
    with Tracker(str(tmp_path)) as tracker:
        for i in range(1, 6):
            tracker.log(i, {"loss": i})
    with Tracker(str(tmp_path), resume_after=(3, -1)) as tracker:
        tracker.log(4, {"loss": 40})
    assert [(r["iteration"], r["loss"]) for r in lines(tmp_path)] == [(1, 1), (2, 2), (3, 3), (4, 40)]


def test_a_resumed_run_drops_a_validation_that_its_checkpoint_does_not_know_of(tmp_path):
    with Tracker(str(tmp_path)) as tracker:
        for i in (2, 4):
            tracker.log(i, {}, kind="train")
            tracker.log(i, {}, kind="val")
    with Tracker(str(tmp_path), resume_after=(4, 2)):
        pass
    assert [(r["iteration"], r["kind"]) for r in lines(tmp_path)] == [(2, "train"), (2, "val"), (4, "train")]


def test_a_line_cut_short_by_a_kill_does_not_stop_a_resumed_run(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"kind": "train", "iteration": 1}\n{"kind": "tra')
    with Tracker(str(tmp_path), resume_after=(1, -1)) as tracker:
        tracker.log(2, {})
    assert [r["iteration"] for r in lines(tmp_path)] == [1, 2]


def test_a_damaged_line_in_the_middle_is_an_error_with_its_number(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"iteration": 1}\nrubbish\n{"iteration": 2}\n')
    with pytest.raises(MxnetsegError, match="line 2"):
        lines(tmp_path)


def test_a_new_run_starts_a_new_file(tmp_path):
    for _ in range(2):
        with Tracker(str(tmp_path)) as tracker:
            tracker.log(1, {})
    assert len(lines(tmp_path)) == 1


def test_a_folder_that_cannot_be_written_is_one_line_naming_the_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MxnetsegError, match=r"file/run/metrics\.jsonl: cannot be written"):
        Tracker(str(tmp_path / "file" / "run"))


def test_examples_and_confusion_matrix_of_the_latest_validation_are_kept(tmp_path):
    label = np.zeros((20, 30), np.int32)
    with Tracker(str(tmp_path), classes=["a", "b"]) as tracker:
        tracker.log_images(5, [("frame", picture(20, 30), label, label.astype(np.uint8))], 255)
        tracker.log_images(6, [("frame", picture(20, 30), None, label.astype(np.uint8))], 255)
        tracker.confusion(5, [[3, 1], [0, 2]])
    assert (tmp_path / "examples.jpg").stat().st_size > 1000
    assert json.loads((tmp_path / "confusion.json").read_text())["matrix"] == [[3, 1], [0, 2]]


def test_wandb_is_not_imported_unless_asked_for(tmp_path, monkeypatch):
    real = builtins.__import__

    def guarded(name, *args, **keywords):
        assert name.split(".")[0] != "wandb"
        return real(name, *args, **keywords)

    monkeypatch.setattr(builtins, "__import__", guarded)
    with Tracker(str(tmp_path)) as tracker:
        tracker.log(1, {"loss": 1})


def test_wandb_that_is_not_installed_is_one_line_saying_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "wandb", None)
    with pytest.raises(ConfigError, match="pip install wandb"):
        Tracker(str(tmp_path), wandb_project="p")


def test_wandb_works_offline_and_a_resumed_run_continues_the_same_wandb_run(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    label = np.zeros((20, 30), np.int32)
    scores = {"miou": 0.5, "class_iou": [0.5, None], "confusion": [[1, 0], [0, 0]], "classes": ["a", "b"]}
    ids = []
    for resume in (None, (1, -1)):
        recipe = {"model": {"name": "fcn"}}
        with Tracker(str(tmp_path), recipe, "proj", resume, classes=["a", "b"]) as tracker:
            tracker.log(1, {"loss": 1.0}, epoch=0)
            tracker.log_scores(1, scores, epoch=0)
            tracker.log_images(1, [("frame", picture(20, 30), label, label.astype(np.uint8))], 255)
            ids.append(json.loads((tmp_path / "wandb_run.json").read_text())["id"])
    assert ids[0] == ids[1]
    runs = [name for name in os.listdir(tmp_path / "wandb") if name.startswith("offline-run")]
    # Two runs of one id that begin within a second: wandb numbers the second folder's name at its end.
    assert runs and all(ids[0] in name.split("-") for name in runs)
    masks = [f for _, _, files in os.walk(tmp_path / "wandb") for f in files if f.endswith(".mask.png")]
    assert masks


def test_wandb_gets_numbers_by_kind_and_name_with_the_iteration_as_their_axis(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")
    sent, configured = [], {}

    class Run:
        id, summary = "abc", {}

        def log(self, values):
            sent.append(values)

        def define_metric(self, *args, **keywords):
            pass

        def finish(self, **keywords):
            configured["exit"] = keywords["exit_code"]

    monkeypatch.setattr(wandb, "init", lambda **keywords: configured.update(keywords) or Run())
    with Tracker(str(tmp_path), {"seed": 1}, "proj") as tracker:
        tracker.log(7, {"miou": 0.5, "class_iou": {"road": 0.9, "sky": None}}, kind="val", epoch=2)
    assert sent == [{"iteration": 7, "epoch": 2, "val/miou": 0.5, "val/class_iou/road": 0.9}]
    assert configured["project"] == "proj" and configured["config"] == {"seed": 1} and configured["exit"] == 0


def test_wandb_that_refuses_to_start_is_one_line(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")

    def refuse(**keywords):
        raise wandb.errors.UsageError("api_key not configured (no-tty). call wandb.login()\nmore")

    monkeypatch.setattr(wandb, "init", refuse)
    with pytest.raises(ConfigError, match=r"api_key not configured.*WANDB_MODE=offline"):
        Tracker(str(tmp_path), wandb_project="p")

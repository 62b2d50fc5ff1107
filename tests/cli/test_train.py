"""train.py as people use it: runs, kills, resumes, signals, and every mistake in one line with status 2."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import mxnet as mx
import numpy as np
import pytest
import yaml

from mxnetseg import run_files as files
from mxnetseg.cli.train import main
from mxnetseg.weights import checkpoint
from tests.train.tiny import tiny

ROOT = Path(__file__).resolve().parents[2]

RECIPE = {
    "model": {"name": "fcn", "backbone": "mobilenetv2_0.25", "options": {"width": 16, "aux_width": 16}},
    "data": {
        "name": "synthetic",
        "batch_size": 2,
        "workers": 1,
        "options": {"size": [64, 96], "length": 8},
    },
    "augment": {"crop": [64, 96]},
    "optimizer": {"lr": 0.01},
    "schedule": {"epochs": 2, "warmup_iterations": 2},
    "checkpoint": {"every_iterations": 1},
    "log_every": 1,
}


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(RECIPE))
    return path


def train(*arguments):
    """Run in this process; the exit status."""
    try:
        return main([*map(str, arguments), "--ctx", "cpu", "--quiet"])
    except SystemExit as end:
        return end.code


def process(*arguments, cwd=ROOT, **keywords):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MXNET_ENFORCE_DETERMINISM": "1"}
    return subprocess.Popen(
        [sys.executable, str(ROOT / "train.py"), *map(str, arguments), "--ctx", "cpu"],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **keywords,
    )


def finished(child):
    out, error = child.communicate(timeout=600)
    assert child.returncode == 0, error
    return out, error


def weights(run):
    return {n: a.asnumpy() for n, a in mx.nd.load(str(run / files.LAST)).items()}


def metrics(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def wait_for(condition, child):
    limit = time.monotonic() + 600
    while not condition():
        if child.poll() is not None:
            pytest.fail(f"the command ended early: {child.communicate()[1]}")
        if time.monotonic() > limit:
            child.kill()
            pytest.fail("nothing happened in time")
        time.sleep(0.02)


def iteration_of(run):
    try:
        return files.read_meta(run)["iteration"]
    except (TypeError, KeyError):
        return -1


def lasting_metrics(run):
    volatile = ("time", "images_per_second")
    return [{k: v for k, v in record.items() if k not in volatile} for record in metrics(run)]


def assert_same_run(one, other):
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)
    assert lasting_metrics(one) == lasting_metrics(other)


def test_a_run_writes_all_that_it_promises(recipe, tmp_path, capsys):
    run = tmp_path / "run"
    assert train("--recipe", recipe, "--output", run) == 0
    assert {p.name for p in run.iterdir()} >= {
        "last.params",
        "best.params",
        "last.state",
        "recipe.yaml",
        "metrics.jsonl",
        "report.html",
    }
    kinds = [r["kind"] for r in metrics(run)]
    assert kinds.count("val") == 2 and kinds.count("train") == 8
    assert "best mIoU" in capsys.readouterr().out
    net, saved = checkpoint.load_network(run)
    assert saved.model.nclass == 19
    assert net(mx.nd.ones((1, 3, 64, 64)))[0].shape == (1, 19, 64, 64)
    assert train("--recipe", recipe, "--output", run) == 2
    assert "holds a finished run" in capsys.readouterr().err


@pytest.mark.slow
def test_killed_runs_end_with_the_same_bits_as_one_that_never_was(recipe, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    finished(process("--recipe", recipe, "--output", whole))
    arguments = ["--recipe", recipe, "--output", killed]
    for stop_after in (2, 5):  # within the first epoch, and within the second
        child = process(*arguments)
        wait_for(lambda least=stop_after: iteration_of(killed) >= least, child)
        child.kill()
        child.communicate()
        arguments = ["--resume", killed]
    finished(process(*arguments))
    assert_same_run(whole, killed)


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_before_it_ends_the_run(recipe, tmp_path, signum):
    run = tmp_path / "run"
    child = process(
        "--recipe",
        recipe,
        "--output",
        run,
        "--set",
        "schedule.epochs=500",
        "checkpoint.every_iterations=null",
        "data.val_split=null",
    )
    numbers = run / files.METRICS
    wait_for(lambda: numbers.is_file() and numbers.read_text().count("\n") >= 3, child)
    child.send_signal(signum)
    _, error = child.communicate(timeout=600)
    assert child.returncode == 128 + signum
    saved = iteration_of(run)
    assert f"saved at iteration {saved} of" in error and saved >= 3
    assert f"continue with --resume {run}" in error
    assert "Traceback" not in error


def test_a_resumed_run_in_one_process_goes_on_exactly(recipe, tmp_path, monkeypatch):
    from mxnetseg.train import trainer

    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    # The stop falls into a window of logged losses, whose mean has to come out all the same.
    common = ["--recipe", recipe, "--set", "log_every=3"]
    assert train(*common, "--output", whole) == 0
    real = trainer.Trainer._heed

    def stop_at_five(self, *error):
        real(self, *error)
        if self.progress.iteration == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(trainer.Trainer, "_heed", stop_at_five)
    assert train(*common, "--output", stopped) == 130
    monkeypatch.setattr(trainer.Trainer, "_heed", real)
    assert train(*common, "--output", stopped, "--resume") == 0
    assert_same_run(whole, stopped)


@pytest.mark.parametrize("rule", ["sgd", "adamw"])
def test_accumulated_parts_train_as_the_whole_batch(rule, recipe, tmp_path, monkeypatch):
    from mxnetseg.train import setup

    def frozen(recipe, devices, resuming, synchronized):
        net = tiny(recipe.model.nclass)
        # Batch statistics of a part are not those of the batch: that is batch norm, not accumulation.
        net.backbone[1]._kwargs["use_global_stats"] = True
        return net

    monkeypatch.setattr(setup, "build_network", frozen)
    found = {}
    for parts in (1, 2, 4):
        run = tmp_path / f"parts{parts}"
        settings = [
            "data.val_split=null",
            "schedule.iterations=3",
            "data.worker_mode=none",
            "data.batch_size=4",
        ]
        assert (
            train(
                "--recipe",
                recipe,
                "--output",
                run,
                "--set",
                *settings,
                f"optimizer.name={rule}",
                f"optimizer.accumulate={parts}",
            )
            == 0
        )
        found[parts] = weights(run), [r["loss"] for r in metrics(run)]
    for parts in (2, 4):
        assert found[parts][1] == pytest.approx(found[1][1], rel=1e-5)
        for name, value in found[1][0].items():
            np.testing.assert_allclose(found[parts][0][name], value, rtol=1e-4, atol=2e-5, err_msg=name)


def test_a_run_too_short_to_log_anything_ends_well(recipe, tmp_path, capsys):
    settings = ["log_every=50", "schedule.iterations=2", "schedule.epochs=null", "data.val_split=null"]
    assert train("--recipe", recipe, "--output", tmp_path / "run", "--set", *settings) == 0
    out, error = capsys.readouterr()
    assert "error" not in error and f"weights are in {tmp_path / 'run'}" in out
    assert (tmp_path / "run" / "best.params").exists()


def test_several_cpu_contexts_share_the_cores(monkeypatch):
    from mxnetseg import environment as threads

    monkeypatch.setattr(threads, "available_cores", lambda: 8)
    for names, expected in (
        (["cpu"], None),
        (["0", "1"], None),
        (None, None),
        (["cpu"] * 4, "2"),
        (["cpu"] * 9, "1"),
    ):
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        threads.prepare(names)
        assert os.environ.get("OMP_NUM_THREADS") == expected
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    threads.prepare(["cpu", "cpu"])
    assert os.environ["OMP_NUM_THREADS"] == "3"


def test_synchronized_norm_over_cpu_contexts_is_one_context_with_the_whole_batch(recipe, tmp_path, capsys):
    def run(name, norm, *contexts):
        where = tmp_path / name
        arguments = ["--recipe", recipe, "--set", f"model.norm={norm}", "--output", where, "--ctx", *contexts]
        assert main([*map(str, arguments)]) == 0
        return weights(where)

    two, one = run("two", "syncbn", "cpu", "cpu"), run("one", "bn", "cpu")
    assert "makes 2 CPU contexts compute what one computes" in capsys.readouterr().err
    assert all(np.array_equal(two[name], one[name]) for name in one)
    assert "norm: syncbn" in (tmp_path / "two" / "recipe.yaml").read_text()


def test_fine_tuning_to_other_classes_lists_what_was_skipped(recipe, tmp_path, capsys, camvid_root):
    first = tmp_path / "first"
    short = ["--set", "schedule.iterations=1", "data.val_split=null"]
    assert train("--recipe", recipe, "--output", first, *short) == 0
    second = tmp_path / "second"
    capsys.readouterr()
    assert (
        train(
            "--recipe",
            recipe,
            "--output",
            second,
            "--init-from",
            first,
            "--data",
            "camvid",
            "--root",
            camvid_root,
            *short,
            "data.options={}",
        )
        == 0
    )
    error = capsys.readouterr().err
    assert "skipped head" in error and "(19," in error and "(11," in error
    assert checkpoint.load_network(second)[1].model.nclass == 11


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_checkpoint(recipe, tmp_path, capsys):
    run = tmp_path / "run"
    status = train(
        "--recipe",
        recipe,
        "--output",
        run,
        "--set",
        "optimizer.lr=1e25",
        "schedule.warmup_iterations=0",
        "data.val_split=null",
    )
    error = capsys.readouterr().err
    assert status == 2
    assert re.search(r"(the loss is (nan|inf)|values that are not finite) at iteration \d", error)
    for array in weights(run).values():
        assert np.isfinite(array).all()


def test_another_batch_size_says_how_the_learning_rate_changed(recipe, tmp_path, capsys):
    run = tmp_path / "run"
    main(
        [
            "--recipe",
            str(recipe),
            "--output",
            str(run),
            "--batch-size",
            "1",
            "--ctx",
            "cpu",
            "--set",
            "schedule.iterations=1",
            "data.val_split=null",
        ]
    )
    assert "batch size 2 -> 1: learning rate 0.01 -> 0.005" in capsys.readouterr().err


def test_class_weights_are_counted_once_and_kept_in_the_recipe(recipe, tmp_path):
    run = tmp_path / "run"
    short = ["schedule.iterations=1", "data.val_split=null"]
    assert train("--recipe", recipe, "--output", run, "--set", *short, "loss.class_weights=auto") == 0
    kept = yaml.safe_load((run / "recipe.yaml").read_text())["loss"]["class_weights"]
    assert len(kept) == 19 and min(kept) > 0


def test_a_binary_network_trains_on_a_folder_of_masks(recipe, tmp_path):
    root = tmp_path / "set"
    for part in ("images", "masks"):
        (root / part).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for k in range(4):
        mask = np.zeros((64, 96), np.uint8)
        mask[20:40, 10 * k : 10 * k + 30] = 1
        image = rng.integers(0, 100, (64, 96, 3)).astype(np.uint8) + mask[..., None] * 100
        cv2.imwrite(str(root / "images" / f"{k}.png"), image)
        cv2.imwrite(str(root / "masks" / f"{k}.png"), mask)
    options = "data.options={images: images, labels: masks, classes: [background, thing]}"
    run = tmp_path / "run"
    status = train(
        "--recipe",
        recipe,
        "--data",
        "folder",
        "--root",
        root,
        "--output",
        run,
        "--set",
        options,
        "model.nclass=1",
        "schedule.epochs=1",
    )
    assert status == 0
    assert metrics(run)[-1]["miou"] is not None
    assert checkpoint.load_network(run)[0](mx.nd.ones((1, 3, 32, 32)))[0].shape[1] == 1


MISTAKES = {
    "nothing given": ([], r"give --model .* or --recipe"),
    "unknown model": (["--model", "sfnett"], r"no model is named 'sfnett'; did you mean sfnet"),
    "unknown data set": (
        ["--model", "sfnet", "--data", "camvit"],
        r"no data set is named 'camvit'; did you mean camvid",
    ),
    "unknown backbone": (
        ["--recipe", "{recipe}", "--backbone", "resnet19"],
        r"no backbone is named 'resnet19'; did you mean",
    ),
    "missing recipe": (
        ["--recipe", "{tmp}/tny.yaml"],
        r"tny\.yaml: recipe not found; in that folder: tiny\.yaml",
    ),
    "misspelt key": (
        ["--recipe", "{recipe}", "--set", "optimizer.lrr=1"],
        r"unknown key 'optimizer.lrr'; nearest: lr",
    ),
    "wrong type": (
        ["--recipe", "{recipe}", "--set", "data.workers=lots"],
        r"data.workers 'lots': input should be a valid",
    ),
    "missing root": (
        ["--recipe", "{recipe}", "--data", "camvid", "--root", "{tmp}/none", "--set", "data.options={{}}"],
        r"none: the root of data set 'camvid' does not exist",
    ),
    "no gpu": (["--recipe", "{recipe}", "--ctx", "5"], r"device 5: .*GPU"),
    "uneven batch": (
        ["--recipe", "{recipe}", "--set", "optimizer.accumulate=2", "data.batch_size=3"],
        r"batch_size 3 cannot be divided over 1 device x 2 accumulated parts; nearest: 2 or 4",
    ),
    "uneven batch over contexts": (
        ["--recipe", "{recipe}", "--ctx", "cpu", "cpu", "--batch-size", "3"],
        r"batch_size 3 cannot be divided over 2 devices; nearest: 2 or 4",
    ),
    "output is a file": (["--recipe", "{recipe}", "--output", "{recipe}/x"], r"output folder cannot be made"),
    "resume of nothing": (["--resume", "{tmp}"], r"no training state to resume from"),
    "init of nothing": (
        ["--recipe", "{recipe}", "--init-from", "{tmp}/x.params"],
        r"x\.params: checkpoint not found",
    ),
    "init from junk": (["--recipe", "{recipe}", "--init-from", "{recipe}"], r"not an MXNet parameter file"),
    "wrong aux weights": (
        ["--recipe", "{recipe}", "--set", "loss.aux_weights=[1, 2, 3]"],
        r"aux_weights has 3 numbers but the network has 1 auxiliary",
    ),
    "wrong class weights": (
        ["--recipe", "{recipe}", "--set", "loss.class_weights=[1, 2]"],
        r"class_weights are of 2 classes, data set 'synthetic' has 19",
    ),
    "batch larger than the data": (
        ["--recipe", "{recipe}", "--batch-size", "64"],
        r"fewer than one batch of 64",
    ),
    "option of another model": (
        ["--recipe", "{recipe}", "--set", "model.options.widht=3"],
        r"has no option 'widht'; nearest: width",
    ),
    "option that no network can have": (
        ["--recipe", "{recipe}", "--set", "model.options.width=-3"],
        r"model '\w+' cannot be built with .*width -3 ",
    ),
    "batch beyond the memory": (
        ["--recipe", "{recipe}", "--crop", "65000", "--batch-size", "4096"],
        r"takes \d+ GiB, and this mach",
    ),
    "label files where there are none": (
        ["--recipe", "{recipe}", "--set", "data.sampler=class_uniform"],
        r"class_uniform reads label files, and data set 'synthetic' has none",
    ),
    "three crop numbers": (["--recipe", "{recipe}", "--crop", "1", "2", "3"], r"--crop 1 2 3: expected"),
    "missing pretrained weights": (
        ["--recipe", "{recipe}", "--set", "model.pretrained=true"],
        r"(?i)weights",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_and_status_2(mistake, recipe, tmp_path, capsys, monkeypatch):
    arguments, expected = MISTAKES[mistake]
    monkeypatch.chdir(tmp_path)
    filled = [a.format(tmp=tmp_path, recipe=recipe) for a in arguments]
    if "--output" not in filled:
        filled += ["--output", str(tmp_path / "run")]
    if "--ctx" not in filled:
        filled += ["--ctx", "cpu"]
    with pytest.raises(SystemExit) as end:
        main(filled + ["--quiet"])
    error = capsys.readouterr().err.strip()
    assert end.value.code == 2, error
    assert error.startswith("error: ") and "\n" not in error
    assert re.search(expected, error), error
    assert not (tmp_path / "run").exists()


def test_the_real_command_fails_in_one_line_from_another_folder(tmp_path):
    child = process("--model", "sfnet", "--data", "camvid", "--root", "nowhere", cwd=tmp_path)
    _, error = child.communicate(timeout=600)
    assert child.returncode == 2
    assert error.strip().startswith("error: nowhere: the root of data set 'camvid'")
    assert "Traceback" not in error


def test_a_checkpoint_that_finds_no_room_ends_the_run_and_leaves_the_old_one(
    recipe, tmp_path, capsys, monkeypatch
):
    run = tmp_path / "run"
    real = files.save_state

    def full(*arguments):
        if iteration_of(run) >= 2:
            with files.atomic_file(run / files.STATE) as out:
                out.write(b"x" * 100)
                raise OSError(28, "No space left on device")
        return real(*arguments)

    monkeypatch.setattr(files, "save_state", full)
    assert train("--recipe", recipe, "--output", run) == 2
    error = capsys.readouterr().err
    assert "No space left on device" in error and "untouched" in error
    assert iteration_of(run) == 2
    monkeypatch.setattr(files, "save_state", real)
    assert train("--recipe", recipe, "--output", run, "--resume") == 0


def test_a_second_run_in_one_folder_is_refused_and_leaves_the_first_as_it_is(recipe, tmp_path, capsys):
    run = tmp_path / "run"
    short = ["--recipe", recipe, "--output", run, "--set", "schedule.iterations=1", "data.val_split=null"]
    assert train(*short) == 0
    before = {p.name: p.read_bytes() for p in run.iterdir() if p.name != files.LOCK}
    with files.locked(run):
        assert train(*short, "--overwrite") == 2
    error = capsys.readouterr().err
    assert re.search(r"run: another process \(\d+\) is training in this folder", error)
    assert error.count("\n") == 1
    assert {p.name: p.read_bytes() for p in run.iterdir() if p.name != files.LOCK} == before


def test_help_and_the_list_of_fields_are_readable(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert "python train.py --model sfnet --ctx 0 1 2 3 --wandb proj" in text
    assert main(["--fields"]) == 0
    assert "optimizer.head_lr_mult" in capsys.readouterr().out

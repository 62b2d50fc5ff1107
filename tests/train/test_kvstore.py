"""Training in several processes that MXNet's key-value store joins, on this machine."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest
import yaml

from mxnetseg import run_files as files
from mxnetseg.cli import launch as launching
from mxnetseg.cli.launch import Job
from mxnetseg.cli.launch import main as launch
from mxnetseg.cli.train import main as train
from mxnetseg.compute import training_devices
from mxnetseg.compute.workers import Workers, join_workers
from mxnetseg.errors import ConfigError, MxnetsegError
from tests.train import job

ROOT = Path(__file__).resolve().parents[2]
RECIPE = {
    "model": {"name": "fcn", "backbone": "mobilenetv2_0.25", "norm": "gn"},  # a stand-in takes its place
    "data": {"name": "synthetic", "batch_size": 4, "workers": 0, "options": {"size": [32, 64], "length": 12}},
    "augment": {"crop": [32, 64]},
    "loss": {"ohem_threshold": 0.7, "ohem_min_kept": 500},
    "optimizer": {"lr": 0.05, "momentum": 0.9},
    "schedule": {"epochs": 2, "warmup_iterations": 2},
    "checkpoint": {"every_iterations": 2},
    "log_every": 1,
}
WORKER = {
    "DMLC_ROLE": "worker",
    "DMLC_PS_ROOT_URI": "127.0.0.1",
    "DMLC_PS_ROOT_PORT": "9091",
    "DMLC_NUM_WORKER": "2",
    "DMLC_NUM_SERVER": "1",
}


def run(*command, **environment):
    """A command in a process; (status, what it wrote to stderr)."""
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "MXNET_ENFORCE_DETERMINISM": "1", **environment},
        capture_output=True,
        text=True,
        timeout=400,
    )
    return done.returncode, done.stderr


def two_workers(*arguments, **environment):
    """`tests/train/job.py` in two workers."""
    return run("-m", "mxnetseg.launch", "--workers", 2, Path(job.__file__), *arguments, **environment)


def weights(folder):
    return {name: array.asnumpy() for name, array in mx.nd.load(str(folder / files.LAST)).items()}


def test_two_workers_move_the_parameters_as_one(tmp_path):
    status, error = two_workers("engine", tmp_path / "found.npz")
    assert status == 0, error
    with np.load(tmp_path / "found.npz") as found:
        for name, case in job.CASES.items():
            if case.get("norm") == "bn":
                continue
            for key, expected in job.steps(case).items():
                what = f"{name}/{key}"
                np.testing.assert_allclose(found[what], expected, atol=1e-5, err_msg=what)
        # Every worker moves its own; with nothing learnt, the mean of their means is that of one.
        bn = job.CASES["running statistics"]
        together, alone = found["running statistics/backbone.1.running_mean"], job.steps(bn)
        np.testing.assert_allclose(together, alone["backbone.1.running_mean"], atol=1e-6)


def test_a_run_of_two_workers_is_that_of_one_and_goes_on_when_one_was_killed(tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(RECIPE))
    given = ("train", "--recipe", recipe, "--ctx", "cpu", "--output")
    one, two, killed = (tmp_path / name for name in ("one", "two", "killed"))
    status, error = run(job.__file__, *given, one)
    assert status == 0, error
    status, error = two_workers(*given, two, "--kvstore", "dist_sync")
    assert status == 0, error
    for name, expected in weights(one).items():
        np.testing.assert_allclose(weights(two)[name], expected, atol=1e-5, err_msg=name)

    status, error = two_workers(*given, killed, "--kvstore", "dist_sync", DIE_AT="1 5")
    assert status == 2 and "Traceback" not in error
    assert "error: worker 1 of 2 is gone" in error
    assert files.read_meta(killed)["iteration"] == 4
    status, error = two_workers("train", "--resume", killed, "--ctx", "cpu", "--kvstore", "dist_sync")
    assert status == 0, error
    for name, expected in weights(two).items():
        np.testing.assert_array_equal(weights(killed)[name], expected, err_msg=name)


def test_an_error_of_all_workers_is_one_line(tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump({**RECIPE, "data": {**RECIPE["data"], "batch_size": 3}}))
    given = (
        "train",
        "--recipe",
        recipe,
        "--ctx",
        "cpu",
        "--kvstore",
        "dist_sync",
        "--output",
        tmp_path / "r",
    )
    status, error = two_workers(*given)
    assert status == 2
    assert error.count("\n") == 1 and "data.batch_size 3 cannot be divided over 2 devices" in error


def test_workers_that_never_come_are_waited_for_so_long():
    program = "from mxnetseg.compute.workers import join_workers; join_workers('mxnet', 'dist_sync')"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = str(silent.getsockname()[1])
        status, error = run("-c", program, **{**WORKER, "DMLC_PS_ROOT_PORT": port}, MXNETSEG_MEET_SECONDS="1")
    assert status == 2
    assert error == (
        f"error: kvstore dist_sync: 2 workers and 1 servers have not met at 127.0.0.1:{port} within 1 s: "
        f"are all started?\n"
    )


def test_a_scheduler_that_is_not_there_is_waited_for_so_long(monkeypatch):
    for name, value in {**WORKER, "MXNETSEG_MEET_SECONDS": "0.3"}.items():
        monkeypatch.setenv(name, value)
    with socket.socket() as held:  # bound and not listening: nobody else is there
        held.bind(("127.0.0.1", 0))
        monkeypatch.setenv("DMLC_PS_ROOT_PORT", str(held.getsockname()[1]))
        with pytest.raises(MxnetsegError, match=r"not reached at 127\.0\.0\.1:\d+ within 0\.3 s"):
            join_workers("mxnet", "dist_sync")


@pytest.mark.parametrize(
    ("arguments", "environment", "expected"),
    [
        (["--kvstore", "dist"], {}, r"argument --kvstore: invalid choice: 'dist'"),
        (
            ["--kvstore", "dist_sync"],
            {},
            r"DMLC_ROLE, .* not in the environment: start it by",
        ),
        (
            ["--kvstore", "dist_sync"],
            {**WORKER, "DMLC_ROLE": "boss"},
            r"DMLC_ROLE is 'boss': expected worker",
        ),
        (["--kvstore", "dist_sync"], {**WORKER, "DMLC_NUM_WORKER": "two"}, r"DMLC_NUM_WORKER is 'two'"),
        (["--kvstore", "dist_sync", "--engine", "torch"], WORKER, r"kvstore dist_sync is MXNet's"),
        ([], WORKER, r"DMLC_ROLE .* choose kvstore dist_sync \(--kvstore\)"),
    ],
)
def test_what_cannot_be_joined_is_a_line(arguments, environment, expected, monkeypatch, tmp_path, capsys):
    for name in WORKER:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(RECIPE))
    with pytest.raises(SystemExit) as end:
        train(["--recipe", str(recipe), "--output", str(tmp_path / "run"), "--ctx", "cpu", *arguments])
    assert end.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(expected, error), error


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "give the command that a worker runs"),
        (["train"], "train: no such file"),
        (["--workers", "0", "train.py"], "must be at least 1"),
        (["--machines", "2", "train.py"], "need --root HOST:PORT"),
        (["--machines", "2", "--machine", "2", "--root", "a:1", "train.py"], "expected a number from 0 to 1"),
        (["--root", "127.0.0.1", "train.py"], "expected HOST:PORT"),
    ],
)
def test_a_launcher_that_cannot_start_says_why(arguments, expected, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit) as end:
        launch(arguments)
    assert end.value.code == 2
    assert expected in capsys.readouterr().err


DIE, FAIL, END = "import os; os.kill(os.getpid(), 9)", "raise SystemExit(130)", "pass"
LIVE = "import time; time.sleep(600)"


@pytest.mark.parametrize(
    ("programs", "expected", "line"),
    [
        ([("server", DIE), ("worker", LIVE)], 2, "error: a server ended by SIGKILL, which ends the others\n"),
        ([("server", LIVE), ("worker", DIE)], 2, "error: a worker ended by SIGKILL, which ends the others\n"),
        ([("server", LIVE), ("worker", FAIL), ("worker", LIVE)], 130, ""),
        ([("server", LIVE), ("worker", END)], 0, ""),
    ],
)
def test_no_process_of_a_job_outlives_the_others(programs, expected, line, monkeypatch, capsys):
    monkeypatch.setattr(launching, "GRACE", 0.1)
    with Job() as job:
        for role, program in programs:
            job.start(role, [sys.executable, "-c", program], dict(os.environ))
        assert job.wait() == expected
    assert capsys.readouterr().err == line
    assert len(job.processes) == len(programs)
    assert all(process.returncode is not None for process in job.processes)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells processes that their parent died")
def test_a_launcher_that_is_killed_takes_its_processes_along():
    program = (
        "import os, sys\nfrom mxnetseg.cli.launch import Job\nwith Job() as job:\n"
        f"    job.start('worker', [sys.executable, '-c', {LIVE!r}], dict(os.environ))\n"
        "    print('started', flush=True)\n    job.wait()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE) as launcher:
        assert launcher.stdout.readline() == b"started\n"
        launcher.kill()
        # Ends when nobody is left who could write there.
        assert launcher.stdout.read() == b""


def test_norm_over_several_workers_is_the_torch_engines():
    class Two(Workers):
        world_size = 2

    with pytest.raises(ConfigError, match=r"set model\.norm to bn .* or use engine torch"):
        training_devices("mxnet", ["cpu"], "syncbn", workers=Two())

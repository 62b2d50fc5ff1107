"""train.py and eval.py on the torch engine, and runs that change engines."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from mxnetseg.cli import eval as eval_command
from mxnetseg.cli import train as train_command
from mxnetseg.recipe import make_recipe
from mxnetseg.run_files import BEST, LAST, read_meta
from mxnetseg.weights.checkpoint import draw_network, read_params
from tests.cli.test_train import RECIPE, recipe  # noqa: F401  a recipe of a few seconds
from tests.conftest import REPOSITORY
from tests.runs import save_checkpoint

torch = pytest.importorskip("torch", reason="PyTorch (requirements-torch.txt) is not installed")

from tests.compute.torch.test_workers import started  # noqa: E402

EVAL = "import sys; from mxnetseg.cli.eval import main; main(sys.argv[1:])"


def train(*arguments):
    try:
        return train_command.main([*map(str, arguments), "--ctx", "cpu", "--quiet", "--deterministic"])
    except SystemExit as end:
        return end.code


def losses(run):
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [row["loss"] for row in rows if "loss" in row]


def test_a_run_of_either_engine_is_continued_evaluated_and_scored_alike_by_the_other(recipe, tmp_path):  # noqa: F811
    first, second = tmp_path / "torch", tmp_path / "mxnet"
    one = ["--recipe", recipe, "--epochs", 1]
    assert train(*one, "--output", first, "--engine", "torch") == 0
    assert train(*one, "--output", second, "--engine", "mxnet") == 0
    assert losses(first) == pytest.approx(losses(second), rel=1e-2)
    assert set(read_params(first / LAST)) == set(read_params(second / LAST))
    assert train("--resume", first, "--set", "schedule.epochs=2", "--engine", "mxnet") == 0
    assert train("--resume", second, "--set", "schedule.epochs=2", "--engine", "torch") == 0
    scores = []
    for engine in ("mxnet", "torch"):
        file = tmp_path / f"{engine}.json"
        eval_command.main(
            [
                "--checkpoint",
                str(first / BEST),
                "--engine",
                engine,
                "--ctx",
                "cpu",
                "--quiet",
                "--json",
                str(file),
            ]
        )
        scores.append(json.loads(file.read_text()))
    assert scores[0]["miou"] == pytest.approx(scores[1]["miou"], abs=2e-3)


@pytest.fixture
def run(tmp_path):
    """A run that was never trained; its data set is drawn."""
    values = make_recipe({**RECIPE, "model": {**RECIPE["model"], "nclass": 19}})
    save_checkpoint(tmp_path / "run", draw_network(values.model, 0), BEST, values)
    return tmp_path / "run"


def test_workers_and_threads_share_a_score_out_and_find_the_same(run, tmp_path):
    three = ["--checkpoint", run, "--limit", 3, "--quiet", "--engine", "torch", "--ctx"]
    alone, threads, shared = (tmp_path / f"{name}.json" for name in ("alone", "threads", "shared"))
    for devices, file in ((["cpu"], alone), (["cpu", "cpu"], threads)):
        eval_command.main([*map(str, three), *devices, "--json", str(file)])
    (first, said, _), (second, *silent) = started(EVAL, *three, "cpu", "--json", shared)
    assert (first, second) == (0, 0) and "3 images" in said and silent == ["", ""]
    confusions = [json.loads(file.read_text())["confusion"] for file in (alone, threads, shared)]
    assert confusions[0] == confusions[1] == confusions[2] and sum(map(sum, confusions[0])) > 0


def test_what_all_workers_cannot_do_is_said_once(run):
    damaged = run / BEST
    damaged.write_bytes(damaged.read_bytes()[:1000])
    (first, _, said), (second, *silent) = started(EVAL, "--checkpoint", run, "--engine", "torch")
    assert (first, second) == (2, 2) and said.count("\n") == 1 and str(damaged) in said
    assert silent == ["", ""]


def test_several_workers_leave_files_of_pictures_to_one_process(run, monkeypatch, capsys):
    for name, value in dict(RANK="0", WORLD_SIZE="2", MASTER_ADDR="127.0.0.1").items():
        monkeypatch.setenv(name, value)
    for rank, printed in (("0", 1), ("1", 0)):
        monkeypatch.setenv("LOCAL_RANK", rank)
        with pytest.raises(SystemExit) as stop:
            eval_command.main(["--checkpoint", str(run), "--mode", "test", "--output", "seen"])
        said = capsys.readouterr().err
        assert stop.value.code == 2 and said.count("\n") == printed
        assert not printed or "--output, --mode test: several workers only score together" in said


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--engine", "torch", "--ctx", "7"], "there is no GPU 7"),
        (["--engine", "torch", "--ctx", "cpu", "gpu7"], "there is no GPU 7"),
        (["--engine", "jax"], "--engine"),
    ],
)
def test_what_the_engine_cannot_use_is_one_line(arguments, words, recipe, tmp_path, capsys):  # noqa: F811
    with pytest.raises(SystemExit) as stop:
        train_command.main(["--recipe", str(recipe), "--output", str(tmp_path / "run"), *arguments])
    error = capsys.readouterr().err
    assert stop.value.code == 2 and words in error and error.count("\n") == 1


def two_workers(*arguments):
    command = [sys.executable, "train.py", "--engine", "torch", "--ctx", "cpu", "cpu", *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=REPOSITORY, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def started_by(pid):
    """Processes whose parent this is, oldest first."""
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="takes Linux's list of children")
@pytest.mark.parametrize("rank", [0, 1])
def test_a_worker_that_is_killed_ends_the_job_in_one_line_and_the_run_goes_on(rank, tmp_path):
    file, run = tmp_path / "recipe.yaml", tmp_path / "run"
    long = {**RECIPE, "schedule": {"iterations": 10**6}}
    file.write_text(yaml.safe_dump({**long, "data": {**RECIPE["data"], "val_split": None}}))
    job = two_workers("--recipe", file, "--output", run, "--quiet")
    while job.poll() is None and (((run / "last.state").exists() and read_meta(run)["iteration"]) or 0) < 3:
        time.sleep(0.05)
    os.kill(started_by(job.pid)[rank], signal.SIGKILL)
    _, error = job.communicate(timeout=500)
    assert job.returncode == 2 and error.count("\n") == 1, error
    assert error.startswith(f"error: worker {rank} of 2 was killed by signal 9")
    saved = read_meta(run)["iteration"]
    assert saved >= 3
    job = two_workers("--resume", run, "--set", f"schedule.iterations={saved + 2}", "--quiet")
    out, error = job.communicate(timeout=500)
    assert job.returncode == 0 and out.count("\n") == 1, error
    found = read_meta(run)
    assert found["finished"] and found["iteration"] == saved + 2 and found["devices"] == 2

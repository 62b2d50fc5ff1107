"""train.py and eval.py on the torch engine, and runs that change engines."""

from __future__ import annotations

import json

import pytest

from mxnetseg.cli import eval as eval_command
from mxnetseg.cli import train as train_command
from mxnetseg.run_files import BEST, LAST
from mxnetseg.weights.checkpoint import read_params
from tests.cli.test_train import recipe  # noqa: F401  a recipe of a few seconds

torch = pytest.importorskip("torch", reason="PyTorch (requirements-torch.txt) is not installed")


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


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--engine", "torch", "--ctx", "7"], "there is no GPU 7"),
        (["--engine", "torch", "--ctx", "cpu", "cpu"], "takes each device once"),
        (["--engine", "jax"], "--engine"),
    ],
)
def test_what_the_engine_cannot_use_is_one_line(arguments, words, recipe, tmp_path, capsys):  # noqa: F811
    with pytest.raises(SystemExit) as stop:
        train_command.main(["--recipe", str(recipe), "--output", str(tmp_path / "run"), *arguments])
    error = capsys.readouterr().err
    assert stop.value.code == 2 and words in error and error.count("\n") == 1

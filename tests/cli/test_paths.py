"""Paths that the system refuses to look at, given to every command."""

from __future__ import annotations

import importlib
import os

import pytest

from mxnetseg.errors import ConfigError
from mxnetseg.recipe import load_recipe

LONG = "x" * 300
COMMANDS = {
    "eval": ["--checkpoint", LONG],
    "export": ["--checkpoint", LONG, "out.onnx"],
    "train": ["--model", "fcn", "--data", "synthetic", "--output", LONG],
    "train, a run to resume": ["--resume", LONG],
    "train, a recipe": ["--recipe", f"{LONG}.yaml"],
    "weights": ["import", f"{LONG}.pth", "--reference", "emanet", "--out", "out"],
    "weights, a folder": ["import", "file.pth", "--reference", "emanet", "--out", LONG],
    "data": ["check", "camvid", "--root", LONG],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_name_too_long_for_the_file_system_is_one_line(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    main = importlib.import_module(f"mxnetseg.cli.{command.partition(',')[0]}").main
    with pytest.raises(SystemExit) as ended:
        main(COMMANDS[command])
    error = capsys.readouterr().err
    assert ended.value.code == 2
    assert error.startswith("error: ") and error.count("\n") == 1 and LONG in error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["pipe", "device"])
def test_a_recipe_that_is_a_pipe_or_a_device_is_one_line(name, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    if name == "pipe":
        os.mkfifo(recipe)
    else:
        recipe.symlink_to("/dev/zero")
    with pytest.raises(ConfigError, match="is a pipe or a device"):
        load_recipe(recipe)

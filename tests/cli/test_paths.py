"""Paths that the system refuses to look at, given to every command."""

from __future__ import annotations

import importlib

import pytest

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

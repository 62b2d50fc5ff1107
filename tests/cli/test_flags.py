"""A message names only flags of the command that prints it."""

from __future__ import annotations

import argparse
import ast
import importlib
import re

import pytest

from mxnetseg.cli.parsing import Parser, run, with_flags
from mxnetseg.errors import ConfigError
from mxnetseg.places import PACKAGE

FLAG = re.compile(r"(?<![\w({;-])--[a-z][a-z0-9-]*")
COMMAND = re.compile(r"python -m mxnetseg\.(\w+)|\b(train|eval)\.py\b")
COMMANDS = sorted(path.stem for path in (PACKAGE / "cli").glob("*.py") if "\ndef main(" in path.read_text())
# Arguments of programs that are not ours.
OTHERS = {"gpus": {"--query-gpu", "--format"}, "sections": {"--shm-size"}}


def flags_of(command):
    found = {"--help"}

    def walk(parser):
        for action in parser._actions:
            found.update(action.option_strings)
            if isinstance(action, argparse._SubParsersAction):
                for part in action.choices.values():
                    walk(part)

    walk(importlib.import_module(f"mxnetseg.cli.{command}").parser())
    return found


def strings_of(path):
    """(line, text, whether it is a docstring) of every string in a file; f-strings in one piece."""
    tree = ast.parse(path.read_text())
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            pieces = [part.value if isinstance(part, ast.Constant) else " " for part in node.values]
            yield node.lineno, "".join(pieces), False
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            yield node.lineno, node.value, id(node) in docstrings


def named_in(text):
    """(command or None, flag) of each flag in a string: None where no command line stands before it."""
    commands = [(match.start(), match[1] or match[2]) for match in COMMAND.finditer(text)]
    for match in FLAG.finditer(text):
        before = [name for start, name in commands if start < match.start()]
        yield before[-1] if before else None, match[0]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_every_flag_in_a_string_is_one_of_the_command_that_prints_it(path):
    own = path.stem if path.parent.name == "cli" and path.stem in COMMANDS else None
    wrong = []
    for line, text, is_docstring in strings_of(path):
        if ":root{--" in text:  # a style sheet
            continue
        for command, flag in named_in(text):
            if flag in OTHERS.get(path.stem, ()):
                right = True
            elif command is not None:
                right = flag in flags_of(command)
            elif own is not None:
                right = flag in flags_of(own)
            else:
                # Documentation may speak of flags that exist; what is printed may not know any.
                right = (is_docstring or path.parent.name == "cli") and any(
                    flag in flags_of(c) for c in COMMANDS
                )
            if not right:
                wrong.append(f"line {line}: {flag} in {text.strip()[:60]!r}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("x: not found; give data.root, or move it", "x: not found; give data.root (--root), or move it"),
        ("give another output folder", "give another output folder (--out)"),
        ("exists: let the import in it be replaced", "exists: let the import in it be replaced (--force)"),
        ("data.root 3: input should be text", "data.root 3: input should be text"),
        ("give data.root=3", "give data.root=3"),
    ],
)
def test_a_command_puts_its_flag_behind_what_a_message_advises(message, expected):
    flags = {"data.root": "--root", "output folder": "--out", "be replaced": "--force"}
    assert with_flags(message, flags) == expected


@pytest.mark.parametrize("command", COMMANDS)
def test_every_flag_that_a_command_puts_behind_advice_is_its_own(command):
    table = getattr(importlib.import_module(f"mxnetseg.cli.{command}"), "FLAGS", {})
    named = {flag for flags in table.values() for flag in FLAG.findall(flags)}
    assert named <= flags_of(command)


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_option_is_one_line_and_status_2(command, capsys):
    with pytest.raises(SystemExit) as end:
        importlib.import_module(f"mxnetseg.cli.{command}").main(["--frobnicate"])
    assert end.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and "--help lists the options" in error


@pytest.mark.parametrize("command", COMMANDS)
def test_an_installed_program_is_called_by_its_own_name(command, monkeypatch):
    module = importlib.import_module(f"mxnetseg.cli.{command}")
    monkeypatch.setattr("sys.argv", [f"/somewhere/bin/mxnetseg-{command}", "--help"])
    assert module.parser().prog == f"mxnetseg-{command}"
    assert all(
        part.prog.startswith(f"mxnetseg-{command} ")
        for action in module.parser()._actions
        if isinstance(action, argparse._SubParsersAction)
        for part in action.choices.values()
    )
    monkeypatch.setattr("sys.argv", ["anything.py"])
    assert module.parser().prog in (f"{command}.py", f"python -m mxnetseg.{command}")


def test_what_is_no_mistake_of_the_user_keeps_its_traceback():
    def broken(argv):
        raise KeyError("a bug")

    with pytest.raises(KeyError):
        run(broken)


def test_memory_that_is_not_there_is_one_line(capsys):
    def greedy(argv):
        raise MemoryError("Unable to allocate 134. TiB")

    with pytest.raises(SystemExit) as end:
        run(greedy)
    assert end.value.code == 2
    assert capsys.readouterr().err == "error: not enough memory: Unable to allocate 134. TiB\n"


def test_parsers_raise_what_every_command_prints():
    with pytest.raises(ConfigError, match="unrecognized arguments: --x"):
        Parser("train.py").parse_args(["--x"])

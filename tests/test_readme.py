"""The README says only what is there: its commands parse, its links and pictures exist."""

from __future__ import annotations

import importlib
import re
import shlex

import pytest

from mxnetseg.cli import models
from mxnetseg.facts import list_models
from mxnetseg.places import PACKAGE

PROGRAMS = {"train.py": "train", "eval.py": "eval"}
COMMANDS = {path.stem for path in (PACKAGE / "cli").glob("*.py") if "\ndef main(" in path.read_text()}
REGENERATE = "the table is stale: python -m mxnetseg.models --write README.md"


def code_lines(text):
    """Lines of the fenced blocks without a language, comments cut off."""
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.S | re.M):
        for line in block.splitlines():
            if line.strip() and not language:
                yield line.split("  #")[0].strip()


@pytest.fixture(scope="module")
def readme(repository):
    return (repository / "README.md").read_text()


def commands(text):
    """(command, its arguments) of every line that runs one of ours."""
    for line in code_lines(text):
        words = shlex.split(line, comments=True)
        while words and "=" in words[0]:  # variables of the environment
            words.pop(0)
        if len(words) < 2 or words[0] != "python":
            continue
        if words[1] == "-m" and words[2].startswith("mxnetseg."):
            yield words[2].removeprefix("mxnetseg."), words[3:]
        elif words[1] in PROGRAMS:
            yield PROGRAMS[words[1]], words[2:]


def test_every_command_is_understood(readme):
    seen = set()
    for command, arguments in commands(readme):
        importlib.import_module(f"mxnetseg.cli.{command}").parser().parse_args(arguments)
        seen.add(command)
    assert {"train", "eval", "data", "weights", "runs"} <= seen <= COMMANDS


def test_every_command_is_in_the_readme(readme):
    for command in COMMANDS - {"train", "eval"}:
        assert f"python -m mxnetseg.{command}" in readme, command


def test_every_module_that_is_run_exists(readme):
    for name in re.findall(r"python -m mxnetseg\.(\w+)", readme):
        assert (PACKAGE / f"{name}.py").is_file() or (PACKAGE / name / "__main__.py").is_file(), name


def test_every_script_that_is_run_exists(readme, repository):
    for name in re.findall(r"python ([\w/]+\.py)", readme):
        assert (repository / name).is_file(), name


def test_every_make_target_exists(readme, repository):
    targets = set(re.findall(r"^([\w-]+):", (repository / "Makefile").read_text(), re.M))
    used = set(re.findall(r"`make ([\w-]+)", readme)) | set(re.findall(r"^make ([\w-]+)", readme, re.M))
    assert used and used <= targets


def test_every_link_leads_to_a_file_or_a_heading(readme, repository):
    headings = {
        re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-")
        for title in re.findall(r"^#+ (.*)$", readme, re.M)
    }
    for target in re.findall(r"\]\(([^)\s]+)\)", readme):
        if target.startswith("#"):
            assert target[1:] in headings, target
        elif "://" not in target:
            assert (repository / target).exists(), target


# ----- the zoo table


@pytest.fixture(scope="module")
def zoo(readme):
    """{name: {column: text}} of the table."""
    table = readme.split(models.START)[1].split(models.END)[0].strip().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    assert tuple(rows[0]) == models.COLUMNS
    return {row[0]: dict(zip(models.COLUMNS, row)) for row in rows[2:]}


def test_the_zoo_table_has_every_architecture_with_what_is_known_of_it(zoo):
    assert list(zoo) == list_models(), REGENERATE
    for name, row in zoo.items():
        known = models.facts_row(name)
        assert {column: row[column] for column in known} == known, REGENERATE


@pytest.mark.slow
@pytest.mark.parametrize("name", list_models())
def test_the_sizes_in_the_zoo_table_are_those_of_the_networks(name, zoo):
    assert models.row(name) == zoo[name], REGENERATE

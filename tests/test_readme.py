"""The README says only what is there: its commands parse, its links and pictures exist."""

from __future__ import annotations

import re
import shlex

import pytest

from mxnetseg.cli import eval as eval_command
from mxnetseg.cli import models as models_command
from mxnetseg.cli import train as train_command

PARSERS = {
    "train.py": train_command.parser,
    "eval.py": eval_command.parser,
    "mxnetseg.models": models_command.parser,
}


def code_lines(text):
    """Lines of the fenced blocks without a language, comments cut off."""
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.S | re.M):
        for line in block.splitlines():
            if line.strip() and not language:
                yield line.split("  #")[0].strip()


@pytest.fixture(scope="module")
def readme(repository):
    return (repository / "README.md").read_text()


def test_every_train_and_eval_command_is_understood(readme):
    seen = set()
    for line in code_lines(readme):
        words = shlex.split(line)
        if words[0] != "python":
            continue
        name = words[2] if words[1] == "-m" else words[1]
        if name in PARSERS:
            PARSERS[name]().parse_args(words[3 if words[1] == "-m" else 2 :])
            seen.add(name)
    assert {"train.py", "eval.py"} <= seen


def test_every_module_that_is_run_exists(readme, repository):
    for name in re.findall(r"python -m (mxnetseg\.\w+)", readme):
        path = repository / name.replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), name


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

"""Looking things up needs no MXNet."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

# As if typed: `train.py ...` or `python -m mxnetseg....`; all of them print and end.
COMMANDS = [
    ["train.py", "--help"],
    ["train.py", "--fields"],
    ["eval.py", "--help"],
    *(
        ["-m", f"mxnetseg.{name}", "--help"]
        for name in "compare data doctor export models runs speed weights".split()
    ),
    ["-m", "mxnetseg.models"],
    ["-m", "mxnetseg.models", "sfnet"],
    ["-m", "mxnetseg.data", "list"],
    ["-m", "mxnetseg.data", "list", "voc2012"],
    ["-m", "mxnetseg.weights", "list"],
    ["-m", "mxnetseg.weights", "list", "--references"],
    ["-m", "mxnetseg.runs", "list", "weights/demo"],
]
LOOK_UPS = """
from mxnetseg.recipe import find_recipe, load_recipe
find_recipe("sfnet")
find_recipe("segformer", "mit_b1", "ade20k")
load_recipe("weights/demo/recipe.yaml")
from mxnetseg.runs import list_runs, run_folder
print(list_runs("weights/demo"), run_folder(find_recipe("fcn")))
import mxnetseg.models, mxnetseg.weights
print(mxnetseg.models.list_models(), mxnetseg.weights.references())
"""


def loaded(repository, *arguments):
    """Names of the modules that an interpreter with these arguments imported, and what it printed."""
    done = subprocess.run(
        [sys.executable, "-v", *arguments],
        cwd=repository,
        env={**os.environ, "PYTHONPATH": str(repository), "OMP_NUM_THREADS": "1"},
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return {
        line.split("'")[1] for line in done.stderr.splitlines() if line.startswith("import '")
    }, done.stdout


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_what_only_looks_up_does_not_import_mxnet(command, repository):
    modules, printed = loaded(repository, *command)
    assert "mxnetseg" in modules and printed
    assert not modules & {"mxnet", "gluoncv", "torch"}


def test_recipes_models_weights_and_runs_are_found_without_mxnet(repository):
    modules, _ = loaded(repository, "-c", LOOK_UPS)
    assert "mxnetseg.facts" in modules and "mxnet" not in modules


def test_the_networks_themselves_need_it(repository):
    modules, _ = loaded(repository, "-c", "from mxnetseg.models import create_model")
    assert "mxnet" in modules

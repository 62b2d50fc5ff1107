"""`pip install .` gives programs that work away from the checkout, with recipes and the list of weights."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

PROGRAMS = ("train", "eval", "speed", "export", "runs", "data", "models", "weights", "doctor")


def pip(*arguments, cwd=None):
    done = subprocess.run(
        [sys.executable, "-m", "pip", *arguments, "--quiet", "--no-deps", "--no-index"],
        cwd=cwd,
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def site(repository, tmp_path_factory):
    """A folder with the built and installed package, and nothing of the checkout."""
    folder = tmp_path_factory.mktemp("installed")
    source = folder / "source"
    for name in ("mxnetseg", "configs"):
        shutil.copytree(repository / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    (source / "weights").mkdir()
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "weights/index.yaml"):
        shutil.copy(repository / name, source / name)
    pip("wheel", "--no-build-isolation", "--wheel-dir", str(folder), ".", cwd=source)
    (wheel,) = folder.glob("*.whl")
    pip("install", "--target", str(folder / "site"), str(wheel))
    shutil.rmtree(source)
    return folder / "site"


def started(site, where, *command):
    environment = {**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}
    environment.pop("MXNETSEG_WEIGHTS", None)
    return subprocess.run(command, cwd=where, env=environment, text=True, capture_output=True, check=False)


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_is_installed_and_helps(program, site, tmp_path):
    done = started(site, tmp_path, str(site / "bin" / f"mxnetseg-{program}"), "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: mxnetseg-{program} ")


def test_recipes_and_the_list_of_weights_are_found_from_any_folder(site, tmp_path):
    code = """
import mxnetseg
from mxnetseg import places
from mxnetseg.recipe import find_recipe
from mxnetseg.weights.index import read_index
assert not find_recipe("sfnet").notes
assert find_recipe("segformer", None, "ade20k").optimizer.name == "adamw"
print(mxnetseg.__file__, places.weights_index(), places.imagenet_folder(), len(read_index()), sep="\\n")
"""
    done = started(site, tmp_path, sys.executable, "-c", code)
    assert done.returncode == 0, done.stderr
    package, index, imagenet, count = done.stdout.split()
    assert package.startswith(str(site)) and index.startswith(str(site))
    assert imagenet == os.path.join("weights", "imagenet")
    assert int(count) > 100


def test_an_installed_program_starts_a_run_by_a_recipe_that_came_along(site, tmp_path):
    program = str(site / "bin" / "mxnetseg-train")
    done = started(site, tmp_path, program, "--model", "sfnet", "--data", "camvid", "--ctx", "cpu")
    assert done.returncode == 2
    assert "the root of data set 'camvid' does not exist" in done.stderr
    assert "give data.root (--root)" in done.stderr
    assert done.stderr.count("\n") == 1


def test_everything_of_the_package_is_installed(site, repository):
    here = {
        path.relative_to(repository / "mxnetseg")
        for path in (repository / "mxnetseg").rglob("*")
        if path.is_file() and path.suffix not in (".pyc", ".pyo") and "__pycache__" not in path.parts
    }
    assert here <= {path.relative_to(site / "mxnetseg") for path in (site / "mxnetseg").rglob("*")}

"""Set-up: pinned requirements, the script behind `make venv`, CI, style."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys

import pytest

from mxnetseg import packages

# Import name -> name in the requirements, where they differ.
DISTRIBUTIONS = {"cv2": "opencv-python-headless", "PIL": "pillow", "yaml": "pyyaml", "mx": "mxnet"}


def requirement_lines(path):
    for line in path.read_text().splitlines():
        line = line.split("#", 1)[0].strip()
        if line:
            yield line


def pinned(path):
    """Name -> version of a requirements file and those it includes."""
    found = {}
    for line in requirement_lines(path):
        if line.startswith("-r "):
            found.update(pinned(path.parent / line[3:].strip()))
        elif not line.startswith("./"):
            match = re.fullmatch(r"([\w.-]+)==([\w.]+)(; *python_version (?:<|>=|==) \"3\.\d+\")?", line)
            assert match, f"not pinned: {line}"
            # Of versions for several Pythons, that of the newest.
            if match[1].lower() not in found or "<" not in line:
                found[match[1].lower()] = match[2]
    return found


def included(repository, name):
    """Like `pinned`, for files whose includes are relative to the repository."""
    found = {}
    for line in requirement_lines(repository / name):
        if line.startswith("-r "):
            found.update(pinned(repository / line[3:].strip()))
    return found | pinned(repository / name)


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-gpu.txt"])
def test_every_requirement_is_pinned(repository, name):
    assert included(repository, name)["numpy"].startswith("1.26")


@pytest.mark.parametrize(
    "name, package", [("requirements-torch.txt", "torch"), ("requirements-export.txt", "openvino")]
)
def test_every_optional_requirement_is_pinned(repository, name, package):
    assert package in pinned(repository / name)


def test_the_gpu_set_up_brings_its_cuda_libraries(repository):
    pins = included(repository, "requirements-gpu.txt")
    assert "mxnet" not in pins and pins["mxnet-cu112"] == "1.9.1"
    assert pins["nvidia-cudnn-cu11"].startswith("8.9.")
    parts = (
        "cuda-runtime",
        "cublas",
        "cufft",
        "curand",
        "cusolver",
        "cusparse",
        "cuda-nvrtc",
        "nvtx",
        "nccl",
    )
    assert all(f"nvidia-{part}-cu11" in pins for part in parts)


def test_whatever_the_package_imports_is_in_the_requirements(repository):
    files = ("requirements.txt", "requirements-torch.txt", "requirements-export.txt")
    pins = set().union(*(included(repository, name) for name in files))
    standard = sys.stdlib_module_names if sys.version_info >= (3, 10) else None
    if standard is None:
        pytest.skip("Python 3.9 does not list its standard library")
    for path in (repository / "mxnetseg").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module]
            else:
                continue
            for name in {name.split(".")[0] for name in names} - {"mxnetseg"}:
                known = name in standard or DISTRIBUTIONS.get(name, name).lower() in pins
                assert known, f"{path} imports {name}, which no requirements file has"


def test_the_packages_that_commands_ask_for_are_pinned(repository):
    pins = included(repository, "requirements.txt")
    lacking = [p.distribution for p in packages.PACKAGES if p.needed and p.distribution.lower() not in pins]
    assert not lacking


def test_the_python_versions_are_the_same_wherever_they_are_stated(repository):
    first, last = packages.PYTHONS[0], packages.PYTHONS[-1]
    project = (repository / "pyproject.toml").read_text()
    assert f'requires-python = ">={first[0]}.{first[1]},<{last[0]}.{last[1] + 1}"' in project
    script = (repository / "requirements" / "make_venv.sh").read_text()
    assert " | ".join(f"{a}.{b}" for a, b in packages.PYTHONS) + ")" in script


def test_the_opencv_stand_in_writes_an_installable_wheel(repository, tmp_path):
    backend = repository / "requirements" / "opencv-python"
    code = f"import stand_in; print(stand_in.build_wheel({str(tmp_path)!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=backend,
        text=True,
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--no-deps",
            "--no-index",
            "--target",
            str(tmp_path / "site"),
            str(tmp_path / done.stdout.strip()),
        ],
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    metadata = next((tmp_path / "site").glob("*.dist-info")) / "METADATA"
    pins = included(repository, "requirements.txt")
    wanted = f"Requires-Dist: opencv-python-headless=={pins['opencv-python-headless']}"
    assert wanted in metadata.read_text()


# --- the script behind `make venv`, with stand-ins for Python ------------------------------------

FAKE_PYTHON = """#!/bin/sh
# Answers what make_venv.sh asks of a Python, and logs environments made and packages installed.
case "$*" in
    *%d.%d*) echo {version} ;;
    *python_version*) echo {version}.0 ;;
    *ensurepip*) exit {ensurepip} ;;
    "-m venv "*) mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; echo made >> "{log}" ;;
    "-m pip install"*" -r "*) echo installed >> "{log}"; [ ! -e "{log}.fail" ] ;;
    *) exit 0 ;;
esac
"""


class Workshop:
    """A folder with stand-in Pythons on a PATH that has no other."""

    def __init__(self, folder, script):
        self.folder, self.script, self.log = folder, script, folder / "log"
        self.tools = folder / "tools"
        self.tools.mkdir()
        for tool in ("sh", "mkdir", "cp", "rm", "echo", "dirname"):
            (self.tools / tool).symlink_to(shutil.which(tool))
        (folder / "requirements.txt").write_text("")

    def add(self, name, version, ensurepip=0):
        program = self.tools / name
        program.write_text(FAKE_PYTHON.format(version=version, ensurepip=ensurepip, log=self.log))
        program.chmod(0o755)

    def run(self, wanted=""):
        return subprocess.run(
            ["sh", str(self.script), ".venv", "requirements.txt", wanted],
            cwd=self.folder,
            env={"PATH": str(self.tools)},
            text=True,
            capture_output=True,
            check=False,
        )

    def events(self):
        return self.log.read_text().split() if self.log.exists() else []


@pytest.fixture
def workshop(tmp_path, repository):
    return Workshop(tmp_path, repository / "requirements" / "make_venv.sh")


def test_without_a_suitable_python_it_says_which_are_needed_and_which_were_found(workshop):
    workshop.add("python3", "3.8")
    workshop.add("python3.13", "3.13")
    done = workshop.run()
    assert done.returncode == 1
    assert "no suitable Python found" in done.stderr
    assert "python3 (3.8)" in done.stderr and "python3.13 (3.13)" in done.stderr
    assert not (workshop.folder / ".venv").exists()


def test_a_python_without_ensurepip_gets_the_name_of_the_package_it_lacks(workshop):
    workshop.add("python3.11", "3.11", ensurepip=1)
    done = workshop.run()
    assert done.returncode == 1
    assert "apt install python3.11-venv" in done.stderr


def test_a_python_without_ensurepip_gives_way_to_one_that_has_it(workshop):
    workshop.add("python3.11", "3.11", ensurepip=1)
    workshop.add("python3.9", "3.9")
    done = workshop.run()
    assert done.returncode == 0, done.stderr
    assert "with python3.9" in done.stdout


def test_the_python_that_is_named_is_the_only_one_tried(workshop):
    workshop.add("python3.11", "3.11")
    assert workshop.run("/nowhere/python3.11").returncode == 1
    workshop.add("mine", "3.10")
    assert "with mine" in workshop.run("mine").stdout


def test_an_environment_left_unfinished_is_made_again(workshop):
    workshop.add("python3.12", "3.12")
    workshop.log.with_name("log.fail").touch()
    assert workshop.run().returncode == 1
    assert not (workshop.folder / ".venv" / ".installed").exists()
    workshop.log.with_name("log.fail").unlink()
    assert workshop.run().returncode == 0
    assert workshop.events() == ["made", "installed", "made", "installed"]
    assert (workshop.folder / ".venv" / ".installed").exists()


def test_a_whole_environment_is_brought_up_to_date_in_place(workshop):
    workshop.add("python3.12", "3.12")
    assert workshop.run().returncode == 0
    assert workshop.run().returncode == 0
    assert workshop.events() == ["made", "installed", "installed"]


# --- the repository ------------------------------------------------------------------------------


def test_the_repository_is_clean_for_ruff(repository):
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--no-cache", "."],
        cwd=repository,
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_no_tracked_file_holds_a_path_of_somebodys_machine(repository):
    done = subprocess.run(["git", "ls-files"], cwd=repository, text=True, capture_output=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    somebodys = re.compile("|".join("/" + name + "/" for name in ("root", "home", "work", "Users")))
    for name in done.stdout.splitlines():
        path = repository / name
        if path.suffix in (".py", ".yaml", ".md", ".txt", ".toml", ".sh") and path.is_file():
            assert not somebodys.search(path.read_text()), f"{name} holds an absolute path"


def test_no_large_file_is_tracked_but_trained_networks(repository):
    done = subprocess.run(["git", "ls-files"], cwd=repository, text=True, capture_output=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    paths = [repository / name for name in done.stdout.splitlines()]
    large = [str(p) for p in paths if p.suffix != ".params" and p.is_file() and p.stat().st_size > 500_000]
    assert not large

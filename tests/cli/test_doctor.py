"""The report of `python -m mxnetseg.doctor`."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from mxnetseg import compat
from mxnetseg.doctor import gpus
from mxnetseg.doctor.report import Report, run_python


def run_doctor(repository, *flags, path=None, interpreter_flags=()):
    environment = dict(os.environ)
    if path is not None:
        environment["PATH"] = f"{path}{os.pathsep}{environment['PATH']}"
    return subprocess.run(
        [sys.executable, *interpreter_flags, "-m", "mxnetseg.doctor", *flags],
        cwd=repository,
        text=True,
        capture_output=True,
        check=False,
        env=environment,
    )


@pytest.fixture(scope="module")
def report(repository):
    done = run_doctor(repository, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_it_exits_with_0_where_training_works_on_the_cpu(report):
    assert "cpu" in report["training_devices"]
    assert report["problems"] == []


def test_the_report_names_versions_limits_and_devices(report):
    assert report["mxnet"]["version"] == "1.9.1"
    assert report["python"]["suitable"]
    assert report["packages"]["gluoncv"]["problem"] is None
    assert report["limits"]["disk_free_bytes"] > 0
    assert report["trials"]["cpu"] is True


def test_without_any_package_it_still_runs_says_so_and_exits_with_2(repository):
    # -S leaves site-packages out: the state of a Python on which nothing was installed.
    done = run_doctor(repository, interpreter_flags=("-S",))
    assert done.returncode == 2
    assert "numpy" in done.stdout and "pip install -r requirements.txt" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("capability", "runs"),
    [
        ("3.7", False),
        ("5.2", True),
        ("6.1", True),
        ("7.0", True),
        ("7.5", True),
        ("8.0", True),
        ("8.6", True),
        ("8.9", True),
        ("9.0", False),
        ("10.0", False),
        ("12.0", False),
    ],
)
def test_compute_capabilities_are_those_the_wheels_have_code_for(capability, runs):
    assert gpus.gpu_support(capability)[0] is runs


def test_an_unknown_compute_capability_is_left_to_the_trial():
    assert gpus.gpu_support(None)[0] is True


def fake_nvidia_smi(folder, text):
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)


def test_a_gpu_that_no_wheel_supports_is_named_with_the_reason(tmp_path, monkeypatch):
    fake_nvidia_smi(tmp_path, "echo '0, NVIDIA H200, 143771 MiB, 570.1, 9.0'")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    report = Report()
    report.data["mxnet"] = {"distribution": "mxnet"}
    gpus.gpu_section(report)
    assert report.data["gpus"][0]["supported"] is False
    assert "no MXNet wheel has code for it" in report.text()


def test_a_supported_gpu_with_the_cpu_build_gets_advice_to_change(tmp_path, monkeypatch):
    fake_nvidia_smi(tmp_path, "echo '0, NVIDIA A10, 23028 MiB, 535.1, 8.6'")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    report = Report()
    report.data["mxnet"] = {"distribution": "mxnet"}
    gpus.gpu_section(report)
    assert "requirements-gpu.txt" in report.text()


def test_an_old_driver_that_knows_no_compute_capability_is_still_read(tmp_path, monkeypatch):
    fake_nvidia_smi(
        tmp_path, "case \"$1\" in *compute_cap*) exit 2;; esac\necho '0, Tesla V100, 16160 MiB, 450.80'"
    )
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    found, why = gpus.list_gpus()
    assert why is None
    assert found[0]["name"] == "Tesla V100" and found[0]["compute_capability"] is None


def test_a_broken_driver_is_reported_with_its_own_words(tmp_path, monkeypatch):
    fake_nvidia_smi(tmp_path, 'echo "couldn\'t communicate with the driver"; exit 9')
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert gpus.list_gpus() == ([], "nvidia-smi failed: couldn't communicate with the driver")


def test_the_cuda_build_without_its_libraries_lists_each_of_them(monkeypatch):
    monkeypatch.setattr(compat, "cuda_library_files", lambda: [("libcudnn.so.8", None)])
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    report = Report()
    report.data["mxnet"] = {"distribution": "mxnet-cu112"}
    gpus.gpu_section(report)
    assert any("libcudnn.so.8" in problem for problem in report.problems())


def test_code_that_crashes_the_interpreter_is_reported_as_a_problem():
    _, problem = run_python("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    assert problem == "the process was ended by signal 11"

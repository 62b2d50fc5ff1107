"""The repairs that `import mxnetseg` makes before MXNet and GluonCV are imported."""

from __future__ import annotations

import importlib.machinery
import subprocess
import sys

import numpy
import pytest

from mxnetseg import compat, packages
from mxnetseg.errors import DeviceError


def run_python(code, repository, **environment):
    import os

    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=repository,
        text=True,
        capture_output=True,
        check=False,
        env={**os.environ, **environment},
    )


def test_the_package_imports_without_mxnet_and_without_a_warning(repository):
    done = run_python("import sys, mxnetseg; print('mxnet' in sys.modules)", repository)
    assert (done.returncode, done.stdout.strip()) == (0, "False"), done.stderr


def test_numpy_has_the_names_that_mxnet_uses():
    for name, builtin in (("bool", bool), ("int", int), ("float", float), ("object", object)):
        assert getattr(numpy, name) is builtin


def test_a_name_that_numpy_still_has_is_left_alone(monkeypatch):
    own = object()
    monkeypatch.setattr(numpy, "bool", own, raising=False)
    compat.restore_numpy_aliases()
    assert numpy.bool is own


def test_installing_twice_changes_nothing():
    before = list(sys.meta_path)
    compat.install()
    assert sys.meta_path == before


def test_gluoncv_imports_beside_pytorch_2_and_leaves_it_alone(tmp_path, repository):
    (tmp_path / "torch.py").write_text("__version__ = '2.13.0'\n")
    code = (
        "import warnings, sys, mxnetseg; warnings.simplefilter('ignore')\n"
        "import gluoncv; print(hasattr(gluoncv, 'model_zoo'), 'torch' in sys.modules)"
    )
    done = run_python(code, repository, PYTHONPATH=str(tmp_path))
    assert done.stdout.strip() == "True False", done.stderr


def test_mxnet_imported_through_the_hook_can_still_be_inspected():
    import mxnet

    assert "numpy_op_fallback" in mxnet.__spec__.loader.get_source("mxnet")


def test_missing_mxnet_is_one_line_and_still_an_import_error(monkeypatch):
    monkeypatch.setattr(importlib.machinery.PathFinder, "find_spec", lambda *_: None)
    with pytest.raises(ImportError) as caught:
        compat._Finder().find_spec("mxnet")
    assert isinstance(caught.value, DeviceError)
    assert "not installed" in str(caught.value) and "\n" not in str(caught.value)


def test_an_unsuitable_python_is_named_where_mxnet_is_missing(monkeypatch):
    monkeypatch.setattr(compat.sys, "version_info", (3, 13, 0))
    assert "Python 3.13 cannot run it" in compat._explain_not_installed()


def test_numpy_2_is_refused_with_the_version_to_install(monkeypatch):
    monkeypatch.setattr(numpy, "__version__", "2.1.0")
    with pytest.raises(DeviceError, match=r"NumPy 2\.1\.0 .*numpy==1\.26\.4"):
        compat._before_mxnet()


@pytest.mark.parametrize(
    ("distribution", "error", "advice"),
    [
        ("mxnet-cu112", "libcuda.so.1: cannot open shared object file", "needs NVIDIA's driver"),
        ("mxnet-cu112", "libcudnn.so.8: cannot open shared object file", "requirements-gpu.txt"),
        ("mxnet-cu110", "libcusolver.so.10: cannot open shared object file", "CUDA 11.0's own"),
        ("mxnet", "libopenblas.so.0: cannot open shared object file", "requirements.txt"),
    ],
)
def test_each_missing_library_has_its_advice(distribution, error, advice):
    line = compat.explain_library_error(OSError(error), distribution)
    assert advice in line and "\n" not in line


def test_cuda_wheels_are_found_below_any_folder_of_the_search_path(tmp_path):
    library = tmp_path / "second" / "nvidia" / "cublas" / "lib" / "libcublas.so.11"
    library.parent.mkdir(parents=True)
    library.write_bytes(b"")
    found = dict(compat.cuda_library_files([str(tmp_path / "first"), str(tmp_path / "second")]))
    assert found["libcublas.so.11"] == library
    assert found["libcudnn.so.8"] is None


def test_a_damaged_cuda_library_is_reported_and_the_rest_tried(tmp_path):
    library = tmp_path / "nvidia" / "cublas" / "lib" / "libcublas.so.11"
    library.parent.mkdir(parents=True)
    library.write_bytes(b"not a library")
    report = dict(compat.preload_cuda_libraries([str(tmp_path)]))
    assert "libcublas.so.11" in report["libcublas.so.11"]
    assert report["libcudnn.so.8"] == "no wheel provides it"


def test_cuda_libraries_are_listed_after_what_they_depend_on():
    order = [name for name, _ in compat.cuda_library_files([])]
    for first, then in (
        ("libcublasLt.so.11", "libcublas.so.11"),
        ("libcublas.so.11", "libcusolver.so.11"),
        ("libcusparse.so.11", "libcusolver.so.11"),
        ("libcublas.so.11", "libcudnn.so.8"),
    ):
        assert order.index(first) < order.index(then)


def test_a_command_without_its_packages_ends_with_one_line(monkeypatch, capsys):
    monkeypatch.setattr(packages, "missing_packages", lambda: ["yaml", "cv2"])
    with pytest.raises(SystemExit) as caught:
        packages.require_packages()
    assert caught.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def machine(root, siblings, quota=None, version=2):
    """A /sys with these thread siblings, and a share of processor time."""
    for n, text in enumerate(siblings):
        folder = root / f"devices/system/cpu/cpu{n}/topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(text + "\n")
    group = root / "fs/cgroup"
    (group / "cpu").mkdir(parents=True)
    if quota and version == 2:
        (group / "cpu.max").write_text(f"{quota} 100000\n")
    elif quota:
        (group / "cpu/cpu.cfs_quota_us").write_text(f"{quota}\n")
        (group / "cpu/cpu.cfs_period_us").write_text("100000\n")
    return root


@pytest.mark.parametrize(
    "siblings, quota, version, cores",
    [
        (["0", "1", "2", "3"], None, 2, 4),
        (["0,2", "1,3", "0,2", "1,3"], None, 2, 2),
        (["0", "1", "2", "3"], "max", 2, 4),
        (["0", "1", "2", "3"], 150000, 2, 2),
        (["0", "1", "2", "3"], 900000, 2, 4),
        (["0", "1", "2", "3"], 50000, 1, 1),
        (["0", "1", "2", "3"], -1, 1, 4),
    ],
)
def test_cores_are_counted_once_and_a_containers_share_is_kept(
    tmp_path, monkeypatch, siblings, quota, version, cores
):
    monkeypatch.setattr(compat.os, "sched_getaffinity", lambda pid: {0, 1, 2, 3}, raising=False)
    assert compat.available_cores(machine(tmp_path, siblings, quota, version)) == cores


def test_where_the_system_does_not_tell_mxnet_decides(tmp_path):
    assert compat.available_cores(tmp_path) is None


def test_mxnet_computes_on_every_core_unless_set_otherwise(repository, monkeypatch):
    code = "import os, mxnetseg, mxnet; print(os.environ.get('OMP_NUM_THREADS'))"

    def threads():
        return subprocess.run(
            [sys.executable, "-c", code], cwd=repository, text=True, capture_output=True, check=False
        ).stdout.strip()

    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert threads() == "3"
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert threads() == str(compat.available_cores())


@pytest.mark.parametrize(
    "command",
    [
        ["train.py"],
        ["eval.py"],
        ["-c", "import mxnetseg.cli.data"],
        ["-c", "import mxnetseg.cli.weights"],
    ],
    ids=" ".join,
)
def test_commands_of_a_python_without_packages_name_them_in_one_line(command, repository):
    # -S leaves site-packages out: the state of a Python on which nothing was installed.
    done = subprocess.run(
        [sys.executable, "-S", *command], cwd=repository, text=True, capture_output=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert "lacks gluoncv, numpy" in done.stderr

"""What is looked at, a section of the report each."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
from pathlib import Path

from mxnetseg import compat
from mxnetseg.doctor.gpus import gpu_section
from mxnetseg.doctor.report import NOTE, OK, PROBLEM, Report, gibibytes, run_python, version_of
from mxnetseg.packages import PACKAGES, PYTHONS, PYTHONS_IN_WORDS

# What is run on each device: convolution, normalization, resizing, backward.
_TRIAL = """
import sys
import mxnetseg
import mxnet as mx
from mxnet import autograd, gluon, nd
device = mx.cpu() if sys.argv[1] == "cpu" else mx.gpu(int(sys.argv[1]))
net = gluon.nn.HybridSequential()
net.add(gluon.nn.Conv2D(8, 3, padding=1, in_channels=3), gluon.nn.BatchNorm(in_channels=8))
net.initialize(ctx=device)
net.hybridize()
with autograd.record():
    out = nd.contrib.BilinearResize2D(net(nd.ones((1, 3, 16, 16), ctx=device)), height=32, width=32)
    loss = (out ** 2).mean()
loss.backward()
assert float(net[0].weight.grad().abs().sum().asscalar()) > 0
"""


def python_section(report: Report) -> None:
    """Interpreter and machine."""
    report.section("Python and machine")
    version = sys.version_info[:2]
    suitable = version in PYTHONS
    text = f"{platform.python_version()} ({sys.executable})"
    if not suitable:
        text += f": MXNet 1.9.1 needs {PYTHONS_IN_WORDS}"
    report.line(OK if suitable else PROBLEM, "Python", text)
    machine = f"{platform.system()} {platform.machine()}"
    wheels = (platform.system(), platform.machine()) in (("Linux", "x86_64"), ("Darwin", "x86_64"))
    report.line(
        OK if wheels else NOTE,
        "System",
        machine + ("" if wheels else ": there may be no MXNet 1.9.1 wheel for it"),
    )
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    report.line(OK, "CPU cores", f"{cores} usable of {os.cpu_count()}")
    memory = compat.memory_bytes()
    if memory:
        report.line(OK, "Memory", gibibytes(memory))
    report.data["python"] = {
        "version": platform.python_version(),
        "executable": sys.executable,
        "suitable": suitable,
        "system": machine,
        "cores": cores,
        "memory_bytes": memory,
    }


def mxnet_section(report: Report) -> None:
    """The installed MXNet: which build, does it import, what was it built with."""
    report.section("MXNet")
    found = {"distribution": None, "version": None, "imports": False, "features": []}
    report.data["mxnet"] = found
    distribution = compat.mxnet_distribution()
    if distribution:
        found["distribution"], found["version"] = distribution
    # In a process of its own: a broken library may crash instead of raising.
    code = (
        "import json, mxnetseg\n"
        "from mxnetseg.errors import MxnetsegError\n"
        "try:\n"
        "    import mxnet as mx\n"
        "except (ImportError, OSError, AttributeError, MxnetsegError) as error:\n"
        "    print(json.dumps({'error': str(error)}))\n"
        "else:\n"
        "    names = [f.name for f in mx.runtime.feature_list() if f.enabled]\n"
        "    print(json.dumps({'version': mx.__version__, 'features': names}))\n"
    )
    answer, failure = run_python(code)
    try:
        answer = json.loads(answer.strip().splitlines()[-1])
    except (ValueError, IndexError):
        answer = {"error": failure or "importing it printed nothing"}
    if "error" in answer:
        report.line(PROBLEM, "import mxnet", answer["error"])
        return
    found.update(imports=True, version=answer["version"], features=answer["features"])
    report.line(OK, "MXNet", f"{answer['version']} ({found['distribution'] or 'not from pip'})")
    if answer["version"] != "1.9.1":
        report.line(NOTE, "version", "this library is written and tested for MXNet 1.9.1")
    shown = ("CUDA", "CUDNN", "NCCL", "MKLDNN", "DIST_KVSTORE", "OPENMP", "BLAS_OPEN")
    have = [name for name in shown if name in answer["features"]]
    report.line(OK, "features", ", ".join(have))


def packages_section(report: Report) -> None:
    """The other packages: version, purpose, and whether those that load a library really load."""
    report.section("Packages")
    packages = {}
    for module, distribution, purpose, needed in PACKAGES:
        version = version_of(distribution)
        if version is None and module == "cv2":
            version = version_of("opencv-python")
        problem = None
        if version is not None and module in ("cv2", "gluoncv"):
            if module == "gluoncv" and not report.data["mxnet"]["imports"]:
                problem = "it needs MXNet, see above"
            else:
                _, problem = run_python(f"import mxnetseg\nimport {module}")
        packages[module] = {"version": version, "needed": needed, "problem": problem}
        if version is None:
            state = PROBLEM if needed else NOTE
            text = f"not installed ({purpose})"
            if needed:
                text += ": pip install -r requirements.txt"
        elif problem:
            state = PROBLEM if needed else NOTE
            text = f"{version} cannot be imported: {problem}"
            if "libGL" in problem:
                text += "; pip uninstall opencv-python, pip install -r requirements.txt"
        else:
            state, text = OK, f"{version} ({purpose})"
        if module == "numpy" and version and int(version.split(".")[0]) >= 2:
            state, text = PROBLEM, f"{version}: MXNet needs NumPy below 2; pip install numpy==1.26.4"
        report.line(state, module, text)
    report.data["packages"] = packages


def limits_section(report: Report) -> None:
    """What the system allows: shared memory for worker processes, open files, room on the disk."""
    report.section("Limits")
    limits = {}
    shared = Path("/dev/shm")
    if shared.is_dir():
        room = os.statvfs(shared)
        limits["shared_memory_bytes"] = free = room.f_bavail * room.f_frsize
        little = free < 256 * 2**20
        advice = ": little for loader workers; data.worker_mode=thread, or docker run --shm-size=2g"
        report.line(
            NOTE if little else OK, "/dev/shm", f"{gibibytes(free)} free" + (advice if little else "")
        )
    try:
        import resource
    except ImportError:
        pass
    else:
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        limits["open_files"] = files
        little = files != resource.RLIM_INFINITY and files < 1024
        report.line(
            NOTE if little else OK,
            "open files",
            f"{files}" + (": few for many loader workers; ulimit -n 4096" if little else ""),
        )
    limits["disk_free_bytes"] = free = shutil.disk_usage(".").free
    little = free < 2 * 2**30
    report.line(
        NOTE if little else OK,
        "disk here",
        f"{gibibytes(free)} free" + (": checkpoints may not fit" if little else ""),
    )
    for name in (
        "OMP_NUM_THREADS",
        "MXNET_CPU_WORKER_NTHREADS",
        "MXNET_ENGINE_TYPE",
        "MXNET_HOME",
        "MXNETSEG_DATA",
        "CUDA_VISIBLE_DEVICES",
    ):
        if name in os.environ:
            report.line(OK, name, os.environ[name])
    report.data["limits"] = limits


def files_section(report: Report) -> None:
    """Data sets and weights that a command without further options would find."""
    report.section("Data sets and weights found from this folder")
    folder = Path(os.environ.get("MXNETSEG_DATA") or "datasets")
    roots = {}
    try:
        from mxnetseg.data import list_datasets

        names = list_datasets()
    except Exception as error:  # the report goes on whatever is broken there
        names = []
        report.line(PROBLEM, "data sets", f"cannot be listed: {error}")
    for name in names:
        if name in ("synthetic", "folder", "concat", "recordio"):
            continue
        root = folder / name
        roots[name] = str(root) if root.is_dir() else None
    have = sorted(name for name, root in roots.items() if root)
    missing = sorted(name for name, root in roots.items() if not root)
    for name in have:
        report.line(OK, name, roots[name])
    if "synthetic" in names:
        report.line(OK, "synthetic", "drawn, needs no files")
    if missing:
        named = ", ".join(missing[:6]) + (f" and {len(missing) - 6} more" if len(missing) > 6 else "")
        report.line(
            NOTE,
            "not found",
            f"{named} (no such folder in {folder}; data.root or MXNETSEG_DATA names another)",
        )
    weights = sorted(
        str(path)
        for place in (Path("weights"), _mxnet_home() / "models")
        if place.is_dir()
        for path in place.rglob("*.params")
    )
    for path in weights[:20]:
        report.line(OK, "weights", path)
    if len(weights) > 20:
        report.line(OK, "weights", f"and {len(weights) - 20} more")
    if not weights:
        report.line(NOTE, "weights", f"none in weights/ and {_mxnet_home() / 'models'}")
    report.data["data"] = roots
    report.data["weights"] = weights


def _mxnet_home() -> Path:
    return Path(os.environ.get("MXNET_HOME") or Path.home() / ".mxnet")


def trial_section(report: Report) -> None:
    """A small network trained for one step on each device: the proof that the rest only suggests."""
    report.section("One training step")
    trials = {}
    if report.data["mxnet"]["imports"]:
        devices = ["cpu"]
        if "CUDA" in report.data["mxnet"]["features"]:
            devices += [str(gpu["index"]) for gpu in report.data["gpus"]]
        for device in devices:
            _, problem = run_python(_TRIAL, device)
            name = device if device == "cpu" else f"gpu({device})"
            trials[name] = problem is None
            report.line(PROBLEM if problem else OK, name, problem or "works")
    else:
        report.line(PROBLEM, "no device", "MXNet cannot be imported, see above")
    report.data["trials"] = trials


def examine() -> Report:
    """The whole report; `report.data` is what --json prints."""
    report = Report()
    python_section(report)
    mxnet_section(report)
    gpu_section(report)
    packages_section(report)
    limits_section(report)
    files_section(report)
    trial_section(report)
    needed = [
        name
        for name, package in report.data["packages"].items()
        if package["needed"] and (package["version"] is None or package["problem"])
    ]
    devices = [name for name, works in report.data["trials"].items() if works]
    report.data["missing_packages"] = needed
    report.data["training_devices"] = [] if needed else devices
    report.data["problems"] = report.problems()
    return report

"""`python -m mxnetseg.doctor`: what this machine has, what is missing, why, and what to do.

Each device is tried out with a small network in a process of its own, so that a library that crashes is
reported like everything else. Exit status 0 when training on some device works, 2 otherwise.
Works in any Python, also where MXNet or NumPy are missing: that is when it is needed.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import List, Optional

from mxnetseg import compat
from mxnetseg.cli.parsing import EXIT_USER_ERROR, Parser, run
from mxnetseg.packages import PACKAGES, PYTHONS, PYTHONS_IN_WORDS

OK, NOTE, PROBLEM = "ok", "note", "problem"

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


class Report:
    """Lines grouped by section, each with a state (ok, note, problem), and the data behind them."""

    def __init__(self):
        self.sections = []
        self.data = {}

    def section(self, title):
        self.sections.append((title, []))

    def line(self, state, what, text):
        self.sections[-1][1].append((state, what, text))

    def problems(self):
        return [
            f"{what}: {text}" for _, lines in self.sections for state, what, text in lines if state == PROBLEM
        ]

    def text(self):
        marks = {OK: " ok ", NOTE: "  - ", PROBLEM: " !! "}
        out = []
        for title, lines in self.sections:
            out.append(title)
            width = max((len(what) for _, what, _ in lines), default=0)
            out += [f"{marks[state]} {what:<{width}}  {text}".rstrip() for state, what, text in lines]
            out.append("")
        return "\n".join(out)


def _version(distribution):
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _gibibytes(count):
    return f"{count / 2**30:.1f} GiB"


def python_section(report):
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
    memory = _memory()
    if memory:
        report.line(OK, "Memory", _gibibytes(memory))
    report.data["python"] = {
        "version": platform.python_version(),
        "executable": sys.executable,
        "suitable": suitable,
        "system": machine,
        "cores": cores,
        "memory_bytes": memory,
    }


def _memory():
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None


def mxnet_section(report):
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
    answer, failure = _python(code)
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
    telling = ("CUDA", "CUDNN", "NCCL", "MKLDNN", "DIST_KVSTORE", "OPENMP", "BLAS_OPEN")
    have = [name for name in telling if name in answer["features"]]
    report.line(OK, "features", ", ".join(have))


def gpu_section(report):
    """GPUs that the driver shows, whether MXNet's wheels have code for them, and the CUDA wheels."""
    report.section("GPUs")
    gpus, why = _nvidia_smi()
    report.data["gpus"] = gpus
    cuda_build = (report.data["mxnet"]["distribution"] or "mxnet") != "mxnet"
    if why:
        report.line(PROBLEM if cuda_build and "failed" in why else NOTE, "none", why)
    for gpu in gpus:
        runs, reason = gpu_support(gpu["compute_capability"])
        gpu["supported"] = runs
        text = f"{gpu['name']}, {gpu['memory']}, driver {gpu['driver']}: {reason}"
        report.line(OK if runs else PROBLEM if cuda_build else NOTE, f"GPU {gpu['index']}", text)
    if any(gpu["supported"] for gpu in gpus) and not cuda_build:
        report.line(
            NOTE,
            "MXNet",
            "is the CPU build; for the GPU: pip uninstall mxnet, pip install -r requirements-gpu.txt",
        )
    libraries = []
    if cuda_build:
        search_path = os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)
        for name, path in compat.cuda_library_files():
            system = next(
                (
                    str(Path(folder) / name)
                    for folder in search_path
                    if folder and (Path(folder) / name).is_file()
                ),
                None,
            )
            where = str(path) if path else system
            libraries.append({"name": name, "path": where})
            if where is None:
                report.line(
                    PROBLEM,
                    name,
                    "in no wheel and not on LD_LIBRARY_PATH: pip install -r requirements-gpu.txt",
                )
        found = sum(library["path"] is not None for library in libraries)
        report.line(OK, "CUDA libraries", f"{found} of {len(libraries)} found")
    report.data["cuda_libraries"] = libraries


def gpu_support(capability):
    """(does the MXNet 1.9.1 wheel have code for it, why) for a compute capability such as "8.6".

    The wheels hold machine code for 5.0, 6.0, 7.0, 8.0 and 8.6 and no PTX; code runs on GPUs of the
    same major number whose minor number is not lower.
    """
    try:
        major, minor = (int(part) for part in capability.split("."))
    except (AttributeError, ValueError):
        return True, "compute capability unknown; the trial below tells"
    name = f"compute capability {capability}"
    if major > 8:
        return False, (
            f"{name}: no MXNet wheel has code for it (they end with 8.x, Ampere and Ada); "
            f"only MXNet built from source with MXNET_CUDA_ARCH={capability} could run"
        )
    if major < 5:
        return False, f"{name}: too old for the MXNet 1.9.1 wheels, which begin with 5.0"
    code = "8.6" if (major, minor) >= (8, 6) else f"{major}.0"
    return True, f"{name}, runs the wheels' code for {code}"


def _nvidia_smi():
    """(list of GPUs, why there is none or None)."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return [], "no nvidia-smi, so no NVIDIA driver: the CPU it is"
    fields = ["index", "name", "memory.total", "driver_version", "compute_cap"]
    # Drivers before 465 do not know compute_cap.
    for known in (fields, fields[:-1]):
        try:
            done = subprocess.run(
                [program, f"--query-gpu={','.join(known)}", "--format=csv,noheader"],
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return [], f"nvidia-smi failed: {error}"
        if done.returncode == 0:
            rows = [
                [cell.strip() for cell in line.split(",")]
                for line in done.stdout.splitlines()
                if line.strip()
            ]
            gpus = [
                {
                    "index": int(row[0]),
                    "name": row[1],
                    "memory": row[2],
                    "driver": row[3],
                    "compute_capability": row[4] if len(row) > 4 else None,
                }
                for row in rows
            ]
            return gpus, None if gpus else "nvidia-smi lists no GPU"
    detail = (done.stdout or done.stderr).strip().splitlines()
    return [], f"nvidia-smi failed: {detail[0] if detail else f'exit status {done.returncode}'}"


def packages_section(report):
    """The other packages: version, purpose, and whether those that load a library really load."""
    report.section("Packages")
    packages = {}
    for module, distribution, purpose, needed in PACKAGES:
        version = _version(distribution)
        if version is None and module == "cv2":
            version = _version("opencv-python")
        problem = None
        if version is not None and module in ("cv2", "gluoncv"):
            if module == "gluoncv" and not report.data["mxnet"]["imports"]:
                problem = "it needs MXNet, see above"
            else:
                _, problem = _python(f"import mxnetseg\nimport {module}")
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


def limits_section(report):
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
            NOTE if little else OK, "/dev/shm", f"{_gibibytes(free)} free" + (advice if little else "")
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
        f"{_gibibytes(free)} free" + (": checkpoints may not fit" if little else ""),
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


def files_section(report):
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
            f"{named} (no such folder in {folder}; say where with data.root or MXNETSEG_DATA)",
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


def _mxnet_home():
    return Path(os.environ.get("MXNET_HOME") or Path.home() / ".mxnet")


def trial_section(report):
    """A small network trained for one step on each device: the proof that the rest only suggests."""
    report.section("One training step")
    trials = {}
    if report.data["mxnet"]["imports"]:
        devices = ["cpu"]
        if "CUDA" in report.data["mxnet"]["features"]:
            devices += [str(gpu["index"]) for gpu in report.data["gpus"]]
        for device in devices:
            _, problem = _python(_TRIAL, device)
            name = device if device == "cpu" else f"gpu({device})"
            trials[name] = problem is None
            report.line(PROBLEM if problem else OK, name, problem or "works")
    else:
        report.line(PROBLEM, "no device", "MXNet cannot be imported, see above")
    report.data["trials"] = trials


def _python(code, *arguments):
    """Run code in this interpreter: (what it printed, the last line of its failure or None)."""
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(p for p in (root, os.environ.get("PYTHONPATH")) if p)
    try:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code, *arguments],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            env={**os.environ, "PYTHONPATH": path},
        )
    except subprocess.TimeoutExpired:
        return "", "no answer within 300 s"
    if done.returncode == 0:
        return done.stdout, None
    if done.returncode < 0:
        return done.stdout, f"the process was ended by signal {-done.returncode}"
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return done.stdout, lines[-1].strip() if lines else f"exit status {done.returncode}"


def examine():
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


def parser() -> Parser:
    """Arguments of `python -m mxnetseg.doctor`."""
    p = Parser(
        "python -m mxnetseg.doctor",
        description="Print versions, devices, what is missing and why. Exit status 0 when training "
        "works on some device, else 2.",
    )
    p.add_argument("--json", action="store_true", help="print the report as one JSON object")
    return p


def main(argv: Optional[List[str]] = None) -> int:
    """Print the report and exit: 0 when training works on some device, else 2."""
    return run(_doctor, argv)


def _doctor(argv: Optional[List[str]]) -> int:
    options = parser().parse_args(argv)
    report = examine()
    devices = report.data["training_devices"]
    if options.json:
        text = json.dumps(report.data, indent=2)
    elif devices:
        text = f"{report.text()}\nTraining works on: {', '.join(devices)}."
    else:
        text = f"{report.text()}\nTraining does not work here yet; the lines marked !! say why."
    print(text, flush=True)
    return 0 if devices else EXIT_USER_ERROR

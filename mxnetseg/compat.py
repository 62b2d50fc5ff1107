"""What MXNet 1.9.1 and GluonCV 0.10.5 need from a Python of today. `import mxnetseg` runs it first.

Four repairs, none of which imports MXNet, so that a data worker which never computes stays light:

1. NumPy 1.24 removed `numpy.bool` and its like, which MXNet's Python code still names; they are put
   back at once. NumPy 2 cannot be helped: MXNet's library was compiled against NumPy 1.
2. An import hook acts the moment somebody imports `mxnet`. It loads the CUDA libraries that
   requirements-gpu.txt installs as wheels, in an order in which each finds what it depends on, so
   that neither a CUDA toolkit nor LD_LIBRARY_PATH is needed. And it turns the ways in which this
   import fails for a user (not installed, a library missing) into one line that says what to do.
3. It tells MXNet how many cores there are. MXNet takes half of the processors, as if each pair were one
   core with two threads; where they are not, it would leave half of the machine idle.
4. The same hook keeps `gluoncv` from looking at PyTorch. GluonCV refuses to be imported beside
   PyTorch 2 ("Legacy torch detected"), and would import it for nothing otherwise.

If MXNet was imported before this module there is nothing left to repair, except GluonCV's look at
PyTorch: the import succeeded, so NumPy and the CUDA libraries were already right.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.abc
import importlib.machinery
import importlib.metadata
import importlib.util
import os
import signal
import sys
from pathlib import Path
from typing import Iterator, List, Optional, Sequence, Tuple, Union

from .errors import DeviceError
from .packages import PYTHONS, PYTHONS_IN_WORDS


@contextlib.contextmanager
def sigint_blocked() -> Iterator[None]:
    """Ctrl-C inside the `with` comes when it ends, and never to processes that are started inside."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# Extension modules drop a KeyboardInterrupt that meets them while they are set up, and the program goes on.
with sigint_blocked():
    try:
        import numpy
    except ImportError:  # `python -m mxnetseg.doctor` has to work here too
        numpy = None

# The names that NumPy 1.24 removed, as NumPy 1.23 had them.
_NUMPY_ALIASES = {"bool": bool, "int": int, "float": float, "complex": complex, "object": object, "str": str}

# Folder below site-packages/nvidia, and the file there: what libmxnet.so of mxnet-cu112 is linked
# with, each after what it depends on itself. What cuDNN and NVRTC open later lies beside
# them and is found by their own run path.
_CUDA_LIBRARIES = (
    ("cuda_runtime", "libcudart.so.11.0"),
    ("cuda_nvrtc", "libnvrtc.so.11.2"),
    ("nvtx", "libnvToolsExt.so.1"),
    ("cublas", "libcublasLt.so.11"),
    ("cublas", "libcublas.so.11"),
    ("cufft", "libcufft.so.10"),
    ("curand", "libcurand.so.10"),
    ("cusparse", "libcusparse.so.11"),
    ("cusolver", "libcusolver.so.11"),
    ("nccl", "libnccl.so.2"),
    ("cudnn", "libcudnn.so.8"),
)


class MXNetImportError(DeviceError, ImportError):
    """MXNet cannot be imported here; the text says why and what to do, in one line.

    An ImportError too, so that `try: import mxnet / except ImportError` goes on working.
    """


def restore_numpy_aliases() -> None:
    """Give NumPy back the names that 1.24 removed; a name that NumPy still has is left alone."""
    if numpy is None:
        return
    # Looked up in vars(): hasattr() would go through NumPy's __getattr__, which warns.
    present = vars(numpy)
    for name, builtin in _NUMPY_ALIASES.items():
        if name not in present:
            setattr(numpy, name, builtin)


def mxnet_distribution() -> Optional[Tuple[str, str]]:
    """(distribution name, version) of the installed MXNet, such as ("mxnet-cu112", "1.9.1").

    None where there is none, or where it was not installed by pip.
    """
    found = []
    for distribution in importlib.metadata.distributions():
        name = (distribution.metadata["Name"] or "").lower().replace("_", "-")
        if name == "mxnet" or name.startswith("mxnet-cu"):
            found.append((name, distribution.version))
    # Both installed over each other: the CUDA one decides what its library needs.
    return max(found, key=lambda item: len(item[0]), default=None)


def cuda_library_files(search_path: Optional[Sequence[str]] = None) -> List[Tuple[str, Optional[Path]]]:
    """Where the CUDA wheels put the libraries MXNet needs: list of (file name, Path or None).

    search_path: folders that may hold `nvidia/<part>/lib`; `sys.path` by default.
    """
    folders = [Path(entry or ".") for entry in (sys.path if search_path is None else search_path)]
    result = []
    for part, name in _CUDA_LIBRARIES:
        candidates = (folder / "nvidia" / part / "lib" / name for folder in folders)
        result.append((name, next((path for path in candidates if path.is_file()), None)))
    return result


def preload_cuda_libraries(search_path: Optional[Sequence[str]] = None) -> List[Tuple[str, Optional[str]]]:
    """Load the CUDA wheels' libraries into the process; list of (file name, problem or None).

    A library that no wheel provides is left to the system's loader, which a CUDA toolkit on
    LD_LIBRARY_PATH satisfies: missing here is not yet an error.
    """
    report = []
    for name, path in cuda_library_files(search_path):
        if path is None:
            report.append((name, "no wheel provides it"))
            continue
        try:
            ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
        except OSError as error:
            report.append((name, str(error)))
        else:
            report.append((name, None))
    return report


def _requirements_file(distribution_name):
    return "requirements.txt" if distribution_name == "mxnet" else "requirements-gpu.txt"


def _explain_not_installed():
    version = sys.version_info[:2]
    if version not in PYTHONS:
        return (
            f"MXNet is not installed, and Python {version[0]}.{version[1]} cannot run it: use "
            f"{PYTHONS_IN_WORDS} (`make venv` in the repository finds one and makes .venv)"
        )
    return (
        f"MXNet is not installed for {sys.executable}: run `make venv` in the repository and use "
        f".venv/bin/python, or `pip install -r requirements.txt`"
    )


def explain_library_error(error: OSError, distribution_name: str) -> str:
    """One line for an OSError of the loader while it opened libmxnet.so."""
    text = str(error)
    missing = text.split(":", 1)[0].strip()
    if "libcuda.so" in text:
        return (
            f"{distribution_name} needs NVIDIA's driver, and this machine has none "
            f"(libcuda.so.1 is missing): install the driver, or the CPU build with "
            f"`pip uninstall {distribution_name}` and `pip install -r requirements.txt`"
        )
    if distribution_name == "mxnet-cu110" and ("libcusolver.so.10" in text or "libnvrtc" in text):
        return (
            f"mxnet-cu110 needs CUDA 11.0's own {missing}, which no wheel has: put the "
            f"toolkit's lib64 on LD_LIBRARY_PATH, or use mxnet-cu112 (requirements-gpu.txt)"
        )
    return (
        f"{distribution_name} cannot load {missing} ({text}): `pip install -r "
        f"{_requirements_file(distribution_name)}` brings the libraries it needs, "
        f"`python -m mxnetseg.doctor` lists them"
    )


def memory_bytes() -> Optional[int]:
    """Of this machine, or None where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None


def available_cores(system: Union[str, Path] = "/sys") -> Optional[int]:
    """Cores that this process may use, threads of one core counted once, or None where Linux does not tell.

    No more than a container's share of processor time, rounded up.
    """
    system = Path(system)
    try:
        cores = {
            (system / f"devices/system/cpu/cpu{n}/topology/thread_siblings_list").read_text()
            for n in os.sched_getaffinity(0)
        }
    except (AttributeError, OSError):
        return None
    share = _processor_share(system / "fs/cgroup")
    return min(len(cores), share) if share else len(cores)


def _processor_share(cgroup):
    """Processors' worth of time that the control group (version 2 or 1) grants; None for no limit."""
    try:
        try:
            quota, period = (cgroup / "cpu.max").read_text().split()
        except OSError:
            quota, period = ((cgroup / f"cpu/cpu.cfs_{what}_us").read_text() for what in ("quota", "period"))
        return max(1, -(-int(quota) // int(period))) if int(quota) > 0 else None
    except (OSError, ValueError):  # no control groups, or "max"
        return None


def _before_mxnet():
    if numpy is None:
        raise MXNetImportError("NumPy is not installed: `pip install -r requirements.txt`")
    if int(numpy.__version__.split(".")[0]) >= 2:
        raise MXNetImportError(
            f"NumPy {numpy.__version__} is installed, and MXNet 1.9.1 needs NumPy below 2: "
            f"`pip install numpy==1.26.4`"
        )
    if sys.version_info >= (3, 12) and importlib.util.find_spec("distutils") is None:
        # Python 3.12 dropped distutils, which MXNet imports; setuptools brings its own.
        raise MXNetImportError(
            "MXNet needs distutils, which Python 3.12 has only with setuptools: "
            "`pip install -r requirements.txt`"
        )
    # The wheels bring a later cuDNN 8 than the one MXNet was built with; it works, and the warning
    # about it on every run says nothing to the user.
    os.environ.setdefault("MXNET_CUDNN_LIB_CHECKING", "0")
    # oneDNN's kernels are kept for every size of picture that a network meets; without a limit memory grows
    # with each. The number is for each kind of layer; no network of the zoo has so many of one kind and size.
    os.environ.setdefault("MXNET_MKLDNN_CACHE_NUM", "500")
    # From its ninth reader on MXNet adds a map's gradients in place, and in a graph with planned memory
    # (`static_alloc`) in double precision they come out wrong: APCNet's and DMNet's backbones show it.
    os.environ.setdefault("MXNET_EXEC_INPLACE_GRAD_SUM_CAP", "1000")
    cores = available_cores()
    if cores:
        os.environ.setdefault("OMP_NUM_THREADS", str(cores))
    distribution = mxnet_distribution()
    if distribution is not None and distribution[0] != "mxnet":
        preload_cuda_libraries()


def _without_pytorch(torch_version, max_torch_version="2.0.0"):
    """In place of GluonCV's check of PyTorch: this library uses none of GluonCV's PyTorch half."""
    raise ImportError("mxnetseg keeps GluonCV to MXNet")


class _Loader(importlib.abc.Loader):
    """A module's own loader, with something to do before or after."""

    def __init__(self, inner, name):
        self._inner = inner
        self._name = name

    def create_module(self, spec):
        return self._inner.create_module(spec)

    def exec_module(self, module):
        if self._name == "gluoncv.check":
            self._inner.exec_module(module)
            module._require_pytorch_version = _without_pytorch
            return
        if self._name == "mxnet":
            _before_mxnet()
        try:
            with sigint_blocked():
                self._inner.exec_module(module)
        except OSError as error:
            name = (mxnet_distribution() or ("mxnet", ""))[0]
            raise MXNetImportError(explain_library_error(error, name)) from error

    def __getattr__(self, name):
        # get_source, get_filename and the like, which inspect and pkgutil ask a loader for.
        return getattr(self._inner, name)


class _Finder(importlib.abc.MetaPathFinder):
    """Wraps the loaders of `mxnet`, `gluoncv` and `gluoncv.check`; every other import passes by."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname not in ("mxnet", "gluoncv", "gluoncv.check"):
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None:
            if fullname == "mxnet":
                raise MXNetImportError(_explain_not_installed())
            return spec
        spec.loader = _Loader(spec.loader, fullname)
        return spec


def install() -> None:
    """Apply the repairs; called again, it changes nothing."""
    restore_numpy_aliases()
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    check = sys.modules.get("gluoncv.check")
    if check is not None:
        check._require_pytorch_version = _without_pytorch

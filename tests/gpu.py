"""`make test-gpu`: what only a GPU shows, by PyTorch on the first one there is.

Runs the tests marked `gpu` (arguments are pytest's), then every golden and every training golden of the
reference data. Without a GPU that PyTorch can use it says so in one line, with status 0: the project is
complete without.
"""

from __future__ import annotations

import subprocess
import sys

from tests.conftest import REPOSITORY, shared_folder


def missing():
    """Why there is no GPU to test on; empty where there is one."""
    try:
        import torch
    except ImportError:
        return "PyTorch is not installed (requirements-torch.txt)"
    return "" if torch.cuda.is_available() else f"PyTorch {torch.__version__} sees none"


def commands(arguments):
    """Of all that is run, each the words after the interpreter."""
    found = [["-m", "pytest", "-m", "gpu", *arguments]]
    goldens = shared_folder() / "golden"
    on_gpu = ["--engine", "torch", "--ctx", "0"]
    if goldens.is_dir():
        found.append(["-m", "tests.goldens.check", str(goldens), *on_gpu])
    if (goldens / "training").is_dir():
        found.append(["-m", "tests.goldens.check_training", str(goldens / "training"), *on_gpu])
    return found


def main(arguments):
    why = missing()
    if why:
        print(f"no GPU to test on: {why}; nothing was run")
        return 0
    import torch

    print(f"on {torch.cuda.get_device_name(0)}, PyTorch {torch.__version__}", flush=True)
    done = [subprocess.run([sys.executable, *c], cwd=REPOSITORY, check=False) for c in commands(arguments)]
    return max(one.returncode for one in done)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

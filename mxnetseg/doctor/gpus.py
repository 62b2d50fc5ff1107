"""NVIDIA GPUs: which there are, and whether MXNet can use them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Dict, List, Optional, Tuple

from mxnetseg import compat
from mxnetseg.doctor.report import NOTE, OK, PROBLEM, Report


def gpu_section(report: Report) -> None:
    """GPUs that the driver shows, whether MXNet's wheels have code for them, and the CUDA wheels."""
    report.section("GPUs")
    gpus, why = list_gpus()
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


def gpu_support(capability: Optional[str]) -> Tuple[bool, str]:
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


def list_gpus() -> Tuple[List[Dict[str, Optional[str]]], Optional[str]]:
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

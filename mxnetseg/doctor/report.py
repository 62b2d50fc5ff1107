"""The report that is filled section by section, and how its sections ask."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

OK, NOTE, PROBLEM = "ok", "note", "problem"


class Report:
    """Lines grouped by section, each with a state (ok, note, problem), and the data behind them."""

    def __init__(self) -> None:
        self.sections: List[Tuple[str, List[Tuple[str, str, str]]]] = []
        self.data: Dict[str, Any] = {}

    def section(self, title: str) -> None:
        self.sections.append((title, []))

    def line(self, state: str, what: str, text: str) -> None:
        self.sections[-1][1].append((state, what, text))

    def problems(self) -> List[str]:
        return [
            f"{what}: {text}" for _, lines in self.sections for state, what, text in lines if state == PROBLEM
        ]

    def text(self) -> str:
        marks = {OK: " ok ", NOTE: "  - ", PROBLEM: " !! "}
        out = []
        for title, lines in self.sections:
            out.append(title)
            width = max((len(what) for _, what, _ in lines), default=0)
            out += [f"{marks[state]} {what:<{width}}  {text}".rstrip() for state, what, text in lines]
            out.append("")
        return "\n".join(out)


def version_of(distribution: str) -> Optional[str]:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def gibibytes(count: int) -> str:
    return f"{count / 2**30:.1f} GiB"


def run_python(code: str, *arguments: str) -> Tuple[str, Optional[str]]:
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

"""`python -m tests.goldens.check GOLDEN_DIR [PATTERN] [--engine torch]`: worst differences of every
golden."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import mxnetseg.weights
from mxnetseg.errors import MxnetsegError
from tests.goldens.golden import description, differences


def main(argv=None):
    p = argparse.ArgumentParser(prog="python -m tests.goldens.check", description=__doc__)
    p.add_argument("folder", type=Path, help="folder of the golden files")
    p.add_argument("patterns", nargs="*", default=["*"], help="shell patterns of references")
    p.add_argument("--engine", choices=("mxnet", "torch"), default="mxnet", help="what computes")
    p.add_argument("--ctx", default="cpu", help="device of the torch engine: a GPU's number, or cpu")
    options = p.parse_args(argv)
    return max(table(options.folder, pattern, options.engine, options.ctx) for pattern in options.patterns)


def table(folder, pattern, engine, device):
    """Print the references that match; 1 where one is off."""
    bad = 0
    for name in mxnetseg.weights.references(pattern):
        for scaled in (False, True):
            if not description(folder, name, scaled).exists():
                continue
            try:
                found = differences(folder, name, scaled, engine, device)
            except (MxnetsegError, AssertionError) as error:
                print(f"{name}{' scaled' if scaled else ''}: {error}")
                bad += 1
                continue
            text = "  ".join(
                f"{k} {d:.1e}{'' if d <= t else f' > {t:.0e} !!'}" for k, (d, t) in found.items()
            )
            bad += any(d > t for d, t in found.values())
            print(
                f"{name}{' scaled' if scaled else ''}: {text or 'runs (outputs are not here)'}",
                flush=True,
            )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

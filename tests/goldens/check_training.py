"""`python -m tests.goldens.check_training FOLDER [ID...] [--engine torch] [--write FILE]`: a line for each
golden."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import mxnetseg  # noqa: F401  the repairs of compat, before anything imports mxnet
from tests.goldens import tables
from tests.goldens.training import Golden, cases

COMMAND = "python -m tests.goldens.check_training"
# What the table shows of a golden's quantities, over all its sizes and variants.
COLUMNS = {
    "losses": "losses",
    "gradients": "norms of gradients",
    "projections": "projections of gradients",
    "buffers": "running statistics",
    "after one step": "loss after one step",
}


def main(argv=None):
    p = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    p.add_argument("folder", type=Path, help="folder of the training goldens")
    p.add_argument("names", nargs="*", help="ids; default: all")
    p.add_argument("--engine", choices=("mxnet", "torch"), default="mxnet", help="what computes")
    p.add_argument("--ctx", default="cpu", help="device of the torch engine: a GPU's number, or cpu")
    p.add_argument("--write", type=Path, metavar="FILE", help="put the rows into this document's table")
    options = p.parse_args(argv)
    agreed, rows, names = 0, {}, options.names or cases(options.folder)
    for name in names:
        try:
            found = Golden(options.folder, name, options.engine, device=options.ctx).differences()
        except Exception as error:  # one network that fails must not hide the others
            print(f"{name}: {type(error).__name__}: {' '.join(str(error).split())[:200]}", flush=True)
            continue
        agreed += all(d <= limit for d, limit in found.values())
        rows[name] = row(found)
        text = "  ".join(f"{k} {d:.1e}{'' if d <= t else f' > {t:.0e} !!'}" for k, (d, t) in found.items())
        print(f"{name}: {text}", flush=True)
    print(f"{agreed}/{len(names)} training goldens agree")
    if options.write is not None:
        tables.update(options.write, COMMAND, ("reference", *COLUMNS.values()), rows)
    return 0 if agreed == len(names) else 1


def row(found):
    """The worst difference of each column."""
    return [f"{max(d for what, (d, _) in found.items() if what.endswith(end)):.0e}" for end in COLUMNS]


if __name__ == "__main__":
    sys.exit(main())

"""`python -m tests.goldens.check_initial_states FOLDER [ID...] [--write FILE]`: where networks start, beside
the published ones and beside one rule for every layer."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

import mxnetseg  # noqa: F401  the repairs of compat, before anything imports mxnet
from tests.goldens import tables
from tests.goldens.initial import Golden, cases

COMMAND = "python -m tests.goldens.check_initial_states"
HEAD = (
    "reference",
    "drawn otherwise",
    "worst std",
    "attention: published",
    "here",
    "flow: published",
    "here",
    "first loss: published",
    "here",
)
# Fewer values than these say little about a standard deviation.
MANY = 1000


def main(argv=None):
    p = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    p.add_argument("folder", type=Path, help="folder of the initialization goldens")
    p.add_argument("names", nargs="*", help="ids; default: all")
    p.add_argument("--write", type=Path, metavar="FILE", help="put the rows into this document's table")
    options = p.parse_args(argv)
    rows = {}
    for name in options.names or cases(options.folder):
        rows[name] = row(options.folder, name)
        print(f"{name}: {', '.join(f'{k} {v}' for k, v in zip(HEAD[1:], rows[name]))}", flush=True)
    if options.write is not None:
        tables.update(options.write, COMMAND, HEAD, rows)
    return 0 if all(cells[0].startswith("0 ") for cells in rows.values()) else 1


def row(folder, name):
    """The cells of a reference; numbers of the one rule in brackets."""
    ours, others = Golden(folder, name), Golden(folder, name, one_rule=True)
    cells = [f"{len(ours.misfits())} ({len(others.misfits())})", f"{_worst(ours)} ({_worst(others)})"]
    if name.startswith("torchvision_"):
        return [*cells, *[""] * 6]
    expected, found, ruled = ours.expected(), ours.behaviour(), others.behaviour()
    for what in ("softmax", "flow", "loss"):
        if not np.size(expected[what]):
            cells += ["", ""]
            continue
        theirs, here, there = (_short(np.mean(one[what])) for one in (expected, found, ruled))
        cells += [theirs, f"{here} ({there})"]
    return cells


def _worst(golden):
    """The largest ratio of two standard deviations of a parameter; one that should be constant and is not
    has none."""
    ratios = [
        np.exp(abs(np.log(values.std() / std))) if values.std() > 0 else np.inf
        for _, values, _, std in golden.pairs()
        if std > 0 and values.size >= MANY
    ]
    return f"{max(ratios):.3g}x"


def _short(number):
    return f"{number:.3g}"


if __name__ == "__main__":
    sys.exit(main())

"""`python -m tests.goldens.check_training FOLDER [ID...] [--engine torch]`: a line for each golden."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import mxnetseg  # noqa: F401  the repairs of compat, before anything imports mxnet
from tests.goldens.training import Golden, cases


def main(argv=None):
    p = argparse.ArgumentParser(prog="python -m tests.goldens.check_training", description=__doc__)
    p.add_argument("folder", type=Path, help="folder of the training goldens")
    p.add_argument("names", nargs="*", help="ids; default: all")
    p.add_argument("--engine", choices=("mxnet", "torch"), default="mxnet", help="what computes")
    p.add_argument("--ctx", default="cpu", help="device of the torch engine: a GPU's number, or cpu")
    options = p.parse_args(argv)
    agreed, names = 0, options.names or cases(options.folder)
    for name in names:
        try:
            found = Golden(options.folder, name, options.engine, device=options.ctx).differences()
        except Exception as error:  # one network that fails must not hide the others
            print(f"{name}: {type(error).__name__}: {' '.join(str(error).split())[:200]}", flush=True)
            continue
        agreed += all(d <= limit for d, limit in found.values())
        text = "  ".join(f"{k} {d:.1e}{'' if d <= t else f' > {t:.0e} !!'}" for k, (d, t) in found.items())
        print(f"{name}: {text}", flush=True)
    print(f"{agreed}/{len(names)} training goldens agree")
    return 0 if agreed == len(names) else 1


if __name__ == "__main__":
    sys.exit(main())

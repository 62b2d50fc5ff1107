"""`python -m tests.goldens.check_training FOLDER [ID...]`: a line for each training golden of a folder."""

from __future__ import annotations

import sys

import mxnetseg  # noqa: F401  the repairs of compat, before anything imports mxnet
from tests.goldens.training import Golden, cases


def main(folder, *names):
    agreed, names = 0, names or cases(folder)
    for name in names:
        try:
            found = Golden(folder, name).differences()
        except Exception as error:  # one network that fails must not hide the others
            print(f"{name}: {type(error).__name__}: {' '.join(str(error).split())[:200]}", flush=True)
            continue
        agreed += all(d <= limit for d, limit in found.values())
        text = "  ".join(f"{k} {d:.1e}{'' if d <= t else f' > {t:.0e} !!'}" for k, (d, t) in found.items())
        print(f"{name}: {text}", flush=True)
    print(f"{agreed}/{len(names)} training goldens agree")
    return 0 if agreed == len(names) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

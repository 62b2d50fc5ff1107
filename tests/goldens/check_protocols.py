"""`python -m tests.goldens.check_protocols FOLDER [PATTERN] [--engine torch]`: a line for each case.

A line has, for each picture, the share of equal labels and the worst score difference over what is allowed.
FOLDER holds `<id>.json` + `<id>.npz` files. The networks they name are looked for in the folder above, else
in ../shared/golden (or $MXNETSEG_SHARED/golden).
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import sys
from pathlib import Path

from mxnetseg.errors import MxnetsegError
from tests.conftest import shared_folder
from tests.goldens.protocols import agreements, case_files


def main(argv=None) -> int:
    """0 where every case agrees."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.goldens.check_protocols",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("pattern", nargs="?", default="*", help="of the ids")
    parser.add_argument("--engine", choices=("mxnet", "torch"), default="mxnet", help="what computes")
    options = parser.parse_args(argv)
    files = [path for path in case_files(options.folder) if fnmatch.fnmatch(path.stem, options.pattern)]
    agreed = 0
    for path in files:
        try:
            found = list(agreements(path, golden_folder(path), options.engine))
        except (MxnetsegError, AssertionError, ValueError, LookupError, OSError, EOFError) as error:
            print(f"{path.stem}: {type(error).__name__}: {error}", flush=True)
            continue
        problems = [f"{name}: {problem}" for name, result in found for problem in result.problems]
        text = "  ".join(f"{name} {100 * r.labels:.3f}% {r.score:.2f}" for name, r in found)
        agreed += not problems
        print(f"{path.stem}: {text}" + (f"  !! {'; '.join(problems)}" if problems else ""), flush=True)
    print(f"{agreed}/{len(files)} protocol goldens agree")
    return 0 if files and agreed == len(files) else 1


def golden_folder(path: Path) -> Path:
    """The folder with the description of a case's network."""
    network = json.loads(path.read_text())["network"]
    above = path.resolve().parent.parent
    return above if (above / f"{network}.json").exists() else shared_folder() / "golden"


if __name__ == "__main__":
    sys.exit(main())

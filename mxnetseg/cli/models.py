"""`python -m mxnetseg.models`: every architecture with its size, its arithmetic and its published score."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mxnetseg.errors import ConfigError

START, END = "<!-- zoo table: python -m mxnetseg.models --write README.md -->", "<!-- end of zoo table -->"
COLUMNS = ("name", "paper", "backbone", "params M", "GFLOPs", "published mIoU")


def parser():
    """Arguments of `python -m mxnetseg.models`."""
    p = argparse.ArgumentParser(
        prog="python -m mxnetseg.models",
        description="Print every architecture of the zoo: trainable parameters without auxiliary heads, "
        "multiply-adds (10^9) counted from the traced graph operator by operator, published mIoU.",
    )
    p.add_argument("pattern", nargs="?", default="*", help="shell pattern of names, such as 'sfnet*'")
    p.add_argument(
        "--size",
        type=int,
        nargs=2,
        default=(512, 1024),
        metavar=("H", "W"),
        help="image size in pixels for the multiply-adds (default 512 1024)",
    )
    p.add_argument("--nclass", type=int, default=19, help="number of classes (default 19)")
    p.add_argument("--backbone", help="this backbone for all, instead of each architecture's default")
    p.add_argument("--operators", action="store_true", help="multiply-adds of every operator as well")
    p.add_argument("--write", metavar="FILE", help="put the table into FILE between its zoo table marks")
    return p


def main(argv=None):
    """Entry point; exits with status 2 and one line on bad input."""
    from mxnetseg.cli.common import run

    return run(_models, argv)


def _models(argv=None):
    options = parser().parse_args(argv)
    from mxnetseg.models import list_models

    names = list_models(options.pattern)
    if not names:
        raise ConfigError(f"no model matches {options.pattern!r}; known: {', '.join(list_models())}")
    rows = []
    for name in names:
        rows.append(row(name, options.nclass, tuple(options.size), options.backbone, options.operators))
        if not options.write:
            _print_row(rows[-1], header=len(rows) == 1)
    if options.write:
        write_table(Path(options.write), markdown(rows))
        print(f"{len(rows)} rows written to {options.write}")
    return 0


def row(name, nclass=19, size=(512, 1024), backbone=None, operators=False):
    """One line of the table as {column: text}; `operators` adds the count of each operator."""
    from mxnetseg.complexity import complexity
    from mxnetseg.models import create_model, model_info

    facts = model_info(name)
    found = complexity(create_model(name, nclass, backbone=backbone, init=False), size)
    cells = {
        "name": name,
        "paper": f"[{facts['venue']}]({facts['link']})",
        "backbone": backbone or facts["backbone"],
        "params M": f"{found.parameters / 1e6:.2f}",
        "GFLOPs": f"{found.total / 1e9:.1f}",
        "published mIoU": _score(facts.get("scores") or ()),
    }
    if found.uncounted:
        cells["GFLOPs"] += f" + uncounted {found.uncounted}"
    if operators:
        cells["operators"] = ", ".join(
            f"{op} {n / 1e9:.3f}" for op, n in sorted(found.operations.items(), key=lambda i: -i[1])
        )
    return cells


def _score(scores):
    if not scores:
        return "none known"
    data, setting, value, source = max(
        scores, key=lambda s: (s[0] == "Cityscapes val", s[0].startswith("Cityscapes"), s[2])
    )
    return f"{value:g} {data} ({setting}; {source})"


def markdown(rows):
    """The rows as a GitHub table."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---|---|---|---:|---:|---|"]
    lines += ["| " + " | ".join(r[c] for c in COLUMNS) + " |" for r in rows]
    return "\n".join(lines)


def write_table(path, table):
    """Replace what stands between the marks of `path`; ConfigError where it has none."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    if START not in text or END not in text:
        raise ConfigError(f"{path} has no zoo table marks ({START} ... {END})")
    before, rest = text.split(START, 1)
    after = rest.split(END, 1)[1]
    path.write_text(f"{before}{START}\n{table}\n{END}{after}", encoding="utf-8")


def _print_row(cells, header):
    form = "{name:<16} {backbone:<18} {params M:>9} {GFLOPs:>9}  {published mIoU}"
    if header:
        print(form.format(**{c: c for c in COLUMNS}))
    print(form.format(**cells))
    if "operators" in cells:
        print("    " + cells["operators"])
    sys.stdout.flush()

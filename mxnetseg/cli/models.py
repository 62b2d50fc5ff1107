"""`python -m mxnetseg.models`: the architectures, their forms, and the table of the zoo."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

from mxnetseg.cli.common import Parser, run
from mxnetseg.errors import ConfigError
from mxnetseg.facts import default_backbone, list_models, model_info

START, END = "<!-- zoo table: python -m mxnetseg.models --write README.md -->", "<!-- end of zoo table -->"
COLUMNS = ("name", "paper", "backbone", "params M", "GFLOPs", "published mIoU")
Row = Dict[str, str]


def parser() -> Parser:
    """Arguments of `python -m mxnetseg.models`."""
    p = Parser(
        "python -m mxnetseg.models",
        description="List the architectures of the zoo; a name shows all that is known of one and how its "
        "published forms differ. --table counts trainable parameters without auxiliary heads and "
        "multiply-adds (10^9), operator by operator in the traced graph.",
    )
    p.add_argument("pattern", nargs="?", default="*", help="a name, or a shell pattern such as 'sfnet*'")
    p.add_argument("--table", action="store_true", help="with sizes, which takes about a minute for all")
    p.add_argument(
        "--size",
        type=int,
        nargs=2,
        metavar=("H", "W"),
        help="with --table: image size in pixels for the multiply-adds (default 512 1024)",
    )
    p.add_argument("--nclass", type=int, help="with --table: number of classes (default 19)")
    p.add_argument("--backbone", help="with --table: for all, instead of each architecture's default")
    p.add_argument("--form", help="with --table: this published form instead of the paper's")
    p.add_argument("--operators", action="store_true", help="with --table: multiply-adds of every operator")
    p.add_argument("--write", metavar="FILE", help="put the table into FILE between its zoo table marks")
    return p


def main(argv: Optional[List[str]] = None) -> int:
    """Entry point; exits with status 2 and one line on bad input."""
    return run(_models, argv)


def _models(argv: Optional[List[str]]) -> None:
    options = parser().parse_args(argv)
    names = list_models(options.pattern)
    if not names:
        model_info(options.pattern)  # raises, with the nearest names
    table = options.table or options.write
    for flag in ("size", "nclass", "backbone", "form", "operators"):
        if getattr(options, flag) and not table:
            raise ConfigError(f"--{flag} belongs to the table of sizes: add --table")
    if not table:
        print(describe(names[0]) if names == [options.pattern] else "\n".join(map(_line, names)))
        return
    rows = []
    for name in names:
        rows.append(
            row(
                name,
                options.nclass or 19,
                tuple(options.size or (512, 1024)),
                options.backbone,
                options.form or "paper",
                options.operators,
            )
        )
        if not options.write:
            _print_row(rows[-1], header=len(rows) == 1)
    if options.write:
        write_table(Path(options.write), markdown(rows))
        print(f"{len(rows)} rows written to {options.write}")


def _line(name: str) -> str:
    facts = model_info(name)
    return f"{name:<16} {facts['venue']:<13} {facts['backbone']:<15} {facts['paper']}"


def describe(name: str) -> str:
    """All that is known of an architecture, as text."""
    facts = model_info(name)
    lines = [f"{name}: {facts['paper']} ({facts['venue']})", f"  {facts['link']}"]
    lines.append(
        "  forms (model.form), and the options by which each differs from the constructor's defaults:"
    )
    for form, options in facts["forms"].items():
        shown = ", ".join(f"{key}={value!r}" for key, value in options.items()) or "the defaults"
        lines.append(f"    {form:<12} on {default_backbone(name, form)}: {shown}")
    lines.append("  published mIoU:" if facts.get("scores") else "  no published mIoU is known")
    lines += [f"    {_shown(score)}" for score in facts.get("scores") or ()]
    return "\n".join(lines)


def row(
    name: str,
    nclass: int = 19,
    size: Tuple[int, int] = (512, 1024),
    backbone: Optional[str] = None,
    form: str = "paper",
    operators: bool = False,
) -> Row:
    """One line of the table as {column: text}; `operators` adds the count of each operator."""
    from mxnetseg.complexity import complexity
    from mxnetseg.models import create_model

    found = complexity(create_model(name, nclass, form, backbone, init=False), size)
    cells = {
        **facts_row(name, backbone, form),
        "params M": f"{found.parameters / 1e6:.2f}",
        "GFLOPs": f"{found.total / 1e9:.1f}",
    }
    if found.uncounted:
        cells["GFLOPs"] += f" + uncounted {found.uncounted}"
    if operators:
        cells["operators"] = ", ".join(
            f"{op} {n / 1e9:.3f}" for op, n in sorted(found.operations.items(), key=lambda i: -i[1])
        )
    return cells


def facts_row(name: str, backbone: Optional[str] = None, form: str = "paper") -> Row:
    """The columns of the table that need no network."""
    facts = model_info(name)
    return {
        "name": name,
        "paper": f"[{facts['venue']}]({facts['link']})",
        "backbone": backbone or default_backbone(name, form),
        "published mIoU": _best(facts.get("scores") or ()),
    }


def _best(scores: Sequence[tuple]) -> str:
    if not scores:
        return "none known"
    return _shown(max(scores, key=lambda s: (s[0] == "Cityscapes val", s[0].startswith("Cityscapes"), s[2])))


def _shown(score: tuple) -> str:
    data, setting, value, source = score
    return f"{value:g} {data} ({setting}; {source})"


def markdown(rows: Sequence[Row]) -> str:
    """The rows as a GitHub table."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---|---|---|---:|---:|---|"]
    lines += ["| " + " | ".join(r[c] for c in COLUMNS) + " |" for r in rows]
    return "\n".join(lines)


def write_table(path: Path, table: str) -> None:
    """Replace what stands between the marks of `path`; ConfigError where it has none."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    if START not in text or END not in text:
        raise ConfigError(f"{path} has no zoo table marks ({START} ... {END})")
    before, rest = text.split(START, 1)
    after = rest.split(END, 1)[1]
    path.write_text(f"{before}{START}\n{table}\n{END}{after}", encoding="utf-8")


def _print_row(cells: Row, header: bool) -> None:
    form = "{name:<16} {backbone:<18} {params M:>9} {GFLOPs:>9}  {published mIoU}"
    if header:
        print(form.format(**{c: c for c in COLUMNS}))
    print(form.format(**cells))
    if "operators" in cells:
        print("    " + cells["operators"])
    sys.stdout.flush()

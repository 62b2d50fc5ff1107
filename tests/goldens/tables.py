"""Tables of measured differences in a document, each between marks that name the command that wrote it."""

from __future__ import annotations

END = "<!-- end of table -->"


def update(path, command, head, rows):
    """Put `rows` {first cell: other cells} into the table of `command` in a Markdown file; rows of references
    that were not measured this time stay."""
    text = path.read_text(encoding="utf-8")
    before, after = _around(text, command)
    kept = {**read(path, command), **rows}
    lines = [_line(head), _line(["---"] * len(head))]
    lines += [_line([name, *kept[name]]) for name in sorted(kept)]
    path.write_text("\n".join([before, *lines, after]), encoding="utf-8")


def read(path, command):
    """{first cell: other cells} of the table of `command`."""
    text = path.read_text(encoding="utf-8")
    before, after = _around(text, command)
    lines = text[len(before) : len(text) - len(after)].strip().splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    return {name: others for name, *others in cells}


def _around(text, command):
    """What stands before and behind a table, marks included."""
    start = f"<!-- table: {command} -->"
    if start not in text:
        raise SystemExit(f"the document has no mark {start}")
    before, rest = text.split(start, 1)
    return before + start, END + rest.split(END, 1)[1]


def _line(cells):
    return f"| {' | '.join(cells)} |"

"""Several runs side by side: where their recipes differ, their curves, scores of each class, speed and cost.

Everything comes from the files of the runs' folders; nothing here imports MXNet.
"""

from __future__ import annotations

import os
from html import escape
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from mxnetseg import params_file
from mxnetseg.errors import CheckpointError
from mxnetseg.metrics import format_percent
from mxnetseg.recipe import load_recipe
from mxnetseg.report.charts import Line, line_chart, smooth
from mxnetseg.report.html import document, duration, hundred, section
from mxnetseg.report.reading import (
    SCORES,
    Record,
    best_validation,
    json_of,
    records_of,
    training_rate,
    validations_of,
    working_time,
)
from mxnetseg.run_files import METRICS, RECIPE, atomic_file, run_weights
from mxnetseg.weights.integers import SCALE

MOST = 8  # more curves in one picture cannot be told apart
_WIDEST = 30  # characters of a cell; of a longer one the page shows the rest under the pointer
_ABSENT = "–"
# What every two runs differ in without being trained differently.
_NOT_COMPARED = (
    "output_dir",
    "log_every",
    "data.root",
    "data.workers",
    "data.prefetch",
    "data.timeout",
    "checkpoint.every_minutes",
    "checkpoint.every_iterations",
    "checkpoint.keep",
)


class Compared(NamedTuple):
    """One of the runs.

    name        its folder's, as much of the path as tells the runs apart.
    recipe      dotted key -> value; {} where the folder has no recipe.
    records     of `metrics.jsonl`.
    best        the scores that are shown: of the best validation, or of an evaluation's `scores.json`.
    iou         class -> IoU of `best`, 0 to 1, None for an absent class.
    parameters  numbers in the weights that training moves; None where the folder has no weights.
    """

    name: str
    recipe: Dict[str, Any]
    records: List[Record]
    best: Record
    iou: Dict[str, Optional[float]]
    parameters: Optional[int]


class Table(NamedTuple):
    """Text in rows and columns: `rows` of (name, a cell for each run, place of the best one or None)."""

    title: str
    rows: List[Tuple[str, List[str], Optional[int]]]


def read_runs(folders: Sequence[Any]) -> List[Compared]:
    """The runs, in the order given. CheckpointError for less than two, too many, one given twice, or a folder
    without anything to compare."""
    paths = [Path(folder) for folder in folders]
    if not 2 <= len(paths) <= MOST:
        raise CheckpointError(f"{len(paths)} given: between 2 and {MOST} runs can be compared")
    absolute = [os.path.abspath(path) for path in paths]
    for path, where in zip(paths, absolute):
        if absolute.count(where) > 1:
            raise CheckpointError(f"{path}: is given twice")
    return [_read(path, name) for path, name in zip(paths, _names(absolute))]


def _names(paths: Sequence[str]) -> List[str]:
    """The ends of the paths, as long as it takes to tell them apart."""
    parts = [Path(path).parts for path in paths]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    return list(paths)


def _read(folder: Path, name: str) -> Compared:
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: no such folder; give the folder of a run or of an evaluation")
    records = records_of(folder)
    best = best_validation(records)
    if best is None:
        best = json_of(folder, SCORES) or {}
    if not records and not best:
        raise CheckpointError(
            f"{folder}: neither {METRICS} nor {SCORES} is in this folder: nothing to compare; "
            f"`python -m mxnetseg.runs list` finds runs"
        )
    recipe = load_recipe(folder / RECIPE).model_dump(mode="json") if (folder / RECIPE).is_file() else {}
    return Compared(name, dict(_flat(recipe)), records, best, _class_iou(best), _parameters(folder))


def _class_iou(scores: Mapping[str, Any]) -> Dict[str, Optional[float]]:
    found = scores.get("class_iou") or {}
    return dict(found) if isinstance(found, dict) else dict(zip(scores.get("classes") or [], found))


def _parameters(folder: Path) -> Optional[int]:
    try:
        path = run_weights(folder)
    except CheckpointError:
        return None
    arrays = params_file.read(path)
    return sum(
        int(np.prod(array.shape))
        for name, array in arrays.items()
        if "running_" not in name and not name.endswith(SCALE)
    )


def _flat(value: Any, key: str = "") -> Iterator[Tuple[str, Any]]:
    """(dotted key, value) of nested mappings; lists are values."""
    if isinstance(value, dict) and (value or not key):
        for name, part in value.items():
            yield from _flat(part, f"{key}.{name}" if key else name)
    elif key:
        yield key, value


def tables(runs: Sequence[Compared]) -> List[Table]:
    """Results, differences of the recipes and IoU by class; a table without rows is left out."""
    found = [
        Table("results", _results(runs)),
        Table("recipe", differences(runs)),
        Table("IoU by class, %", _by_class(runs)),
    ]
    return [table for table in found if table.rows]


def _results(runs: Sequence[Compared]) -> List[Tuple[str, List[str], Optional[int]]]:
    def scores(key: str) -> List[Optional[float]]:
        return [run.best.get(key) for run in runs]

    times = [working_time(run.records) for run in runs]
    epochs = [run.best.get("epoch") for run in runs]
    rows = [
        (name, [_percent(v) for v in scores(key)], _place(scores(key)))
        for key, name in (
            ("miou", "mIoU, %"),
            ("pixel_accuracy", "pixel accuracy, %"),
            ("mean_accuracy", "mean accuracy, %"),
        )
    ]
    rates = [training_rate(run.records) for run in runs]
    rows += [
        ("at epoch", [_ABSENT if e is None else f"{round(e, 2):g}" for e in epochs], None),
        ("training, images/s", [_ABSENT if r is None else f"{r:.2f}" for r in rates], _place(rates)),
        ("training, time", [duration(t) if t else _ABSENT for t in times], None),
        (
            "parameters, M",
            [_ABSENT if run.parameters is None else f"{run.parameters / 1e6:.2f}" for run in runs],
            None,
        ),
    ]
    return [row for row in rows if any(cell != _ABSENT for cell in row[1])]


def differences(runs: Sequence[Compared]) -> List[Tuple[str, List[str], Optional[int]]]:
    """Rows of the recipe's keys that the runs do not agree in; folders and speed of loading left out."""
    keys = list(dict.fromkeys(key for run in runs if run.recipe for key in run.recipe))
    rows = []
    for key in keys:
        values = [_value(run.recipe.get(key)) if run.recipe else _ABSENT for run in runs]
        if key not in _NOT_COMPARED and len({v for v, run in zip(values, runs) if run.recipe}) > 1:
            rows.append((key, values, None))
    return rows


def _by_class(runs: Sequence[Compared]) -> List[Tuple[str, List[str], Optional[int]]]:
    names = list(dict.fromkeys(name for run in runs for name in run.iou))
    rows = []
    for name in names:
        values = [run.iou.get(name) for run in runs]
        cells = [_percent(v, "absent" if name in run.iou else _ABSENT) for v, run in zip(values, runs)]
        rows.append((name, cells, _place(values)))
    return rows


def _percent(value: Optional[float], absent: str = _ABSENT) -> str:
    return format_percent(value, absent)


def _value(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _place(values: Sequence[Optional[float]]) -> Optional[int]:
    """Where the largest value is; None where it is not the only one."""
    known = [v for v in values if v is not None]
    best = max(known, default=None)
    return values.index(best) if len(known) > 1 and known.count(best) == 1 else None


def _short(cell: str) -> str:
    if len(cell) <= _WIDEST:
        return cell
    # What tells paths apart is at their end.
    is_path = "/" in cell and " " not in cell
    return "…" + cell[1 - _WIDEST :] if is_path else cell[: _WIDEST - 1] + "…"


def protocols_differ(runs: Sequence[Compared]) -> Optional[str]:
    """A warning where the scores were not taken in one way or on one data set, else None."""
    for what, values in (
        ("data sets", {run.recipe.get("data.name") or run.best.get("dataset") for run in runs}),
        ("protocols", {run.best.get("protocol") for run in runs}),
    ):
        known = sorted(v for v in values if v)
        if len(known) > 1:
            return f"scores are of different {what} and cannot be ranked: {'; '.join(known)}"
    return None


def as_text(runs: Sequence[Compared]) -> List[str]:
    """The tables for a terminal; the best value of a row is marked with *."""
    lines: List[str] = []
    names = [run.name for run in runs]
    shown = tables(runs)
    shown = [Table(t.title, [(n, [_short(c) for c in cells], b) for n, cells, b in t.rows]) for t in shown]
    first = max([len(row[0]) for table in shown for row in table.rows] + [len(t.title) for t in shown])
    for table in shown:
        columns = [
            max(len(name), *(len(cells[k]) for _, cells, _ in table.rows)) + 1 for k, name in enumerate(names)
        ]
        lines += ["", table.title.ljust(first) + "".join(f"  {n:>{w}}" for n, w in zip(names, columns))]
        for name, cells, best in table.rows:
            marked = [cell + ("*" if k == best else " ") for k, cell in enumerate(cells)]
            lines.append(
                (name.ljust(first) + "".join(f"  {c:>{w}}" for c, w in zip(marked, columns))).rstrip()
            )
    warning = protocols_differ(runs)
    return lines[1:] + (["", f"note: {warning}"] if warning else [])


def write_comparison(runs: Sequence[Compared], path: Any) -> None:
    """The same with curves as a page that needs nothing else. CheckpointError where it cannot be written."""
    warning = protocols_differ(runs)
    body = [
        f"<header><h1>{len(runs)} runs</h1><p>{escape(' · '.join(run.name for run in runs))}</p>"
        + (f"<p class=protocol>{escape(warning)}</p>" if warning else "")
        + "</header>",
        section("Curves", _curves(runs)),
    ]
    body += [
        section(t.title[:1].upper() + t.title[1:], _html(t, [run.name for run in runs])) for t in tables(runs)
    ]
    page = document("comparison", "\n".join(filter(None, body)))
    with atomic_file(path) as out:
        out.write(page.encode())


def _curves(runs: Sequence[Compared]) -> str:
    def line(run: Compared, records: List[Record], key: str) -> Line:
        return Line(run.name, [_epoch(r) for r in records], [r.get(key) for r in records])

    validations = [line(run, validations_of(run.records), "miou") for run in runs]
    validations = [Line(one.name, one.x, [hundred(y) for y in one.y]) for one in validations]
    losses = [line(run, [r for r in run.records if r.get("kind") == "train"], "loss") for run in runs]
    losses = [Line(one.name, one.x, smooth(one.y, max(len(one.y) // 25, 1))) for one in losses]
    end = max((_epoch(r) for run in runs for r in run.records), default=0.0)
    charts = [
        line_chart("Validation mIoU", validations, unit="%", zero=True, x_end=end, axis="epoch"),
        line_chart("Training loss", losses, x_end=end, axis="epoch"),
    ]
    charts = [chart for chart in charts if chart]
    return f'<div class="charts">{"".join(charts)}</div>' if charts else ""


def _epoch(record: Record) -> float:
    return float(record.get("epoch") or 0.0)


def _html(table: Table, names: Sequence[str]) -> str:
    head = "".join(f'<th><i class="s{k}"></i>{escape(name)}</th>' for k, name in enumerate(names, 1))
    rows = []
    for name, cells, best in table.rows:
        shown = (_cell(cell, k == best) for k, cell in enumerate(cells))
        rows.append(f"<tr><th>{escape(name)}</th>{''.join(shown)}</tr>")
    return f'<div class="wide"><table class="compared"><tr><td></td>{head}</tr>{"".join(rows)}</table></div>'


def _cell(text: str, best: bool) -> str:
    whole = f' title="{escape(text, quote=True)}"' if _short(text) != text else ""
    return f"<td{' class=best' if best else ''}{whole}>{escape(_short(text))}</td>"

"""`report.html`: one run on one page that needs nothing else, written from the files of the run.

Everything shown comes from files: curves from `metrics.jsonl`, scores and bars from its last validation or
from `scores.json` of an evaluation, the matrix from `confusion.json`, pictures from `examples.jpg`.
"""

from __future__ import annotations

import base64
import json
import os
import re
import time
from html import escape
from pathlib import Path
from typing import Any, Dict, List, Optional

from mxnetseg.errors import MxnetsegError
from mxnetseg.report.charts import Line, bar_chart, heat_map, line_chart, smooth
from mxnetseg.report.tracking import CONFUSION, EXAMPLES, read_metrics
from mxnetseg.run_files import METRICS, RECIPE, REPORT, atomic_file

SCORES = "scores.json"


def write_report(run_dir: str) -> str:
    """Write `report.html` into a run's or an evaluation's folder and return its path.
    Raises MxnetsegError when the folder has neither `metrics.jsonl` nor `scores.json`.
    """
    records = _records(run_dir)
    scores = _json(run_dir, SCORES)
    confusion = _json(run_dir, CONFUSION)
    recipe = _text(run_dir, RECIPE)
    if not records and not scores:
        raise MxnetsegError(f"{run_dir}: neither {METRICS} nor {SCORES} is there: nothing to report")
    names = _names(recipe, scores)
    validations = [r for r in records if r.get("kind") == "val" and r.get("miou") is not None]
    best = max(validations, key=lambda r: r["miou"]) if validations else None
    colours = _palette(names.get("data"))

    body = [_header(run_dir, names, records, scores)]
    body.append(_tiles(records, validations, best, scores))
    body.append(_section("Curves", _curves(records, validations)))
    body.append(_section("IoU by class", _classes(validations, scores, colours)))
    matrix = scores if scores and "confusion" in scores else confusion
    body.append(_section("Confusion", _confusion(matrix)))
    body.append(_section("Examples", _examples(run_dir)))
    if recipe:
        body.append(
            _section("Recipe", f"<details><summary>{RECIPE}</summary><pre>{escape(recipe)}</pre></details>")
        )
    title = " · ".join(names[k] for k in ("model", "backbone", "data") if names.get(k)) or "run"
    parts = {
        "title": escape(title),
        "style": _file("page.css"),
        "script": _file("page.js"),
        "body": "\n".join(filter(None, body)),
    }
    page = re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _file("page.html"))
    path = os.path.join(run_dir, REPORT)
    with atomic_file(path) as out:
        out.write(page.encode())
    return path


def _file(name: str) -> str:
    """A part of the page that lies beside this module."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _header(run_dir, names, records, scores) -> str:
    title = " <span>·</span> ".join(escape(names[k]) for k in ("model", "backbone", "data") if names.get(k))
    facts = [os.path.basename(os.path.abspath(run_dir))]
    if records:
        facts.append(time.strftime("%Y-%m-%d %H:%M", time.gmtime(records[-1].get("time", 0))) + " UTC")
    protocol = (scores or {}).get("protocol") or _last(records, "protocol")
    note = f"<p class=protocol>Scored as: {escape(str(protocol))}</p>" if protocol else ""
    return f"<header><h1>{title or 'Run'}</h1><p>{escape(' · '.join(facts))}</p>{note}</header>"


def _tiles(records, validations, best, scores) -> str:
    tiles: List[tuple] = []
    if scores:
        tiles.append(
            (
                "mIoU",
                _percent(scores.get("miou")),
                f"{scores.get('images', '?')} images of {scores.get('split')}",
            )
        )
        tiles.append(("pixel accuracy", _percent(scores.get("pixel_accuracy")), ""))
        tiles.append(("mean accuracy", _percent(scores.get("mean_accuracy")), ""))
        tiles.append(("freq.-weighted IoU", _percent(scores.get("frequency_weighted_iou")), ""))
        if scores.get("images_per_second"):
            tiles.append(("evaluation", f"{scores['images_per_second']:.2f}", "images/s"))
    elif best:
        last = validations[-1]
        tiles.append(("best mIoU", _percent(best["miou"]), _when(best)))
        tiles.append(("last mIoU", _percent(last["miou"]), _when(last)))
        tiles.append(("pixel accuracy", _percent(last.get("pixel_accuracy")), "last"))
        tiles.append(("mean accuracy", _percent(last.get("mean_accuracy")), "last"))
    train = [r for r in records if r.get("kind") == "train"]
    if train:
        loss = _last(train, "loss")
        if loss is not None:
            tiles.append(("training loss", f"{loss:.3f}", _when(train[-1])))
        rates = [r["images_per_second"] for r in train if r.get("images_per_second")]
        if rates:
            tiles.append(("training", f"{sorted(rates)[len(rates) // 2]:.2f}", "images/s, median"))
        if len(records) > 1:
            tiles.append(("time", _duration(_working_time(records)), ""))
    cells = (
        f"<div><small>{escape(n)}</small><b>{escape(v)}</b><small>{escape(d)}</small></div>"
        for n, v, d in tiles
    )
    return f'<div class="tiles">{"".join(cells)}</div>'


def _curves(records, validations) -> str:
    train = [r for r in records if r.get("kind") == "train"]
    steps = [r.get("iteration", 0) for r in train]
    end = max((r.get("iteration", 0) for r in records), default=0)
    charts = []
    loss = [r.get("loss") for r in train]
    lines = [
        Line("loss", steps, loss, faint=True),
        Line("loss", steps, smooth(loss, max(len(loss) // 25, 1))),
    ]
    charts.append(line_chart("Training loss", lines, x_end=end))
    at = [r.get("iteration", 0) for r in validations]
    keys = (("miou", "mIoU"), ("pixel_accuracy", "pixel accuracy"), ("mean_accuracy", "mean accuracy"))
    lines = [Line(name, at, [_hundred(r.get(key)) for r in validations]) for key, name in keys]
    charts.append(line_chart("Validation", lines, unit="%", zero=True, x_end=end))
    charts.append(
        line_chart(
            "Learning rate",
            [Line("learning rate", steps, [r.get("lr") for r in train])],
            zero=True,
            x_end=end,
        )
    )
    rate = [r.get("images_per_second") for r in train]
    charts.append(
        line_chart("Training speed", [Line("images/s", steps, rate)], unit="images/s", zero=True, x_end=end)
    )
    norm = [r.get("grad_norm") for r in train]
    charts.append(line_chart("Gradient norm", [Line("gradient norm", steps, norm)], zero=True, x_end=end))
    charts = [chart for chart in charts if chart]
    return f'<div class="charts">{"".join(charts)}</div>' if charts else ""


def _classes(validations, scores, colours) -> str:
    if scores and scores.get("class_iou"):
        names, values = scores.get("classes") or [], scores["class_iou"]
    elif validations and validations[-1].get("class_iou"):
        ious = validations[-1]["class_iou"]
        names, values = list(ious), list(ious.values())
    else:
        return ""
    absent = sum(v is None for v in values)
    note = (
        ""
        if not absent
        else (
            f"<p class=note>{absent} of {len(values)} classes are in neither labels nor predictions "
            f"and are left out of the mean.</p>"
        )
    )
    return note + bar_chart(names, values, colours if colours is not None else ())


def _confusion(found) -> str:
    if not found:
        return ""
    matrix = found.get("confusion") or found.get("matrix")
    names = found.get("classes") or [str(i) for i in range(len(matrix))]
    note = (
        "<p class=note>Rows are labels, columns predictions; numbers are percent of the row's pixels. "
        "Colour grows with the square root, so that small confusions show.</p>"
    )
    return note + f'<div class="wide">{heat_map(names, matrix)}</div>'


def _examples(run_dir) -> str:
    path = os.path.join(run_dir, EXAMPLES)
    try:
        with open(path, "rb") as handle:
            data = base64.b64encode(handle.read()).decode("ascii")
    except OSError:
        return ""
    return f'<img class="examples" alt="example predictions" src="data:image/jpeg;base64,{data}">'


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>" if content else ""


def _records(run_dir) -> List[Dict[str, Any]]:
    path = os.path.join(run_dir, METRICS)
    return read_metrics(path) if os.path.exists(path) else []


def _json(run_dir, name) -> Optional[Dict[str, Any]]:
    text = _text(run_dir, name)
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError as error:
        raise MxnetsegError(f"{os.path.join(run_dir, name)}: not JSON: {error}") from error


def _text(run_dir, name) -> Optional[str]:
    try:
        with open(os.path.join(run_dir, name), encoding="utf-8") as handle:
            return handle.read()
    except OSError:
        return None


def _names(recipe: Optional[str], scores) -> Dict[str, str]:
    names: Dict[str, str] = {}
    if recipe:
        import yaml

        try:
            values = yaml.safe_load(recipe) or {}
            model, data = values.get("model") or {}, values.get("data") or {}
            names = {"model": model.get("name"), "backbone": model.get("backbone"), "data": data.get("name")}
        except (yaml.YAMLError, AttributeError):
            names = {}
    for key, source in (("model", "model"), ("backbone", "backbone"), ("data", "dataset")):
        if not names.get(key) and scores:
            names[key] = scores.get(source)
    return {key: str(value) for key, value in names.items() if value}


def _palette(dataset: Optional[str]):
    from mxnetseg.data import dataset_info, list_datasets

    if dataset is None or dataset not in list_datasets():
        return None
    colours = dataset_info(dataset)["palette"]
    return colours if len(colours) else None


def _last(records, key):
    return next((r[key] for r in reversed(records) if r.get(key) is not None), None)


def _working_time(records) -> float:
    """Seconds between first and last line without the pauses before a resumed run went on."""
    times = [r["time"] for r in records if "time" in r]
    gaps = [b - a for a, b in zip(times, times[1:]) if b > a]
    if not gaps:
        return 0.0
    usual = sorted(gaps)[len(gaps) // 2]
    validation = max((r.get("seconds") or 0 for r in records), default=0)
    return sum(gap for gap in gaps if gap <= max(20 * usual, 2 * validation, 600))


def _when(record) -> str:
    epoch = record.get("epoch")
    if epoch is None:
        return f"iteration {record.get('iteration')}"
    return f"epoch {round(epoch, 2):g}"


def _percent(value: Optional[float]) -> str:
    return "–" if value is None else f"{100 * value:.2f} %"


def _hundred(value: Optional[float]) -> Optional[float]:
    return None if value is None else 100 * value


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"

"""`report.html`: one run on one page that needs nothing else, written from the files of the run.

Everything shown comes from files: curves from `metrics.jsonl`, scores and bars from its last validation or
from `scores.json` of an evaluation, the matrix from `confusion.json`, pictures from `examples.jpg`.
"""

from __future__ import annotations

import base64
import os
import time
from html import escape
from typing import Dict, List, Optional

from mxnetseg.errors import MxnetsegError
from mxnetseg.report.charts import Line, bar_chart, heat_map, line_chart, smooth
from mxnetseg.report.html import document, duration, hundred, percent, section, when
from mxnetseg.report.reading import (
    SCORES,
    best_validation,
    json_of,
    last,
    records_of,
    text_of,
    training_rate,
    validations_of,
    working_time,
)
from mxnetseg.report.tracking import CONFUSION, EXAMPLES
from mxnetseg.run_files import METRICS, RECIPE, REPORT, atomic_file


def write_report(run_dir: str) -> str:
    """Write `report.html` into a run's or an evaluation's folder and return its path.
    Raises MxnetsegError when the folder has neither `metrics.jsonl` nor `scores.json`.
    """
    records = records_of(run_dir)
    scores = json_of(run_dir, SCORES)
    confusion = json_of(run_dir, CONFUSION)
    recipe = text_of(run_dir, RECIPE)
    if not records and not scores:
        raise MxnetsegError(f"{run_dir}: neither {METRICS} nor {SCORES} is there: nothing to report")
    names = _names(recipe, scores)
    validations = validations_of(records)
    best = best_validation(records)
    colours = _palette(names.get("data"))

    body = [_header(run_dir, names, records, scores)]
    body.append(_tiles(records, validations, best, scores))
    body.append(section("Curves", _curves(records, validations)))
    body.append(section("IoU by class", _classes(validations, scores, colours)))
    matrix = scores if scores and "confusion" in scores else confusion
    body.append(section("Confusion", _confusion(matrix)))
    body.append(section("Examples", _examples(run_dir)))
    if recipe:
        body.append(
            section("Recipe", f"<details><summary>{RECIPE}</summary><pre>{escape(recipe)}</pre></details>")
        )
    title = " · ".join(names[k] for k in ("model", "backbone", "data") if names.get(k)) or "run"
    page = document(title, "\n".join(filter(None, body)))
    path = os.path.join(run_dir, REPORT)
    with atomic_file(path) as out:
        out.write(page.encode())
    return path


def _header(run_dir, names, records, scores) -> str:
    title = " <span>·</span> ".join(escape(names[k]) for k in ("model", "backbone", "data") if names.get(k))
    facts = [os.path.basename(os.path.abspath(run_dir))]
    if records:
        facts.append(time.strftime("%Y-%m-%d %H:%M", time.gmtime(records[-1].get("time", 0))) + " UTC")
    protocol = (scores or {}).get("protocol") or last(records, "protocol")
    note = f"<p class=protocol>Scored as: {escape(str(protocol))}</p>" if protocol else ""
    if (scores or {}).get("trained_on"):
        note += "<p class=protocol>Trained on these pictures: the score says nothing of others</p>"
    return f"<header><h1>{title or 'Run'}</h1><p>{escape(' · '.join(facts))}</p>{note}</header>"


def _tiles(records, validations, best, scores) -> str:
    tiles: List[tuple] = []
    if scores:
        tiles.append(
            (
                "mIoU",
                percent(scores.get("miou")),
                f"{scores.get('images', '?')} images of {scores.get('split')}",
            )
        )
        tiles.append(("pixel accuracy", percent(scores.get("pixel_accuracy")), ""))
        tiles.append(("mean accuracy", percent(scores.get("mean_accuracy")), ""))
        tiles.append(("freq.-weighted IoU", percent(scores.get("frequency_weighted_iou")), ""))
        if scores.get("images_per_second"):
            tiles.append(("evaluation", f"{scores['images_per_second']:.2f}", "images/s"))
    elif best:
        newest = validations[-1]
        tiles.append(("best mIoU", percent(best["miou"]), when(best)))
        tiles.append(("last mIoU", percent(newest["miou"]), when(newest)))
        tiles.append(("pixel accuracy", percent(newest.get("pixel_accuracy")), "last"))
        tiles.append(("mean accuracy", percent(newest.get("mean_accuracy")), "last"))
    train = [r for r in records if r.get("kind") == "train"]
    if train:
        loss = last(train, "loss")
        if loss is not None:
            tiles.append(("training loss", f"{loss:.3f}", when(train[-1])))
        rate = training_rate(records)
        if rate:
            tiles.append(("training", f"{rate:.2f}", "images/s, median"))
        if len(records) > 1:
            tiles.append(("time", duration(working_time(records)), ""))
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
    lines = [Line(name, at, [hundred(r.get(key)) for r in validations]) for key, name in keys]
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

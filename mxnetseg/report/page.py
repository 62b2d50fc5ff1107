"""`report.html`: one run on one page that needs nothing else, written from the files of the run.

Everything shown comes from files: curves from `metrics.jsonl`, scores and bars from its last validation or
from `scores.json` of an evaluation, the matrix from `confusion.json`, pictures from `examples.jpg`.
"""

from __future__ import annotations

import base64
import json
import os
import time
from html import escape
from typing import Any, Dict, List, Optional, Sequence

from mxnetseg.errors import MxnetsegError
from mxnetseg.report.charts import Line, bar_chart, heat_map, line_chart, smooth
from mxnetseg.report.tracking import CONFUSION, EXAMPLES, METRICS, read_metrics

REPORT = "report.html"
SCORES = "scores.json"
RECIPE = "recipe.yaml"


def write_report(run_dir: str, palette: Optional[Sequence[Sequence[int]]] = None) -> str:
    """Write `report.html` into a run's or an evaluation's folder and return its path.

    `palette`: colours of the classes; default those of the data set that the files name.
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
    colours = palette if palette is not None else _palette(names.get("data"))

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
    page = _PAGE.format(title=escape(title), style=_STYLE, body="\n".join(filter(None, body)), script=_SCRIPT)
    path = os.path.join(run_dir, REPORT)
    temporary = path + ".tmp"
    try:
        with open(temporary, "w", encoding="utf-8") as handle:
            handle.write(page)
        os.replace(temporary, path)
    except OSError as error:
        raise MxnetsegError(f"{path}: cannot be written: {error.strerror or error}") from error
    return path


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
    parts = sorted({key for r in train for key in r if key.startswith("loss_") or key.startswith("loss/")})
    for key in parts[:3]:
        values = [r.get(key) for r in train]
        lines.append(Line(key[5:], steps, smooth(values, max(len(values) // 25, 1))))
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


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>{style}</style></head>
<body><main>
{body}
<footer>Written by mxnetseg from the files beside it. Scores are percent; mIoU is the mean over the classes
that occur in labels or predictions.</footer>
</main><div id="tip" hidden></div><script>{script}</script></body></html>
"""

_STYLE = """
:root{--paper:#fbfbfa;--card:#fff;--ink:#1c1e22;--soft:#62666d;--line:#e3e4e7;
--bar:#3b76c9;--hit:#1d7d52;--miss:#c8442f;
--c1:#2a6fdb;--c2:#d9731a;--c3:#0f8f7f;--c4:#8a4fd0}
@media (prefers-color-scheme:dark){:root{
--paper:#131518;--card:#1b1e22;--ink:#e9eaec;--soft:#9aa0a8;--line:#2d3137;
--bar:#5b95e6;--hit:#35b27a;--miss:#ec6a52;--c1:#6ba5f7;--c2:#f0994a;--c3:#3fc2af;--c4:#b88af0}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",
Roboto,sans-serif}
main{max-width:1180px;margin:0 auto;padding:36px 24px 60px}
header h1{font-size:30px;line-height:1.2;margin:0 0 4px;font-weight:650;letter-spacing:-.01em}
header h1 span{color:var(--soft);font-weight:400}
header p{margin:0;color:var(--soft)}
h2{font-size:18px;margin:44px 0 14px;font-weight:620}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(138px,1fr));gap:12px;margin-top:26px}
.tiles div{background:var(--card);border:1px solid var(--line);border-radius:10px;
padding:12px 14px;min-height:92px}
.tiles b{display:block;font-size:22px;font-weight:640;font-variant-numeric:tabular-nums;
line-height:1.3;white-space:nowrap}
small{color:var(--soft);font-size:12.5px}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,480px),1fr));gap:16px}
figure{margin:0;background:var(--card);border:1px solid var(--line);
border-radius:10px;padding:14px 14px 6px;position:relative}
figcaption{font-weight:600}
figure svg{width:100%;height:auto;display:block;margin-top:4px}
.legend{position:absolute;right:16px;top:14px;margin:0;
display:flex;gap:14px;font-size:12.5px;color:var(--soft)}
.legend i{display:inline-block;width:14px;height:3px;
border-radius:2px;margin-right:6px;vertical-align:middle}
.grid{stroke:var(--line)}
.tick{fill:var(--soft);font-size:11.5px;font-variant-numeric:tabular-nums}
polyline{fill:none;stroke-width:2;stroke-linejoin:round}
.faint{stroke:var(--c1);opacity:.22;stroke-width:1}
.s1{stroke:var(--c1)}.s2{stroke:var(--c2)}.s3{stroke:var(--c3)}.s4{stroke:var(--c4)}
i.s1{background:var(--c1)}i.s2{background:var(--c2)}i.s3{background:var(--c3)}i.s4{background:var(--c4)}
.dot{fill:var(--card);stroke-width:2}.cursor{stroke:var(--soft);stroke-dasharray:3 3}
.bars{border-collapse:collapse;width:100%;max-width:760px}
.bars th{font-weight:400;text-align:left;padding:3px 14px 3px 0;white-space:nowrap;width:1%}
.bars th i{display:inline-block;width:13px;height:13px;border-radius:3px;margin-right:9px;vertical-align:-1px;
border:1px solid var(--line)}
.bars td{padding:3px 0 3px 10px;text-align:right;width:56px;font-variant-numeric:tabular-nums}
.bars em{color:var(--soft)}
.bars td.bar{width:auto;padding:0}.bars td.bar div{background:var(--line);border-radius:3px;height:12px}

.bars td.bar b{display:block;height:12px;border-radius:3px;background:var(--bar)}
.wide{overflow-x:auto}.heat{width:100%;height:auto;display:block}
.heat .hit{fill:var(--hit)}.heat .miss{fill:var(--miss)}
.heat .name{fill:var(--ink)}.heat text.over,.heat text.under{font-size:11px;text-anchor:middle}
.heat .over{fill:#fff}.heat .under{fill:var(--ink)}
.note{color:var(--soft);margin:0 0 12px}
.examples{width:100%;border-radius:10px;border:1px solid var(--line);display:block}
details{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:10px 16px}
summary{cursor:pointer}pre{overflow-x:auto;font-size:13px;line-height:1.45}
footer{margin-top:48px;color:var(--soft);font-size:13px}
#tip{position:fixed;pointer-events:none;background:var(--ink);color:var(--paper);font-size:12.5px;
padding:6px 10px;
border-radius:6px;white-space:pre;font-variant-numeric:tabular-nums;z-index:2}
"""

_SCRIPT = """
const tip=document.getElementById('tip');
for(const f of document.querySelectorAll('[data-chart]')){
  const d=JSON.parse(f.dataset.chart),svg=f.querySelector('svg'),cursor=f.querySelector('.cursor');
  svg.addEventListener('pointermove',e=>{
    const box=svg.getBoundingClientRect(),px=(e.clientX-box.left)/box.width*d.width;
    const want=d.x[0]+(px-d.left)/(d.right-d.left)*(d.x[1]-d.x[0]);
    let text='',at=null;
    for(const l of d.lines){
      let k=0;
      for(let i=1;i<l.x.length;i++)if(Math.abs(l.x[i]-want)<Math.abs(l.x[k]-want))k=i;
      if(at===null){at=l.x[k];text=d.xTitle+' '+Math.round(at)}
      text+='\\n'+l.name+'  '+Number(l.y[k].toPrecision(4))+(d.unit==='%'?' %':'');
    }
    const span=d.x[1]-d.x[0];
    const x=span?d.left+(at-d.x[0])/span*(d.right-d.left):(d.left+d.right)/2;
    cursor.setAttribute('x1',x);cursor.setAttribute('x2',x);cursor.setAttribute('visibility','visible');
    tip.textContent=text;tip.hidden=false;
    tip.style.left=Math.min(e.clientX+14,innerWidth-tip.offsetWidth-8)+'px';tip.style.top=(e.clientY+14)+'px';
  });
  svg.addEventListener('pointerleave',()=>{tip.hidden=true;cursor.setAttribute('visibility','hidden')});
}
"""

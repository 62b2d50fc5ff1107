"""The recipe files of published rows: configs/<model>/<source>/<row>.yaml.

A file states what its row adds to two bases: its publisher's run on that data set (configs/_base_/<source>/),
and `_<group>.yaml` beside it, what all rows of its group add to theirs alike.
"""

from __future__ import annotations

import copy
import textwrap
from collections import defaultdict
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import yaml

from mxnetseg.data import DATASETS
from mxnetseg.facts import default_backbone, model_info
from mxnetseg.places import CHECKOUT, configs_folders
from mxnetseg.recipe.load import read_values
from mxnetseg.recipes.costs import Cost, costs
from mxnetseg.recipes.ledger import ran
from mxnetseg.recipes.rows import Row, all_rows, table
from mxnetseg.recipes.translate import base_file, published

Values = Dict[str, Any]
WIDTH = 110
WRITER = "python -m mxnetseg.recipes write"
_SAME = object()


def recipe_path(row: Row) -> str:
    """Where a row's recipe lies under configs/."""
    return f"{row.model['name']}/{row.source}/{row.name}.yaml"


def find_recipe_file(row: Row) -> Optional[Path]:
    """The recipe of a row in the folders of recipes; None where it is not installed."""
    for folder in configs_folders():
        if (folder / recipe_path(row)).is_file():
            return folder / recipe_path(row)
    return None


def expected_files() -> Dict[str, str]:
    """{path under configs/: text} of every recipe file that the tables stand for."""
    groups: Dict[Tuple[str, str, str], List[Row]] = defaultdict(list)
    for row in all_rows():
        groups[row.model["name"], row.source, row.group].append(row)
    bases = {base_file(row): CHECKOUT / "configs" / base_file(row) for row in all_rows()}
    bases = {name: read_values(file) for name, file in bases.items()}
    files = {}
    counted = costs()
    for (model, source, group), rows in groups.items():
        own = {row.name: difference(published(row)[0], bases[base_file(row)]) for row in rows}
        shared = common(list(own.values()))
        folder = f"{model}/{source}"
        files[f"{folder}/_{group}.yaml"] = _group_text(rows, shared)
        for row in rows:
            values = difference(own[row.name], shared)
            files[recipe_path(row)] = _row_text(row, group, values, counted.get(row.name))
    return files


def write(configs: Path) -> List[str]:
    """Write the recipe files under `configs` and remove what no row stands for; the paths that changed."""
    changed = []
    files = expected_files()
    for path in stale(configs, files):
        (configs / path).unlink()
        changed.append(path)
    for path, text in files.items():
        file = configs / path
        if not file.is_file() or file.read_text(encoding="utf-8") != text:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            changed.append(path)
    return changed


def stale(configs: Path, files: Dict[str, str]) -> List[str]:
    """Paths of files where written recipes lie that no row stands for."""
    folders = {Path(path).parent for path in files}
    there = [path.relative_to(configs) for folder in folders for path in (configs / folder).glob("*.yaml")]
    return sorted(str(path) for path in there if str(path) not in files)


# ----- values


def difference(values: Values, base: Values) -> Values:
    """What `values` states otherwise than `base`."""
    found: Values = {}
    for key, value in values.items():
        below = base.get(key, _SAME)
        if isinstance(value, dict) and isinstance(below, dict):
            inner = difference(value, below)
            if inner:
                found[key] = inner
        elif value != below:
            found[key] = copy.deepcopy(value)
    return found


def common(all_values: List[Values]) -> Values:
    """What all of them state alike."""
    first, *others = all_values
    found: Values = {}
    for key, value in first.items():
        theirs = [values.get(key, _SAME) for values in others]
        if isinstance(value, dict) and all(isinstance(one, dict) for one in theirs):
            inner = common([value, *theirs])
            if inner:
                found[key] = inner
        elif all(one == value for one in theirs):
            found[key] = copy.deepcopy(value)
    return found


# ----- text


def _group_text(rows: List[Row], shared: Values) -> str:
    first = rows[0]
    facts, source = model_info(first.model["name"]), table(first.source)
    lines = [
        f"# {first.model['name']} as published by {source.title}: what its recipes beside this file share.",
        f"# Written by `{WRITER}`.",
        "#",
        *_wrapped(f"#   paper     {facts['paper']} ({facts['venue']}), {facts['link']}"),
        f"#   source    {source.link}",
    ]
    return "\n".join(lines) + "\n" + _yaml(shared)


def _row_text(row: Row, group: str, values: Values, cost: Optional[Cost]) -> str:
    backbone = row.model.get("backbone") or default_backbone(row.model["name"], row.model["form"])
    title = DATASETS.get(row.data).title.split(" (")[0].split(",")[0]
    on = "" if backbone == row.model["name"] else f" on {backbone}"
    lines = [
        *_wrapped(f"# {row.model['name']}{on}, {title}: {row.name} of {table(row.source).title}.", "# "),
        f"# Written by `{WRITER}`.",
        "#",
        *_wrapped(f"#   score     {score_text(row)}; {ran_text(row)}"),
        *_wrapped(f"#   cost      {cost_text(row, cost)}"),
        f"#   command   python train.py --recipe {row.name} --ctx 0 1 2 3",
    ]
    for departure in published(row)[1]:
        lines += _wrapped(f"#   differs   {departure}")
    bases = [f"../../{base_file(row)}", f"_{group}.yaml"]
    return "\n".join(lines) + "\n" + _yaml({"_base_": bases, **values})


def score_text(row: Row) -> str:
    """The published score in words."""
    if row.other:
        return f"{row.other} on {row.on}, published by {table(row.source).title}"
    if row.miou is None and row.miou_ms is None:
        return f"none published by {table(row.source).title}"
    parts = [f"{row.miou:g} mIoU on {row.on}"] if row.miou is not None else []
    if row.miou_ms is not None:
        where = "" if parts else f" mIoU on {row.on}"
        parts.append(f"{row.miou_ms:g}{where} with several scales and flip")
    return f"{', '.join(parts)}, published by {table(row.source).title}"


def ran_text(row: Row) -> str:
    """What was run here of it, in words."""
    runs = ran(row.name)
    return f"run here: {max(run.miou for run in runs):g}, see RESULTS.md" if runs else "not run here"


def cost_text(row: Row, cost: Optional[Cost]) -> str:
    """Size and arithmetic in words."""
    used = ((row.parameters or 0) - row.idle) / 1e6
    size = f"{used:.2f} M parameters with auxiliary heads"
    if cost is None:
        return size
    return f"{size}; without, {cost.multiply_adds:g} G multiply-adds at {cost.height} x {cost.width}"


def _wrapped(text: str, indent: str = "#             ") -> List[str]:
    return textwrap.wrap(
        text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _yaml(values: Values) -> str:
    return "".join(_entry(key, value, 0) for key, value in values.items())


def _entry(key: str, value: Any, indent: int) -> str:
    """`key: value` in flow style where it fits a line, else one line for each part."""
    pad = " " * indent
    line = f"{pad}{key}: {_flow(value)}"
    if len(line) <= WIDTH:
        return line + "\n"
    if isinstance(value, dict):
        return f"{pad}{key}:\n" + "".join(_entry(k, v, indent + 2) for k, v in value.items())
    if all(isinstance(item, (dict, list)) for item in value):
        return f"{pad}{key}:\n" + "".join(_item(item, indent + 2) for item in value)
    lines = textwrap.wrap(line, WIDTH, subsequent_indent=" " * (indent + len(key) + 3))
    return "\n".join(lines) + "\n"


def _item(item: Any, indent: int) -> str:
    pad = " " * indent
    line = f"{pad}- {_flow(item)}"
    if len(line) <= WIDTH or not isinstance(item, list):
        return "\n".join(textwrap.wrap(line, WIDTH, subsequent_indent=pad + "   ")) + "\n"
    inner = [textwrap.wrap(f"{pad}  - {_flow(one)}", WIDTH, subsequent_indent=pad + "     ") for one in item]
    lines = [line for wrapped in inner for line in wrapped]
    return pad + "- " + "\n".join(lines)[indent + 2 :] + "\n"


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, float):
        return _number(value)
    return yaml.safe_dump(value, default_flow_style=True).split("\n")[0]


def _number(value: float) -> str:
    text = f"{value:.10g}"
    if "e" in text:  # YAML 1.1 reads 5e-05 without a dot as text
        mantissa, exponent = text.split("e")
        return f"{mantissa if '.' in mantissa else mantissa + '.0'}e{int(exponent)}"
    return text if "." in text else text + ".0"

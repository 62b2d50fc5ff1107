"""`python -m mxnetseg.recipes list | diff | record | ...`: published rows and the recipes that train them."""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional

from mxnetseg.cli.common import Parser, add_set_argument, run
from mxnetseg.data import dataset_info
from mxnetseg.errors import ConfigError
from mxnetseg.facts import model_info
from mxnetseg.places import CHECKOUT
from mxnetseg.recipe import load_recipe, parse_settings
from mxnetseg.recipe.find import recipe_file
from mxnetseg.recipes import costs, extract, files, ledger, results
from mxnetseg.recipes.differences import differences, row_of
from mxnetseg.recipes.rows import SOURCES, Row, all_rows, table
from mxnetseg.recipes.translate import published

RESULTS = "RESULTS.md"


def parser() -> Parser:
    """Arguments of `python -m mxnetseg.recipes`."""
    p = Parser(
        "python -m mxnetseg.recipes",
        description="The rows of published tables (mmsegmentation, SFSegNets, MXNetSeg and others), each "
        "with a recipe that builds the network it scores; `python train.py --recipe ROW` starts one.",
    )
    commands = p.add_subparsers(dest="command", required=True, metavar="COMMAND")
    listing = commands.add_parser("list", help="rows with published scores, cost and source")
    listing.add_argument("--model", metavar="NAME", help="of this architecture")
    listing.add_argument("--data", metavar="NAME", help="on this data set")
    listing.add_argument("--source", metavar="NAME", help=f"of this publisher: {', '.join(SOURCES)}")
    comparing = commands.add_parser("diff", help="what differs between a recipe and the published run")
    comparing.add_argument(
        "recipe", metavar="RECIPE", help="a row, or a recipe file (a run's recipe.yaml too)"
    )
    comparing.add_argument(
        "--row", metavar="ROW", help="compare with this row; default: the one it stands for"
    )
    add_set_argument(comparing)
    recording = commands.add_parser("record", help="enter a finished run into the table of runs made here")
    recording.add_argument("run", metavar="RUN", help="folder of the run")
    recording.add_argument("--machine", required=True, metavar="TEXT", help="what it ran on")
    recording.add_argument("--row", metavar="ROW", help="the row or recipe file; default: what it stands for")
    recording.add_argument("--remark", default="", metavar="TEXT", help="what else a reader should know")
    commands.add_parser("results", help=f"write {RESULTS}")
    commands.add_parser("count", help="count the multiply-adds of every row's network (minutes)")
    extracting = commands.add_parser(
        "extract", help="compare the table of mmsegmentation's rows with its own configuration files"
    )
    extracting.add_argument(
        "folder", metavar="FOLDER", help="a checkout of mmsegmentation, or mmseg/.mim of an installed one"
    )
    commands.add_parser("write", help="write the recipe files of all rows from the published tables")
    return p


def main(argv: Optional[List[str]] = None) -> int:
    """Entry point; exits with status 2 and one line on bad input."""
    return run(_recipes, argv)


def _recipes(argv: Optional[List[str]]) -> None:
    options = parser().parse_args(argv)
    if options.command == "list":
        _list(options.model, options.data, options.source)
    elif options.command == "diff":
        _diff(options.recipe, options.row, options.settings)
    elif options.command == "record":
        _record(Path(options.run), options.machine, options.row, options.remark)
    elif options.command == "extract":
        for line in extract.report(Path(options.folder)):
            print(line)
    elif options.command == "results":
        _write_results()
    elif options.command == "count":
        print(f"{costs.write(print)} rows counted; `write` puts the figures into the recipes")
    else:
        changed = files.write(_checkout() / "configs")
        print(f"{len(changed)} files changed under {_checkout() / 'configs'}")


def _list(model: Optional[str], data: Optional[str], source: Optional[str]) -> None:
    if model:
        model_info(model)
    if data:
        dataset_info(data)
    rows = table(source).rows if source else all_rows()
    rows = [row for row in rows if model in (None, row.model["name"]) and data in (None, row.data)]
    if not rows:
        asked = " and ".join(
            f"{k} {v}" for k, v in (("model", model), ("data", data), ("source", source)) if v
        )
        raise ConfigError(
            f"no published row has {asked}; leave one out, or train by --model and --data alone"
        )
    width = max(len(row.name) for row in rows)
    print(
        f"{'row':<{width}} {'data':<16} {'mIoU':>6} {'ms':>6} {'params M':>9} {'GMACs':>8} {'crop':>9}"
        "  source"
    )
    for row in rows:
        print(_line(row, width))


def _line(row: Row, width: int) -> str:
    cost = costs.costs().get(row.name)
    count, crop = (f"{cost.multiply_adds:g}", f"{cost.height}x{cost.width}") if cost else ("-", "-")
    size = ((row.parameters or 0) - row.idle) / 1e6
    data = row.data if row.on == "val" else f"{row.data} {row.on}"
    miou, several = ("-" if value is None else f"{value:g}" for value in (row.miou, row.miou_ms))
    title = table(row.source).title
    return f"{row.name:<{width}} {data:<16} {miou:>6} {several:>6} {size:>9.2f} {count:>8} {crop:>9}  {title}"


def _diff(name: str, row_name: Optional[str], settings: List[str]) -> None:
    file = recipe_file(name)
    recipe = load_recipe(file, parse_settings(settings, "--set"))
    row = row_of(recipe, file, row_name)
    title = f"{row.name} of {table(row.source).title}"
    found, missing = differences(recipe, row), published(row)[1]
    if not found and not missing:
        print(f"{file}: nothing differs from {title}")
        return
    print(f"{file} and {title}:")
    for line in (*found, *missing):
        print(f"  {line}")


def _record(folder: Path, machine: str, name: Optional[str], remark: str) -> None:
    if name is None:
        recipe = folder / "recipe.yaml"
        name = row_of(load_recipe(recipe), recipe).name
    entry = ledger.entry_of(folder, name, machine, remark)
    _checkout()
    ledger.record(entry)
    print(f"{entry.recipe}: {entry.miou:g} mIoU, {entry.length} on {machine}")
    _write_results()


def _write_results() -> None:
    path = _checkout() / RESULTS
    path.write_text(results.text(), encoding="utf-8")
    print(f"{path} written")


def _checkout() -> Path:
    if not (CHECKOUT / "pyproject.toml").is_file():
        raise ConfigError("this writes files of the repository: run it in a checkout")
    return CHECKOUT

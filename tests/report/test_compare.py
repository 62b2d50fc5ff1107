"""Runs side by side: what the tables say, what the page holds, what is refused."""

from __future__ import annotations

import json

import pytest
import yaml

from mxnetseg.cli.compare import main
from mxnetseg.cli.train import parser as train_parser
from mxnetseg.recipe import load_recipe
from mxnetseg.report.compare import as_text, differences, read_runs, tables
from tests.report.test_page import Checker, make_run


@pytest.fixture
def pair(tmp_path):
    """Two runs of other recipes: the first reaches 75 % in three validations, the second 50 % in two."""
    folders = []
    for name, validations, lr in (("long", 3, 0.01), ("short", 2, 0.02)):
        folder = make_run(tmp_path / name, validations=validations)
        (folder / "recipe.yaml").write_text(
            f"model: {{name: sfnet, backbone: resnet18}}\ndata: {{name: camvid, root: /{name}}}\n"
            f"schedule: {{epochs: {validations}}}\noptimizer: {{lr: {lr}}}\noutput_dir: {name}\n"
            f"checkpoint: {{keep: {validations}}}\n"
        )
        folders.append(folder)
    return folders


def rows(found):
    return {name: (cells, best) for table in found for name, cells, best in table.rows}


def test_scores_are_those_of_the_best_validation_and_the_best_run_is_marked(pair):
    found = rows(tables(read_runs(pair)))
    assert found["mIoU, %"] == (["75.00", "50.00"], 0)
    assert found["road"] == (["75.00", "50.00"], 0)
    assert found["sky"] == (["absent", "absent"], None)
    assert found["pixel accuracy, %"] == (["90.00", "90.00"], None)  # equal: neither is the best
    assert found["at epoch"][0] == ["2", "1"]


def test_recipes_differ_in_what_was_trained_not_in_where_it_lies(pair):
    assert [(name, cells) for name, cells, _ in differences(read_runs(pair))] == [
        ("optimizer.lr", ["0.01", "0.02"]),
        ("schedule.epochs", ["3", "2"]),
    ]


def test_the_terminal_shows_the_tables_with_the_best_starred_and_nothing_wider_than_its_column(pair, capsys):
    main([str(folder) for folder in pair])
    printed = capsys.readouterr().out
    line = next(line for line in printed.splitlines() if line.startswith("mIoU"))
    assert line.split() == ["mIoU,", "%", "75.00*", "50.00"]
    assert "optimizer.lr" in printed and "note:" not in printed


def test_the_page_holds_both_curves_and_every_row_and_needs_nothing_else(pair, tmp_path, capsys):
    page = tmp_path / "comparison.html"
    main([*map(str, pair), "--html", str(page)])
    text = page.read_text(encoding="utf-8")
    Checker().feed(text)
    assert text.count("data-chart=") == 2 and "http" not in text.replace("http://www.w3.org", "")
    assert "<td class=best>75.00</td><td>50.00</td>" in text and "schedule.epochs" in text
    assert str(page) in capsys.readouterr().out


def test_a_long_path_shows_its_end_and_the_page_has_all_of_it(pair, tmp_path, capsys):
    start = "weights/runs/a_folder_of_a_long_name/best.params"
    with open(pair[1] / "recipe.yaml", "a") as recipe:
        recipe.write(f"init_from: {start}\n")
    page = tmp_path / "comparison.html"
    main([*map(str, pair), "--html", str(page)])
    assert f"…{start[-29:]}" in capsys.readouterr().out
    assert f'<td title="{start}">…{start[-29:]}</td>' in page.read_text(encoding="utf-8")


def test_runs_in_folders_of_one_name_are_told_apart_by_what_is_above_them(tmp_path):
    folders = [make_run(tmp_path / name / "run") for name in "ab"]
    for folder in folders:
        (folder / "recipe.yaml").unlink()
    assert [run.name for run in read_runs(folders)] == ["a/run", "b/run"]


def test_scores_of_other_protocols_come_with_a_warning(pair):
    path = pair[1] / "metrics.jsonl"
    path.write_text(path.read_text().replace("whole images", "windows of 512"))
    assert as_text(read_runs(pair))[-1] == (
        "note: scores are of different protocols and cannot be ranked: whole images; windows of 512"
    )


def test_an_evaluation_stands_beside_a_run(pair, tmp_path):
    folder = tmp_path / "scored"
    folder.mkdir()
    scores = {"miou": 0.8, "classes": ["road", "sky"], "class_iou": [0.8, None], "protocol": "whole images"}
    (folder / "scores.json").write_text(json.dumps(scores))
    found = rows(tables(read_runs([pair[0], folder])))
    assert found["mIoU, %"] == (["75.00", "80.00"], 1)
    assert found["training, images/s"] == (["3.00", "–"], None)


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["{0}"], "1 given: between 2 and 8 runs can be compared"),
        (["{0}", "{0}/"], "{0}: is given twice"),
        (["{0}", "nowhere"], "nowhere: no such folder; give the folder of a run or of an evaluation"),
        (["{0}", "{1}/.."], "neither metrics.jsonl nor scores.json is in this folder"),
        (["{0}", "{1}", "--html", "nowhere/page.html"], "nowhere/page.html: cannot be written"),
    ],
)
def test_what_cannot_be_compared_is_one_line(arguments, expected, pair, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        main([a.format(*pair) for a in arguments])
    error = capsys.readouterr().err
    assert end.value.code == 2 and error.count("\n") == 1 and expected.format(*pair) in error


def test_the_sweep_file_gives_arguments_that_training_takes(repository):
    """As wandb's agent expands the command: ${args_no_hyphens} becomes key=value for each parameter."""
    sweep = yaml.safe_load((repository / "configs" / "sweep.yaml").read_text())
    values = [p["values"][0] if "values" in p else p["min"] for p in sweep["parameters"].values()]
    chosen = [f"{key}={value}" for key, value in zip(sweep["parameters"], values)]
    command = sweep["command"]
    assert command[:3] == ["${env}", "${interpreter}", "${program}"] and command[-1] == "${args_no_hyphens}"
    options = train_parser().parse_args([*command[3:-1], *chosen])
    assert options.settings == chosen
    settings = dict(zip(sweep["parameters"], values))
    recipe = load_recipe(repository / "configs" / options.model / f"{options.data}.yaml", settings)
    assert recipe.optimizer.lr == values[0] and recipe.loss.ohem_threshold == values[-1]

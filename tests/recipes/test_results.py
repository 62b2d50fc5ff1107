"""RESULTS.md claims what the tables and the runs' own files say, and no more."""

from __future__ import annotations

import json

import pytest
import yaml

from mxnetseg.errors import CheckpointError
from mxnetseg.places import CHECKOUT
from mxnetseg.recipes import ledger, results
from mxnetseg.recipes.rows import SOURCES, all_rows, find_row, table


def test_the_page_is_up_to_date():
    assert (CHECKOUT / "RESULTS.md").read_text() == results.text(), "run `python -m mxnetseg.recipes results`"


def test_every_row_stands_on_the_page_once_and_only_recorded_runs_are_claimed():
    lines = [line for line in results.text().splitlines() if line.startswith("| `")]
    ran = {entry.recipe for entry in ledger.entries()}
    for row in all_rows():
        (line,) = [line for line in lines if line.startswith(f"| `{row.name}` | {row.data}")]
        assert line.endswith("| no |") == (row.name not in ran)
    for source in SOURCES:
        for name in table(source).absent:
            assert sum(line.startswith(f"| `{name}` |") for line in lines) == 1


def test_a_recorded_run_names_a_row_or_a_recipe_that_there_is():
    for entry in ledger.entries():
        assert find_row(entry.recipe) or (CHECKOUT / entry.recipe).is_file()
        assert 0 < entry.miou < 100 and entry.machine and entry.length


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A finished run as training leaves it."""
    recipe = {"model": {"name": "fcn", "backbone": "resnet18"}, "data": {"name": "camvid"}}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump({**recipe, "schedule": {"epochs": 1}}))
    records = [
        {"kind": "train", "iteration": 10, "time": 1000.0, "loss": 1.0},
        {"kind": "val", "iteration": 20, "time": 1300.0, "miou": 0.5123, "protocol": "whole images"},
        {"kind": "val", "iteration": 40, "time": 1600.0, "miou": 0.4, "protocol": "whole images"},
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(one) + "\n" for one in records))
    monkeypatch.setattr(ledger, "read_meta", lambda folder: {"finished": True})
    return tmp_path


def test_an_entry_takes_its_numbers_from_what_training_wrote(run):
    entry = ledger.entry_of(run, "configs/fcn/camvid.yaml", "a machine")
    assert (entry.miou, entry.length) == (51.23, "40 iterations in 10 minutes")
    assert (entry.what, entry.protocol, entry.date) == (
        "fcn resnet18 on camvid",
        "whole images",
        "1970-01-01",
    )


def test_a_run_that_did_not_finish_or_was_never_scored_is_not_entered(run, monkeypatch):
    (run / "metrics.jsonl").write_text(json.dumps({"kind": "train", "iteration": 1, "time": 1.0}) + "\n")
    with pytest.raises(CheckpointError, match="was never validated"):
        ledger.entry_of(run, "x", "a machine")
    monkeypatch.setattr(ledger, "read_meta", lambda folder: {"finished": False})
    with pytest.raises(CheckpointError, match="no finished run is in this folder"):
        ledger.entry_of(run, "x", "a machine")


def test_a_recorded_entry_is_read_back(run, tmp_path, monkeypatch):
    file = tmp_path / "runs.yaml"
    file.write_text("# runs\n")
    monkeypatch.setattr(ledger, "FILE", file)
    ledger.entries.cache_clear()
    entry = ledger.entry_of(run, "bdd_sfnet_res18", "two GPUs: H200", "with a colon: here")
    ledger.record(entry)
    assert ledger.entries() == [entry] == ledger.ran("bdd_sfnet_res18")
    assert "51.23, two GPUs: H200, 40 iterations in 10 minutes" in results.text()
    ledger.entries.cache_clear()

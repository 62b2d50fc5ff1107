"""The tables of published rows: whole, and in agreement with the rows' own names and the goldens."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from mxnetseg.data import DATASETS, list_datasets
from mxnetseg.errors import ConfigError
from mxnetseg.facts import default_backbone, form_options, list_models
from mxnetseg.recipes.costs import costs, network_of
from mxnetseg.recipes.rows import SOURCES, all_rows, find_row, table
from mxnetseg.recipes.translate import published
from mxnetseg.weights import references
from mxnetseg.weights.index import read_index, urls_of
from mxnetseg.weights.published import published_evaluation
from mxnetseg.weights.rename import reference_info

ROWS = all_rows()
RETINAS = ("chase_db1", "drive", "hrf", "stare")


def test_every_row_has_a_name_of_its_own():
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)
    assert find_row(names[0]) is ROWS[0] and find_row("no such row") is None


def test_every_row_is_of_an_architecture_a_form_and_a_data_set_that_there_are():
    for row in ROWS:
        assert row.model["name"] in list_models() and row.data in list_datasets()
        form_options(row.model["name"], row.model["form"])
        assert row.reference in references()


def test_scores_are_percent_and_no_row_that_is_built_is_called_absent():
    for source in SOURCES:
        absent = table(source).absent
        assert not absent.keys() & {row.name for row in table(source).rows}
        assert all(facts["why"] for facts in absent.values())
    for row in ROWS:
        for score in (row.miou, row.miou_ms):
            assert score is None or 10 < score < 90
        assert row.parameters > row.idle >= 0


def test_the_tables_have_the_rows_that_their_publishers_list():
    counts = {source: len(table(source).rows) for source in SOURCES}
    assert counts["mmsfnet"] == 4
    # 36 training scripts whose networks there are, and three rows of the README that have none.
    assert counts["sfsegnets"] == 36 + 3
    assert counts["mxnetseg"] == 10 + 1 + 5 + 3
    assert counts["ace"] == 7 + 6
    # All that its metafiles list, with what no recipe can build.
    assert counts["mmseg"] + len(table("mmseg").absent) == 626


def _computing(model, keywords):
    """What of a network's keywords changes what it computes from the same tensors."""
    own = form_options(model, keywords.get("form", "paper"))
    inner = {**own.get("backbone_options", {}), **keywords.get("backbone_options", {})}
    # The grid of position embeddings is read from the file, stochastic depth is of training alone.
    inner = {key: value for key, value in inner.items() if key not in ("grid", "skip", "frozen_patches")}
    backbone = keywords.get("backbone") or default_backbone(model, keywords.get("form", "paper"))
    every = {**own, **keywords}
    shown = {key: every.get(key) for key in ("output_stride", "align_corners", "dilation")}
    return {"model": model, "backbone": backbone, **shown, **inner}


def test_weights_of_a_row_are_read_into_the_network_that_the_row_scores():
    checked = 0
    for name, entry in read_index().items():
        row = find_row(name)
        if row is None:
            continue
        read = reference_info(entry["reference"])
        there = _computing(read.model, {**read.keywords, **entry.get("options", {})})
        group = {**row.model, **row.model.get("options", {})}
        here = _computing(group.pop("name"), group)
        # A row leaves to its reference what every network of that publisher's is.
        assert {key: there.get(key) for key in here} == here, name
        assert (entry.get("miou"), entry.get("miou_ms")) == (row.miou, row.miou_ms), name
        scored = published_evaluation(entry["reference"], entry["data"], urls_of(entry)[0].split("/")[-1])
        stated = published(row)[0]["evaluation"]
        if row.data in RETINAS:  # fitted into their own size
            del stated["resize"]
        assert scored == stated, name
        checked += 1
    assert checked > 500


def test_a_publisher_that_there_is_not_is_named_with_the_nearest():
    with pytest.raises(ConfigError, match="no published table is named 'mmsegg'; there are mmseg"):
        table("mmsegg")


@pytest.mark.parametrize("row", table("mmseg").rows, ids=lambda row: row.name)
def test_a_row_of_mmsegmentation_says_what_its_name_says(row):
    # Written into the names by their authors, so it checks the table and the translation at once.
    values, departures = published(row)
    gpus, images, thousands = re.search(r"(\d+)xb(\d+)-(?:[\w.-]+-)?(\d+)k", row.name).groups()
    longer = row.note and "iterations, its configuration" in row.note
    assert values["schedule"]["iterations"] == 1000 * int(thousands) or longer
    stated = row.note and "GPU by its configuration" in row.note
    assert values["data"]["batch_size"] == int(gpus) * int(images) or stated
    height, width = map(int, re.findall(r"(\d{2,4})x(\d{2,4})", row.name)[-1])
    crop = values["augment"]["crop"]
    renamed = row.note and "name says crops" in row.note
    assert ([crop, crop] if isinstance(crop, int) else crop) == [height, width] or renamed
    name = {
        "voc12aug": "voc_aug",
        "pascal-context-59": "pascal_context",
        "pascal-context": "pascal_context60",
        "coco-stuff164k": "cocostuff",
        "coco-stuff10k": "cocostuff10k",
        "chase-db1": "chase_db1",
        "mapillay_v1_65": "mapillary",
    }
    plain = ("ade20k", "cityscapes", "drive", "hrf", "isaid", "loveda", "potsdam", "stare", "vaihingen")
    found = re.search("|".join((*name, *plain)), row.name)[0]
    assert row.data == name.get(found, found)
    if row.group != "poolformer" and "whatever its name says" not in (row.note or ""):
        assert ("half precision" in "".join(departures)) == ("-amp-" in row.name)
    depth = re.search(r"_r(\d+)b?-d", row.name)
    assert not depth or row.model["backbone"].startswith(f"resnet{depth[1]}")
    # 769 and 768 are the crops of aligned corners there.
    options = row.model.get("options", {})
    aligned = options.get("align_corners", options.get("corners", False))
    assert aligned == (height == 769) or row.group in ("icnet", "mmseg_setr")


def _published_count(golden, nclass):
    """Trainable parameters of a golden network with another number of classes."""
    count, classes = golden["trainable_params"], golden["nclass"]
    aliases = golden.get("aliases") or {}
    tensors = golden["tensors"].items() if isinstance(golden["tensors"], dict) else golden["tensors"]
    for name, shape in tensors:
        if re.search("running_|num_batches", name) or name in aliases:
            continue
        if shape and shape[0] == classes and name.endswith(("weight", "bias")):
            count += (nclass - classes) * int(np.prod(shape)) // classes
    return count


@pytest.mark.parametrize("source", ["mmsfnet", "sfsegnets", "ace"])
def test_parameters_are_those_of_the_published_networks_tensors(source, golden_dir):
    checked = 0
    for row in table(source).rows:
        file = golden_dir / f"{row.reference}.json"
        golden = json.loads(file.read_text()) if file.is_file() else {}
        depth = re.search(r"(resnet\d+|stdc\d|dfnetv\d)", row.model.get("backbone", ""))
        of_this = depth is None or depth[1] in row.reference
        if golden and of_this:
            assert row.parameters == _published_count(golden, network_of(row)["nclass"]), row.name
            checked += 1
    assert checked >= 4


def test_every_row_has_its_cost_counted_at_its_crop():
    counted = costs()
    assert set(counted) == {row.name for row in ROWS}
    for row in ROWS:
        crop = published(row)[0]["augment"]["crop"]
        height, width = (crop, crop) if isinstance(crop, int) else crop
        assert (counted[row.name].height, counted[row.name].width) == (height, width)
        assert counted[row.name].multiply_adds > 0


def test_a_row_has_as_many_classes_as_its_data_set():
    for row in ROWS:
        if row.data != "concat":
            assert network_of(row)["nclass"] == len(DATASETS.get(row.data).classes)

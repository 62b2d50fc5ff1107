"""What differs from a published run is named, whoever wrote the recipe."""

from __future__ import annotations

from pathlib import Path

import pytest

from mxnetseg.errors import ConfigError
from mxnetseg.recipe import load_recipe
from mxnetseg.recipes.differences import differences, row_of
from mxnetseg.recipes.files import find_recipe_file
from mxnetseg.recipes.rows import find_row

NAME = "pspnet_r50-d8_4xb2-40k_cityscapes-512x1024"


def recipe(*overrides, name=NAME):
    return load_recipe(find_recipe_file(find_row(name)), overrides)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("optimizer.momentum=0.8", "optimizer.momentum: 0.8 here, 0.9 published"),
        ("augment.crop=512", "augment.crop: 512 here, [512, 1024] published"),
        (
            "model.options={align_corners: true}",
            "model.options.align_corners: True here, not stated published",
        ),
        ("schedule.iterations=10", "schedule.iterations: 10 here, 40000 published"),
        ("loss.class_weights=auto", "loss.class_weights: auto here, not stated published"),
        ("evaluation.flip=true", "evaluation.flip: True here, False published"),
        ("data.name=bdd100k", "data.name: bdd100k here, cityscapes published"),
    ],
)
def test_a_changed_field_is_named_with_both_values(change, expected):
    assert differences(recipe(change), find_row(NAME)) == [expected]


def test_a_batch_size_differs_with_the_rate_that_follows_it():
    found = differences(recipe("data.batch_size=4"), find_row(NAME))
    assert found == ["data.batch_size: 4 here, 8 published", "optimizer.lr: 0.005 here, 0.01 published"]


def test_what_changes_no_result_is_no_difference():
    quiet = ["data.workers=1", "data.root=x", "evaluation.every=1", "seed=3", "optimizer.accumulate=2"]
    assert differences(recipe(*quiet), find_row(NAME)) == []


def test_a_run_is_compared_with_the_row_that_it_is_nearest_to():
    mine = recipe("optimizer.momentum=0.8")
    assert row_of(mine, Path("weights/runs/x/recipe.yaml")).name == NAME
    longer = recipe("schedule.iterations=80000")
    assert row_of(longer, Path("recipe.yaml")).name == NAME.replace("40k", "80k")


def test_a_row_can_be_named_and_a_wrong_name_offers_the_nearest():
    assert row_of(recipe(), Path("x.yaml"), "bdd_sfnet_res18").name == "bdd_sfnet_res18"
    with pytest.raises(ConfigError, match="no published row is named 'bdd_sfnet_res19'; nearest: bdd_sfnet"):
        row_of(recipe(), Path("x.yaml"), "bdd_sfnet_res19")


def test_a_recipe_of_no_row_says_which_rows_its_architecture_has():
    mine = recipe("data.name=camvid", "model.form=paper")
    with pytest.raises(
        ConfigError, match=r"no published row has pspnet in form 'paper'.* name a row, such as \S*psp"
    ):
        row_of(mine, Path("mine.yaml"))

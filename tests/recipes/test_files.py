"""The recipe files of published rows are what the tables stand for, and say the published run."""

from __future__ import annotations

import functools

import pytest

from mxnetseg.errors import ConfigError
from mxnetseg.facts import default_backbone
from mxnetseg.places import CHECKOUT
from mxnetseg.recipe import load, load_recipe
from mxnetseg.recipe.fields import ModelGroup
from mxnetseg.recipe.find import check_classes, recipe_file
from mxnetseg.recipes import files
from mxnetseg.recipes.differences import differences
from mxnetseg.recipes.rows import all_rows, find_row
from mxnetseg.recipes.translate import published
from mxnetseg.weights.index import read_index

CONFIGS = CHECKOUT / "configs"


@pytest.fixture(scope="module")
def expected():
    return files.expected_files()


@pytest.fixture
def files_read_once(monkeypatch):
    """500 recipes of a few dozen bases."""
    monkeypatch.setattr(load, "_yaml_of", functools.lru_cache(maxsize=None)(load._yaml_of))


def test_the_files_of_the_repository_are_what_the_tables_give(expected):
    wrong = [path for path, text in expected.items() if (CONFIGS / path).read_text() != text]
    assert not wrong, f"run `{files.WRITER}`"
    assert not files.stale(CONFIGS, expected)


def test_every_row_has_a_recipe_in_which_nothing_differs_from_the_published_run(files_read_once):
    for row in all_rows():
        recipe = load_recipe(CONFIGS / files.recipe_path(row))
        assert not differences(recipe, row), row.name


def test_a_recipe_is_short_and_says_score_cost_and_command(expected):
    for row in all_rows():
        lines = expected[files.recipe_path(row)].splitlines()
        assert len(lines) <= 30 and max(map(len, lines)) <= 130
        head = [line for line in lines if line.startswith("#")]
        assert any(line.startswith("#   score") for line in head)
        assert any(line.startswith("#   cost") for line in head)
        assert f"#   command   python train.py --recipe {row.name} --ctx 0 1 2 3" in head
        words = " ".join(line.lstrip("# ") for line in head)
        assert "; not run here" in words or "; run here: " in words


def test_writing_again_changes_nothing_and_removes_what_no_row_stands_for(tmp_path):
    assert files.write(tmp_path)
    left = tmp_path / "sfnet" / "sfsegnets" / "of_no_row.yaml"
    left.write_text("# left over\n")
    assert files.write(tmp_path) == ["sfnet/sfsegnets/of_no_row.yaml"] and not left.exists()
    assert files.write(tmp_path) == []


def test_a_row_is_found_by_its_name_and_a_path_stays_a_path():
    row = find_row("cityscapes_sfnet_res18")
    assert recipe_file(row.name) == CONFIGS / files.recipe_path(row) == files.find_recipe_file(row)
    assert str(recipe_file("my/own.yaml")) == "my/own.yaml"
    dotted = "unet-s5-d16_fcn_4xb4-ce-1.0-dice-3.0-40k_drive-64x64"
    assert recipe_file(dotted).name == f"{dotted}.yaml" and str(recipe_file("my.json")) == "my.json"


def test_a_name_that_no_row_has_offers_the_nearest():
    with pytest.raises(ConfigError, match="no published row; nearest: cityscapes_sfnet_res18"):
        recipe_file("cityscapes_sfnet_res19")


def test_class_weights_for_other_classes_are_refused_with_what_trains_on_these():
    file = recipe_file("ddrnet_23_in1k-pre_2xb6-120k_cityscapes-1024x1024")
    check_classes(load_recipe(file), file)
    check_classes(load_recipe(file, ["data.name=bdd100k"]), file)
    with pytest.raises(
        ConfigError,
        match="are of 19 classes, data set 'camvid' has 11: take the recipe that ddrnet has for camvid",
    ):
        check_classes(load_recipe(file, ["data.name=camvid"]), file)


def test_every_recipe_that_starts_from_imagenet_has_a_known_source_of_such_weights(files_read_once):
    known = {entry.get("backbone") for entry in read_index().values()}
    recipes = [load_recipe(path) for path in sorted(CONFIGS.glob("[!_]*/*.yaml"))]
    groups = [recipe.model for recipe in recipes] + [
        ModelGroup(**published(row)[0]["model"]) for row in all_rows()
    ]
    lacking = set()
    for model in (group for group in groups if group.pretrained):
        name = model.backbone or default_backbone(model.name, model.form)
        window = model.backbone_options.get("window", 7) if name.startswith("swin_") else 7
        name = name if window == 7 else f"{name}_window{window}"
        lacking |= {name} - known
    # Its authors' are of TensorFlow.
    assert lacking == {"xception65"}


@pytest.mark.parametrize(
    ("values", "base", "expected"),
    [
        ({"a": {"x": 1, "y": 2}}, {"a": {"x": 1}}, {"a": {"y": 2}}),
        ({"a": {"x": 1}}, {"a": {"x": 1, "z": 3}}, {}),
        ({"a": [1]}, {"a": [2]}, {"a": [1]}),
    ],
)
def test_a_file_states_only_what_its_base_does_not(values, base, expected):
    assert files.difference(values, base) == expected


def test_what_all_rows_share_is_stated_once():
    one, other = {"a": {"x": 1, "y": 2}, "b": 1}, {"a": {"x": 1, "y": 3}}
    assert files.common([one, other]) == {"a": {"x": 1}}

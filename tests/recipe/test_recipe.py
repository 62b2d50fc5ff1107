"""Recipes: merging, errors that name file and key, look-up, and every recipe of the repository."""

from __future__ import annotations

import re

import pytest

from mxnetseg.errors import ConfigError, MxnetsegError
from mxnetseg.recipe import Recipe, find_recipe, load_recipe, make_recipe

MINIMAL = {"model": {"name": "fcn"}, "data": {"name": "camvid"}, "schedule": {"epochs": 2}}


def write(folder, name, text):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_base_file_is_taken_over_and_the_later_value_wins(tmp_path):
    write(tmp_path, "_base_/a.yaml", "optimizer: {lr: 0.5, momentum: 0.8}\nschedule: {epochs: 3}\n")
    write(tmp_path, "_base_/b.yaml", "_base_: a.yaml\noptimizer: {lr: 0.25}\n")
    path = write(
        tmp_path,
        "m/x.yaml",
        "_base_: ../_base_/b.yaml\nmodel: {name: fcn}\ndata: {name: camvid}\nseed: 3\n",
    )
    recipe = load_recipe(path, ["optimizer.weight_decay=1e-3", "seed=4"])
    assert (recipe.optimizer.lr, recipe.optimizer.momentum) == (0.25, 0.8)
    assert recipe.optimizer.weight_decay == 1e-3
    assert recipe.seed == 4


def test_a_base_that_leads_back_to_itself_is_told(tmp_path):
    write(tmp_path, "a.yaml", "_base_: b.yaml\n")
    path = write(tmp_path, "b.yaml", "_base_: a.yaml\n")
    with pytest.raises(ConfigError, match="leads back to itself"):
        load_recipe(path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("optimizer: {lr_mult: 2}", r"unknown key 'optimizer.lr_mult'; nearest: .*head_lr_mult"),
        ("optimiser: {lr: 2}", r"unknown key 'optimiser'; nearest: optimizer"),
        ("model: {name: fcn, batch_size: 2}", r"'model.batch_size'; nearest: .*data.batch_size"),
        ("optimizer: {lr: fast}", r"optimizer.lr 'fast': input should be a valid number"),
        ("optimizer: {lr: -1}", r"optimizer.lr -1: input should be greater than 0"),
        ("augment: {crop: [1, 2, 3]}", r"augment.crop"),
        ("augment: {scale_min: 3}", r"scale_min 3.0 is above scale_max 2.0"),
        ("data: {name: camvid, workers: many}", r"data.workers 'many': input should be a valid integer"),
        ("schedule: {epochs: 2, iterations: 4}", r"schedule.* epochs or iterations"),
        ("optimizer: {name: sgdd}", r"optimizer.name 'sgdd': input should be 'sgd', 'nag'"),
        ("loss: {aux_weights: [0.4, -1]}", r"weights must not be negative"),
        ("model: {backbone: resnet18}", r"key 'model.name' is missing"),
        ("- 1\n- 2", r"a recipe is a mapping of groups, found list"),
        ("model: {name: fcn", r"line \d+: not valid YAML"),
        ("seed: 1\nseed: 2", r"key 'seed' is given twice"),
    ],
)
def test_a_bad_recipe_is_one_line_that_names_file_and_key(tmp_path, text, expected):
    groups = "model: {name: fcn}\ndata: {name: camvid}\nschedule: {epochs: 2}\n"
    for group in ("model", "data", "schedule"):
        if text.startswith(group + ":"):
            groups = re.sub(rf"^{group}:.*\n", "", groups, flags=re.M)
    path = write(tmp_path, "x.yaml", text if text.startswith("-") else groups + text + "\n")
    with pytest.raises(ConfigError) as caught:
        load_recipe(path)
    message = str(caught.value)
    assert re.search(expected, message), message
    assert "x.yaml" in message
    assert "\n" not in message


def test_a_bad_setting_is_blamed_on_the_command_line():
    with pytest.raises(ConfigError, match=r"^--set unknown key 'optimizer.lrr'; nearest: lr"):
        make_recipe(MINIMAL, ["optimizer.lrr=1"])
    with pytest.raises(ConfigError, match="expected key=value"):
        make_recipe(MINIMAL, ["optimizer.lr"])
    with pytest.raises(ConfigError, match="seed is a single value"):
        make_recipe({**MINIMAL, "seed": 1}, ["seed.x=1"])


def every_field():
    found = []

    def walk(kind, prefix):
        for name, field in kind.model_fields.items():
            if hasattr(field.annotation, "model_fields"):
                walk(field.annotation, f"{prefix}{name}.")
            else:
                found.append(prefix + name)

    walk(Recipe, "")
    return found


@pytest.mark.parametrize("key", every_field())
def test_every_field_can_be_set_from_the_command_line(key):
    recipe = make_recipe(MINIMAL)
    value = recipe
    for part in key.split("."):
        value = getattr(value, part)
    if key == "schedule.iterations":
        value = 7
    text = str(value).replace("None", "null").replace("(", "[").replace(")", "]")
    changed = make_recipe(MINIMAL, [f"{key}={text}"])
    for part in key.split("."):
        changed = getattr(changed, part)
    assert changed == value


def test_every_field_is_described():
    def walk(kind):
        for name, field in kind.model_fields.items():
            if hasattr(field.annotation, "model_fields"):
                walk(field.annotation)
            elif kind.__name__ != "JitterGroup":
                assert field.description, f"{kind.__name__}.{name}"

    walk(Recipe)


def test_another_batch_size_scales_the_learning_rate_and_says_so():
    values = {**MINIMAL, "optimizer": {"lr": 0.01}, "data": {"name": "camvid", "batch_size": 16}}
    recipe = make_recipe(values, {"data.batch_size": 4})
    assert recipe.optimizer.lr == pytest.approx(0.0025)
    assert "16 -> 4" in recipe.notes[0] and "0.0025" in recipe.notes[0]
    for untouched in (
        {"data.batch_size": 4, "optimizer.lr": 0.01},
        {"data.batch_size": 4, "optimizer.scale_lr_with_batch": False},
        {"data.batch_size": 16},
    ):
        recipe = make_recipe(values, untouched)
        assert recipe.optimizer.lr == 0.01 and not recipe.notes


def test_a_saved_recipe_reads_back_the_same_and_does_not_scale_again(tmp_path):
    values = {**MINIMAL, "data": {"name": "camvid", "batch_size": 16}}
    recipe = make_recipe(values, {"data.batch_size": 4, "augment.crop": [96, 128]})
    recipe.dump(tmp_path / "recipe.yaml")
    again = load_recipe(tmp_path / "recipe.yaml")
    assert again.model_dump() == recipe.model_dump()
    assert again.augment.crop == (96, 128)


def test_a_length_on_the_command_line_replaces_the_other_kind():
    recipe = make_recipe(MINIMAL, ["schedule.iterations=10"])
    assert (recipe.schedule.epochs, recipe.schedule.iterations) == (None, 10)


def test_numbers_without_a_dot_in_scientific_notation_are_numbers(tmp_path):
    path = write(
        tmp_path,
        "x.yaml",
        "model: {name: fcn}\ndata: {name: camvid}\nschedule: {epochs: 2}\noptimizer: {lr: 1e-3}\n",
    )
    assert load_recipe(path).optimizer.lr == 1e-3


def test_the_recipe_of_the_readme_command_is_found_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path, overrides, notes = find_recipe("sfnet", None, "cityscapes")
    assert path.parts[-3:] == ("configs", "sfnet", "resnet18_cityscapes.yaml")
    assert not overrides and not notes


def test_another_backbone_uses_the_models_recipe_and_says_so():
    _, overrides, notes = find_recipe("sfnet", "resnet101_x", "cityscapes")
    assert overrides == {"model.backbone": "resnet101_x"}
    assert "no recipe sfnet/resnet101_x_cityscapes.yaml" in notes[0]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("sfnett", None, "cityscapes"), "no model is named 'sfnett'; did you mean sfnet"),
        (("sfnet", None, "citiscapes"), "no data set is named 'citiscapes'; did you mean cityscapes"),
    ],
)
def test_a_name_that_nothing_has_offers_the_nearest(arguments, expected):
    with pytest.raises(MxnetsegError, match=expected):
        find_recipe(*arguments)


def all_recipes():
    from mxnetseg.recipe.find import PACKAGE

    return sorted((PACKAGE.parent / "configs").glob("*/*.yaml"))


@pytest.mark.parametrize("path", all_recipes(), ids=lambda p: "/".join(p.parts[-2:]))
def test_every_recipe_is_valid_and_opens_with_what_it_is(path):
    from mxnetseg.data import list_datasets
    from mxnetseg.losses.plan import plan, set_class_weights
    from mxnetseg.models import list_models

    comment = "".join(line for line in path.read_text().splitlines(True) if line.startswith("#"))
    if path.parent.name == "_base_":
        assert comment
        return
    recipe = load_recipe(path)
    assert recipe.model.name in list_models()
    assert recipe.data.name in list_datasets()
    assert path.parent.name == recipe.model.name
    # <backbone>_<data>, with the form of the network between them where there are several; an architecture
    # that is its own backbone gives its own name.
    backbone = recipe.model.backbone or recipe.model.name
    assert re.fullmatch(rf"{re.escape(backbone)}_(\w+_)?{re.escape(recipe.data.name)}", path.stem)
    # What the loss refuses (focal loss of hard pixels, say) would be told only when training starts.
    classes = len(recipe.loss.class_weights) if isinstance(recipe.loss.class_weights, list) else 19
    set_class_weights(recipe.loss, [1.0] * classes)
    aux = recipe.loss.aux_weights
    plan(recipe.loss, ["pixels"] * (1 + len(aux) if isinstance(aux, list) else 2), classes)
    for word in ("paper", "command", "score", "cost"):
        assert re.search(rf"^#\s+{word}\s+\S", comment, re.M), f"{path}: its comment has no {word}"

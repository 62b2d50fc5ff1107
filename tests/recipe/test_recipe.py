"""Recipes: merging, errors that name file and key, fields."""

from __future__ import annotations

import re

import pytest

from mxnetseg.errors import ConfigError
from mxnetseg.recipe import Recipe, load_recipe, make_recipe, parse_settings

MINIMAL = {"model": {"name": "fcn"}, "data": {"name": "camvid"}, "schedule": {"epochs": 2}}

# Seven levels of ten: ten million values, were they written out.
BOMB = "seed: &a0 [1]\n" + "\n".join(
    f"x{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 10) + "]" for n in range(1, 8)
)


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


def test_a_base_that_leads_back_to_itself_is_an_error(tmp_path):
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
        ("schedule: {epochs: 10000000}", r"schedule.epochs 10000000: input should be less than or equal to"),
        ("augment: {crop: [1, 2, 3]}", r"augment.crop"),
        ("augment: {blur_sigma: [0, 1e9]}", r"blur_sigma .* both from 0 to 100"),
        ("augment: {scale_min: 3}", r"scale_min 3.0 is above scale_max 2.0"),
        ("data: {name: camvid, workers: many}", r"data.workers 'many': input should be a valid integer"),
        ("schedule: {epochs: 2, iterations: 4}", r"schedule.* epochs or iterations"),
        ("schedule: {epochs: 9, name: step, step_epochs: [5, 3]}", r"step_epochs \[5, 3\]: .*ascending"),
        ("schedule: {iterations: 9, step_iterations: [0]}", r"step_iterations \[0\]: must be .* from 1"),
        ("schedule: {epochs: 9, name: step}", r"schedule name step needs step_epochs or"),
        ("optimizer: {name: sgdd}", r"optimizer.name 'sgdd': input should be 'sgd', 'nag'"),
        ("loss: {aux_weights: [0.4, -1]}", r"weights must not be negative"),
        ("model: {backbone: resnet18}", r"key 'model.name' is missing"),
        ("- 1\n- 2", r"a recipe is a mapping of groups, found list"),
        ("model: {name: fcn", r"line \d+: not valid YAML"),
        ("seed: 1\nseed: 2", r"key 'seed' is given twice"),
        ("_base_: true", r"_base_ is True; expected the name of a file"),
        ("_base_: 5", r"_base_ is 5; expected the name of a file"),
        ("_base_: [y.yaml]", r"_base_ y.yaml not found; in that folder: x.yaml"),
        ("_base_: .", r"_base_ . not found"),
        ('_base_: "\\0"', r"_base_ is '\\x00'; expected the name of a file"),
        ("? [a, b]\n: 1", r"line 4: not valid YAML: a key must be a word"),
        ("? {a: b}\n: 1", r"line 4: not valid YAML: a key must be a word"),
        ("~: 1", r"key None is no word"),
        ("optimizer: " + "{a: " * 3000 + "1" + "}" * 3000, r"nested too deeply"),
        ("augment: &a {crop: *a}", r"augment.crop.crop.crop is nested or repeated too deeply"),
        ("augment: &a [*a]", r"augment.0.0.0 is nested or repeated too deeply"),
        (BOMB, r"nested or repeated too deeply"),
        ("optimizer: {lr: .inf}", r"optimizer.lr is inf, not a finite number"),
        ("optimizer: {lr: 1e999}", r"optimizer.lr is inf, not a finite number"),
        ("optimizer: {lr: inf}", r"optimizer.lr 'inf': input should be a finite number"),
        ("model: {name: fcn, options: {width: .nan}}", r"model.options.width is nan, not a finite"),
        ("seed: \0", r"not valid YAML: unacceptable character #x0000"),
        ("init_from: 2020-99-99", r"not valid YAML: month must be in 1..12"),
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
    with pytest.raises(ConfigError, match=r"^command line: unknown key 'optimizer.lrr'; nearest: lr"):
        make_recipe(MINIMAL, ["optimizer.lrr=1"])
    with pytest.raises(ConfigError, match=r"^command line: loss.aux_weights \['a'\]: input should be"):
        make_recipe(MINIMAL, ["loss.aux_weights=[a]"])
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


def test_values_that_are_not_finite_are_refused_from_the_command_line_too():
    for overrides in (["optimizer.lr=.inf"], ["optimizer.lr=nan"], {"optimizer.lr": float("inf")}):
        with pytest.raises(ConfigError, match="finite"):
            make_recipe(MINIMAL, overrides)


def test_a_setting_that_is_no_value_is_one_line():
    for text, expected in (
        ("seed=[", "not valid YAML"),
        ("seed=*a", "not valid YAML"),
        ("seed=" + "[" * 3000, "not valid YAML"),
        ("seed=&a [*a]", "nested or repeated too deeply"),
        ("=3", "expected key=value"),
    ):
        with pytest.raises(ConfigError, match=expected):
            parse_settings([text], "--set")


def test_a_file_that_is_not_text_is_one_line(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_bytes(bytes(range(256)))
    with pytest.raises(ConfigError, match=r"x\.yaml: recipe is not in UTF-8 \(byte 128\)"):
        load_recipe(path)
    with pytest.raises(ConfigError, match="recipe cannot be read"):
        load_recipe(tmp_path)


@pytest.mark.parametrize(
    "text, words",
    [
        ("data.batch_size=yes", "data.batch_size True: expected a number"),
        ("augment.crop=[32, yes]", "augment.crop [32, True]: expected a number"),
        ("augment.crop=1000000000", "augment.crop 1000000000: sizes must be at most"),
    ],
)
def test_values_that_only_look_like_numbers_or_sizes_are_refused(text, words):
    with pytest.raises(ConfigError, match=re.escape(words)):
        make_recipe(MINIMAL, [text])

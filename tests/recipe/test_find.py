"""Looking recipes up, composing them, and every recipe of the repository."""

from __future__ import annotations

import functools
import re
import shlex

import pytest

from mxnetseg.cli import train
from mxnetseg.data import DATASETS, list_datasets
from mxnetseg.errors import MxnetsegError
from mxnetseg.facts import default_backbone, form_options, list_models, model_info
from mxnetseg.losses.plan import plan, set_class_weights
from mxnetseg.places import CHECKOUT
from mxnetseg.recipe import find_recipe, load, load_recipe

CONFIGS = CHECKOUT / "configs"


def recipe_files(folder="*"):
    return sorted(path for path in CONFIGS.glob(f"{folder}/*.yaml"))


def models_files():
    return [path for path in recipe_files() if path.parent.name != "_base_"]


def name_of(path):
    return "/".join(path.parts[-2:])


@pytest.fixture
def files_read_once(monkeypatch):
    """1600 recipes of 100 files."""
    monkeypatch.setattr(load, "_yaml_of", functools.lru_cache(maxsize=None)(load._yaml_of))


# ----- by name


def test_the_recipe_of_the_readme_command_is_found_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = find_recipe("sfnet")
    assert recipe.model_dump() == load_recipe(CONFIGS / "sfnet" / "cityscapes.yaml").model_dump()
    assert not recipe.notes


def test_a_backbone_with_a_recipe_of_its_own_has_that_one():
    recipe = find_recipe("sfnet", "dfnetv1")
    assert recipe.model_dump() == load_recipe(CONFIGS / "sfnet" / "dfnetv1_cityscapes.yaml").model_dump()
    assert not find_recipe("sfnet", "resnet18").notes


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


@pytest.mark.parametrize("backbone", ["ResNet50", "50", "../x"])
@pytest.mark.parametrize("dataset", ["camvid", "nyuv2"])
def test_a_backbone_that_looks_like_no_name_is_left_to_the_registry(backbone, dataset):
    assert find_recipe("fcn", backbone, dataset).model.backbone == backbone


# ----- composed


def test_another_backbone_takes_the_recipe_of_its_family_and_says_so():
    recipe = find_recipe("sfnet", "resnet50")
    assert (recipe.model.backbone, recipe.model.aux) == ("resnet50", None)
    assert "no recipe sfnet/resnet50_cityscapes.yaml: cityscapes.yaml" in recipe.notes[0]
    assert find_recipe("sfnet", "dfnetv3").model.aux is True
    assert find_recipe("sfnet", "stdc1").model.aux is None


def test_options_of_one_family_of_backbones_are_not_given_to_another():
    recipe = find_recipe("setr", "mit_b0")
    assert recipe.model.backbone_options == {}
    assert find_recipe("setr", "vit_tiny").model.backbone_options == {"grid": [48, 48]}
    recipe = find_recipe("fcn", "hrnet_w48")
    assert recipe.model.output_stride is None
    assert any("model.output_stride is of another backbone" in note for note in recipe.notes)


def test_a_model_keeps_its_training_on_data_that_it_has_no_recipe_for():
    recipe = find_recipe("segformer", None, "ade20k")
    usual, data = find_recipe("segformer"), load.read_values(CONFIGS / "_base_" / "ade20k.yaml")
    assert recipe.optimizer == usual.optimizer and recipe.optimizer.name == "adamw"
    assert recipe.model == usual.model and recipe.loss == usual.loss
    assert (recipe.schedule.power, recipe.schedule.warmup_iterations) == (1.0, 1500)
    assert recipe.schedule.iterations == data["schedule"]["iterations"]
    assert recipe.augment.crop == data["augment"]["crop"] == 512
    assert recipe.data.batch_size == data["data"]["batch_size"]
    assert "as in segformer/cityscapes.yaml, the rest as in _base_/ade20k.yaml" in recipe.notes[0]


def test_the_usual_training_is_never_a_short_run_from_scratch():
    assert find_recipe("fcn", None, "ade20k").optimizer == find_recipe("fcn").optimizer


def test_a_short_run_from_scratch_takes_the_data_sets_optimizer_and_schedule():
    recipe, data = find_recipe("segformer", None, "synthetic"), find_recipe("fcn", None, "synthetic")
    assert recipe.optimizer == data.optimizer and recipe.schedule == data.schedule
    assert recipe.model.pretrained is False and recipe.model.options == find_recipe("segformer").model.options


def test_rates_that_a_data_set_states_for_sgd_are_not_given_to_other_optimizers():
    assert find_recipe("pspnet", None, "pascal_context").optimizer.lr == 0.004
    assert find_recipe("segformer", None, "pascal_context").optimizer.lr == 6e-5


def test_class_weights_go_only_where_the_classes_are_the_same():
    weights = find_recipe("ddrnet").loss.class_weights
    assert len(weights) == 19
    assert find_recipe("ddrnet", None, "bdd100k").loss.class_weights == weights
    recipe = find_recipe("ddrnet", None, "voc2012")
    assert recipe.loss.class_weights is None
    assert any("class_weights are of other classes" in note for note in recipe.notes)


def test_hard_example_mining_keeps_no_greater_share_of_smaller_batches():
    usual = find_recipe("attanet")
    small = find_recipe("attanet", None, "camvid")
    share = usual.loss.ohem_min_kept / (usual.data.batch_size * 1024 * 1024)
    assert small.loss.ohem_min_kept == int(share * small.data.batch_size * 192 * 256)
    assert find_recipe("sfnet", None, "bdd100k").loss.ohem_min_kept == 80000


def test_hard_examples_of_so_many_images_are_scaled_by_the_crop_in_the_losses_of_single_outputs_too():
    of_six = find_recipe("pidnet", None, "synthetic").loss.outputs[0]
    assert [loss.ohem_min_kept for loss in of_six] == [131072 * 128 * 256 // 1024**2] * 2
    assert [loss.ohem_per for loss in of_six] == [6, 6]
    assert find_recipe("ddrnet", None, "synthetic").loss.ohem_min_kept == 131072 * 128 * 256 // 1024**2


def test_a_warm_up_takes_at_most_a_tenth_of_a_run():
    assert find_recipe("bisenet").schedule.warmup_iterations == 1000
    assert find_recipe("bisenet", None, "weizmann_horses").schedule.warmup_iterations == 200
    # 150 epochs of 180 images in batches of 16
    assert find_recipe("bisenet", None, "kitti").schedule.warmup_iterations == 168


def test_decay_by_steps_is_at_the_same_shares_of_another_run():
    usual, recipe = find_recipe("fapn"), find_recipe("fapn", None, "bdd100k")
    assert usual.schedule.name == recipe.schedule.name == "step"
    assert recipe.schedule.step_epochs == [round(n * 300 / 699) for n in usual.schedule.step_epochs]


def test_every_model_has_a_valid_recipe_on_every_data_set(files_read_once):
    for name in list_datasets():
        for model in list_models():
            recipe = find_recipe(model, None, name)
            assert (recipe.model.name, recipe.data.name) == (model, name)


def test_a_model_without_any_recipe_is_trained_as_most_are(monkeypatch):
    from mxnetseg.recipe import find

    monkeypatch.setattr(find, "_recipes_of", lambda model: [])
    recipe = find_recipe("sfnet", None, "ade20k")
    assert (recipe.model.name, recipe.optimizer.lr, recipe.augment.crop) == ("sfnet", 0.01, 512)


@pytest.mark.parametrize("name", list_datasets())
def test_every_data_set_validates_on_a_labelled_split_that_it_has(name):
    kind, recipe = DATASETS.get(name), find_recipe("fcn", None, name)
    only_scored = "train" in kind.unlabelled_splits
    for split in (recipe.data.val_split, *([] if only_scored else [recipe.data.train_split])):
        assert set(split.split("+")) <= set(kind.splits)
        assert not set(split.split("+")) & set(kind.unlabelled_splits)


# ----- the files


@pytest.mark.parametrize("path", recipe_files("_base_"), ids=name_of)
def test_every_base_says_what_it_is(path):
    assert path.read_text().startswith("# ")


@pytest.mark.parametrize("path", models_files(), ids=name_of)
def test_every_recipe_is_valid_and_opens_with_what_it_is(path):
    comment = "".join(line for line in path.read_text().splitlines(True) if line.startswith("#"))
    recipe = load_recipe(path)
    assert path.parent.name == recipe.model.name in list_models()
    assert recipe.data.name in list_datasets()
    # <data>, or <backbone>_<data> with the form of the network between them where there are several.
    backbone = recipe.model.backbone or model_info(recipe.model.name)["backbone"]
    assert re.fullmatch(rf"({re.escape(backbone)}_(\w+_)?)?{re.escape(recipe.data.name)}", path.stem)
    # What the loss refuses (such as focal loss of hard pixels) would be reported only when training starts.
    classes = len(recipe.loss.class_weights) if isinstance(recipe.loss.class_weights, list) else 19
    set_class_weights(recipe.loss, [1.0] * classes)
    plan(recipe.loss, *_outputs(recipe, classes))
    for word in ("paper", "command", "score", "cost"):
        assert re.search(rf"^#\s+{word}\s+\S", comment, re.M), f"its comment has no {word}"


def _outputs(recipe, classes):
    """Kinds of the outputs of a recipe's network, as far as its loss has to know, nclass, and channels."""
    aux = recipe.loss.aux_weights
    options = {**form_options(recipe.model.name, recipe.model.form), **recipe.model.options}
    count = len(aux) if isinstance(aux, list) else len(recipe.loss.outputs or [None] * 2) - 1
    kinds, channels = ["pixels"] * (1 + count), [classes] * (1 + count)
    for kind in ("boundary", "detail"):
        if kind in options:
            kinds[-1], channels[-1] = kind, options[kind]
    for k, losses in enumerate(recipe.loss.outputs or []):
        for one in losses or []:
            kinds[k] = {"mask_set": "masks", "point_cross_entropy": "points"}.get(one.name, kinds[k])
    return kinds, classes, channels


@pytest.mark.parametrize("path", models_files(), ids=name_of)
def test_the_network_of_a_recipe_takes_the_options_that_the_recipe_gives(path):
    from mxnetseg.backbones import BACKBONES
    from mxnetseg.models import MODELS

    group = load_recipe(path).model
    form = form_options(group.name, group.form)
    MODELS.check(group.name, group.options if group.aux is None else {**group.options, "aux": group.aux})
    backbone = group.backbone or default_backbone(group.name, group.form)
    BACKBONES.check(backbone, group.backbone_options)
    strides = BACKBONES.info(backbone).get("output_strides", (32,))
    assert group.output_stride in (None, *strides)
    # A stride in the file would replace the one that is part of the form.
    assert "output_stride" not in form or group.output_stride in (None, form["output_stride"])


@pytest.mark.parametrize("path", models_files(), ids=name_of)
def test_the_command_in_a_recipe_is_understood_and_finds_that_recipe(path):
    text = path.read_text().replace("\\\n#", " ")
    words = shlex.split(re.search(r"^#\s+command\s+(.*)$", text, re.M)[1])
    options = train.parser().parse_args(words[words.index("train.py") + 1 :])
    if options.recipe:
        assert CHECKOUT / options.recipe == path
    else:
        recipe = find_recipe(options.model, options.backbone, options.data or "cityscapes")
        assert recipe.model_dump() == load_recipe(path).model_dump() and not recipe.notes


@pytest.mark.parametrize("path", recipe_files(), ids=name_of)
def test_a_recipe_names_only_files_that_exist(path):
    for name in re.findall(r"[\w./-]+\.(?:yaml|md)\b", path.read_text()):
        places = (path.parent, CHECKOUT, CONFIGS / "_base_")
        assert any((place / name).is_file() for place in places), name

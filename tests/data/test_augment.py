"""The transform that a recipe's groups describe, and what is refused before training starts."""

from __future__ import annotations

import pytest

from mxnetseg.data.augment import make_transform
from mxnetseg.errors import ConfigError
from mxnetseg.recipe import make_recipe
from mxnetseg.recipe.fields import AugmentGroup, InputGroup
from tests.predict.stand_ins import Drawn


def recipe(overrides=None, **groups):
    values = {"model": {"name": "fcn"}, "data": {"name": "camvid"}, "schedule": {"epochs": 1}}
    return make_recipe({**values, **groups}, overrides)


def test_colour_class_size_and_statistics_reach_the_transform():
    group = AugmentGroup(crop=32, fill=0, label_fill=2, resize=(2048, 512))
    made = make_transform(group, Drawn(1), InputGroup(mean=[1, 2, 3], std=[4, 5, 6], range=255))
    assert (list(made.fill), made.label_fill, made.resize) == ([0, 0, 0], 2, (2048, 512))
    assert made.mean == [1 / 255, 2 / 255, 3 / 255]
    assert make_transform(AugmentGroup(crop=32), Drawn(1)).mean == Drawn.mean


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (dict(label_fill=9), r"augment\.label_fill 9 is no class of data set 'drawn': 0 to 4, or 255"),
        (dict(fill=[1, 2]), r"augment\.fill has 2 values for images of 3 channels"),
    ],
)
def test_what_the_data_set_does_not_have_is_one_line(fields, message):
    with pytest.raises(ConfigError, match=message):
        make_transform(AugmentGroup(crop=32, **fields), Drawn(1))


def test_impossible_values_are_refused_by_the_recipe():
    with pytest.raises(ConfigError, match=r"augment\.fill.*colours are 0 to 255"):
        recipe(augment={"fill": 256})
    with pytest.raises(ConfigError, match=r"input.*both mean and std"):
        recipe(input={"mean": [0.5, 0.5, 0.5]})


def test_a_box_on_top_of_a_long_side_replaces_it_and_the_other_way_round():
    both = dict(augment={"base": 520}, evaluation={"resize": [2048, 512]})
    changed = recipe({"augment.resize": [2048, 512], "evaluation.base": 640}, **both)
    assert (changed.augment.base, changed.augment.resize) == (None, (2048, 512))
    assert (changed.evaluation.base, changed.evaluation.resize) == (640, None)

"""A checkpoint of another network or another form is named for what it is."""

from __future__ import annotations

import numpy as np
import pytest

from mxnetseg.errors import CheckpointError
from mxnetseg.models import create_model
from mxnetseg.recipe import make_recipe
from mxnetseg.run_files import save_params
from mxnetseg.weights import layouts, load
from mxnetseg.weights.checkpoint import load_network, network_arrays


def test_the_reference_of_tensors_is_found_whatever_the_number_of_classes():
    shapes = dict(layouts.layout("mmseg_cgnet").shapes)
    assert layouts.nearest(shapes) == "mmseg_cgnet"
    other = {name: (7, *shape[1:]) if shape and shape[0] == 19 else shape for name, shape in shapes.items()}
    assert layouts.nearest(other) == "mmseg_cgnet"
    assert layouts.nearest({"weight": (3, 3)}) is None


def test_tensors_of_another_reference_are_refused_with_its_name():
    tensors = {
        name: np.zeros(shape, np.float32) for name, shape in layouts.layout("mmseg_cgnet").shapes.items()
    }
    with pytest.raises(
        CheckpointError, match=r"do not fit reference 'mmseg_erfnet'; they are .* 'mmseg_cgnet'; "
    ):
        load("mmseg_erfnet", tensors, 19)


def test_a_checkpoint_of_another_form_is_refused_with_the_form_that_it_is_of(tmp_path):
    backbone = "mobilenetv2_0.25"
    save_params(
        tmp_path / "best.params", network_arrays(create_model("fcn", 3, "mmseg", backbone, aux=False))
    )

    def recipe(form):
        model = {"name": "fcn", "form": form, "backbone": backbone, "nclass": 3}
        return make_recipe({"model": model, "data": {"name": "camvid"}, "schedule": {"epochs": 1}})

    with pytest.raises(
        CheckpointError, match=r"is of fcn in form 'mmseg', not 'paper': set model.form to that"
    ):
        load_network(tmp_path / "best.params", recipe("paper"))
    load_network(tmp_path / "best.params", recipe("mmseg"))

"""Published forms: named dictionaries of options beside each constructor."""

from __future__ import annotations

import inspect

import mxnet as mx
import pytest

from mxnetseg.backbones import create_backbone, list_backbones
from mxnetseg.backbones.base import nearest_stride
from mxnetseg.errors import RegistryError
from mxnetseg.models import (
    MODELS,
    create_model,
    default_backbone,
    form_options,
    list_models,
    model_info,
)

FORMS = [(name, form) for name in list_models() for form in model_info(name)["forms"]]
# What a form may say beside the options of its constructor.
COMMON = {"backbone", "output_stride", "aux", "backbone_options", "c0", "drawn"}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "form"), FORMS, ids=["-".join(pair) for pair in FORMS])
def test_every_form_builds(name, form):
    net = create_model(name, 3, form=form, init=False)
    assert net.backbone.registered_name == default_backbone(name, form)


@pytest.mark.parametrize(("name", "form"), FORMS, ids=["-".join(pair) for pair in FORMS])
def test_a_form_says_only_what_its_constructor_and_its_backbone_take(name, form):
    options = form_options(name, form)
    assert set(options) <= COMMON | set(inspect.signature(MODELS.get(name)).parameters)
    assert default_backbone(name, form) in list_backbones()
    # Options that the form's own backbone does not take would silently be left out.
    keywords = options.get("backbone_options", {})
    stride = options.get("output_stride")
    backbone = default_backbone(name, form)
    create_backbone(backbone, stride or nearest_stride(backbone, 32), **keywords)


def test_an_initializer_that_is_given_fills_the_weights_in_place_of_the_layers_own():
    net = create_model("sfnet", 3, backbone="stdc1", init=mx.init.Zero())
    weights = [p for p in net.collect_params().values() if len(p.shape) > 1]
    assert len(weights) > 40
    assert not any(p.data().asnumpy().any() for p in weights)
    drawn = create_model("sfnet", 3, backbone="stdc1")
    assert all(p.data().asnumpy().any() for p in drawn.collect_params().values() if len(p.shape) > 1)


def test_an_unknown_form_names_the_nearest():
    with pytest.raises(RegistryError, match="model 'segformer' has no form 'mmsg'; nearest: mmseg"):
        create_model("segformer", 3, form="mmsg")


def test_what_is_given_beats_the_form_and_the_form_beats_the_defaults(monkeypatch):
    forms = {"paper": {}, "wide": {"width": 32, "backbone": "resnet34", "aux": False, "output_stride": 16}}
    monkeypatch.setitem(MODELS._facts["sfnet"], "forms", forms)
    plain = create_model("sfnet", 3, init=False)
    wide = create_model("sfnet", 3, form="wide", init=False, output_stride=32)
    assert (plain.backbone.registered_name, wide.backbone.registered_name) == ("resnet18", "resnet34")
    given = create_model("sfnet", 3, form="wide", backbone="stdc1", width=16, aux=True, init=False)
    assert given.backbone.registered_name == "stdc1"
    assert len(given.predicts) > 1 and len(wide.predicts) == 1
    widths = [net.head.laterals[0].conv.weight.shape[0] for net in (wide, given)]
    assert widths == [32, 16]


@pytest.mark.parametrize("name", ["sfnet", "sfnetlite", "emanet", "ocrnet", "srnet"])
def test_the_name_of_a_backbone_beats_the_stem_that_an_architecture_prefers(name):
    def stem(backbone):
        convolution = create_model(name, 3, backbone=backbone, init=False).backbone.conv1
        return convolution[0].weight.shape[0] if len(convolution._children) else "7x7"

    assert stem("resnet18_v1c") == 32
    assert stem("resnet18_v1s") == 64
    assert stem("resnet18") == 64  # the architecture's own deep stem

"""A recipe fragment stands beside each reference, and its network can be trained by it."""

from __future__ import annotations

import json

import pytest

from mxnetseg.losses import plan
from mxnetseg.models import create_model
from mxnetseg.recipe.fields import (
    AugmentGroup,
    EvaluationGroup,
    InputGroup,
    ModelGroup,
    OptimizerGroup,
    ScheduleGroup,
)
from mxnetseg.recipe.loss import LossGroup
from mxnetseg.weights import recipe, references

GROUPS = dict(
    model=ModelGroup,
    loss=LossGroup,
    optimizer=OptimizerGroup,
    schedule=ScheduleGroup,
    augment=AugmentGroup,
    input=InputGroup,
    evaluation=EvaluationGroup,
)


@pytest.mark.parametrize("name", references())
def test_every_reference_has_a_valid_fragment(name):
    found = recipe(name)
    for group, kind in GROUPS.items():
        kind(**found[group])
    assert found["data"]["batch_size"] >= 1
    json.dumps(found)


@pytest.mark.golden
@pytest.mark.parametrize("name", references())
def test_the_loss_of_a_fragment_fits_the_outputs_of_its_network(name):
    found = recipe(name)
    group = found["model"]
    options = group.pop("options")
    net = create_model(group.pop("name"), 19, init=False, **group, **options)
    channels = [1 if kind == "boundary" else 2 if kind == "detail" else 19 for kind in net.predicts]
    terms = plan(LossGroup(**found["loss"]), net.predicts, 19, channels)
    # Classes of queries go with their masks; a map that is made of them or of points may have no loss.
    others = {k for k, kind in enumerate(net.predicts) if kind == "queries"}
    others |= {0} if {"masks", "points"} & set(net.predicts) else set()
    assert set(range(len(net.predicts))) - {term.output for term in terms} <= others


def test_a_fragment_is_a_copy():
    changed = recipe("mmseg_pidnet-s")
    changed["model"]["backbone_options"] = changed["loss"]["class_weights"][0] = None
    assert recipe("mmseg_pidnet-s")["loss"]["class_weights"][0] == 0.8373


def test_statistics_and_protocols_are_the_published_ones():
    assert recipe("mmseg_cgnet")["input"]["std"] == [1.0, 1.0, 1.0]
    assert recipe("mmseg_cgnet")["input"]["mean"] == pytest.approx([72.39, 82.91, 73.16], abs=0.01)
    assert recipe("mmseg_segmenter_vit-t_mask")["input"]["mean"] == [127.5] * 3
    assert recipe("sfnet_resnet18")["input"]["std"] == [0.229, 0.224, 0.225]
    assert recipe("mmseg_setr_vit-l_pup")["evaluation"]["stride"] == 512
    assert recipe("sfnet_resnet18")["evaluation"]["protocol"] == "sfsegnets"


def test_losses_are_called_as_in_the_references_logs():
    outputs = recipe("mmseg_danet_r50-d8")["loss"]["outputs"]
    names = ["decode.pam_cam.loss_ce", "decode.pam.loss_ce", "decode.cam.loss_ce", "aux.loss_ce"]
    assert [loss["label"] for (loss,) in outputs] == names


def test_fast_scnn_of_mmsegmentation_moves_its_statistics_by_a_hundredth_and_gluoncvs_by_a_tenth():
    assert recipe("mmseg_fast_scnn")["model"]["norm_momentum"] == 0.99
    assert "norm_momentum" not in recipe("gluoncv_fastscnn")["model"]

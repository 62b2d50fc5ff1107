"""What a recipe's loss group means, and that what cannot be is one line before training starts."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from mxnetseg.errors import ConfigError
from mxnetseg.losses import plan
from mxnetseg.losses.plan import Mining, set_class_weights, wants_class_weights
from mxnetseg.recipe.loss import LossGroup


def planned(predicts=("pixels",), nclass=4, channels=None, **settings):
    return plan(LossGroup(**settings), predicts, nclass, channels)


def test_one_line_is_the_loss_of_every_output_and_auxiliary_ones_have_their_weights():
    terms = planned(("pixels", "pixels", "pixels"), name="focal", aux_weights=[0.4, 0.1])
    assert [(t.label, t.output, t.weight) for t in terms] == [
        ("main", 0, 1.0),
        ("aux_1", 1, 0.4),
        ("aux_2", 2, 0.1),
    ]
    assert {type(t.loss).__name__ for t in terms} == {"Focal"}


def test_outputs_that_predict_no_classes_have_losses_of_their_own():
    kinds = ("pixels", "presence", "detail", "boundary")
    terms = planned(kinds, channels=[4, 4, 2, 1], ohem_threshold=0.7, aux_weights=[0.2, 1.0, 20.0])
    assert [(t.label, t.target[0], t.weight) for t in terms] == [
        ("main", "classes", 1.0),
        ("aux_1", "classes", 0.2),
        ("aux_2.sigmoid_cross_entropy", "detail", 1.0),
        ("aux_2.dice", "detail", 1.0),
        ("aux_3", "boundary", 20.0),
    ]
    assert [t.mining is not None for t in terms] == [True, False, False, False, False]


def test_each_output_can_have_a_list_and_null_stands_for_the_one_line():
    outputs = [[dict(ohem_threshold=0.9, label="hard"), dict(name="dice", weight=0.5)], None]
    terms = planned(("pixels", "pixels"), outputs=outputs, aux_weights=0.4, class_weights=[1, 2, 3, 4])
    assert [(t.label, t.weight, t.mining is not None) for t in terms] == [
        ("hard", 1.0, True),
        ("main.dice", 0.5, False),
        ("aux_1", 0.4, False),
    ]
    # Class weights of the group are those of every loss that goes by the classes of pixels.
    assert [None if t.class_weights is None else list(t.class_weights) for t in terms] == [
        [1, 2, 3, 4],
        None,
        [1, 2, 3, 4],
    ]


def test_cross_entropy_of_one_logit_is_binary():
    (term,) = planned(nclass=1, label_smoothing=0.1)
    (stated,) = planned(nclass=1, outputs=[[dict(ohem_min_kept=0.1)]])
    for one in (term, stated):
        assert type(one.loss).__name__ == "BinaryCrossEntropy"


ERRORS = [
    (dict(name="cross_entropie"), "did you mean"),
    (dict(name="focal", options=dict(gama=2)), "no option 'gama'"),
    (dict(name="focal", options=dict(gamma="two")), "expected a number"),
    (dict(name="focal", options=dict(gamma=-1.0)), "must not be negative"),
    (dict(name="dice", options=dict(smooth=-1.0)), "smooth must not be negative"),
    (dict(name="tversky", options=dict(alpha=-1.0)), "alpha must not be negative"),
    (dict(name="tversky", options=dict(alpha=0.0, beta=0.0)), "alpha or beta must be above 0"),
    (dict(name="presence", options=dict(alpha=0.5)), "has no option 'alpha'; it takes none"),
    (dict(name="mask_set", options=dict(none_weight=-1.0)), "none_weight must not be negative"),
    (dict(name="focal", label_smoothing=0.1), "no option 'label_smoothing'"),
    (dict(name="focal", ohem_threshold=0.7), "cannot choose hard examples"),
    (dict(label_smoothing=0.1, ohem_threshold=0.7), "cannot choose hard examples"),
    (dict(name="dice", ohem_min_kept=100), "cannot choose hard examples"),
    (dict(name="binary_cross_entropy"), "is for one logit; the main output has 4"),
    (dict(name="presence"), "predicts pixels"),
    (dict(name="dice", normalizer="all"), "takes no normalizer"),
    (dict(name="dice", class_weights=[1, 1, 1, 1]), "takes no class_weights"),
    (dict(class_weights=[1.0, 2.0]), "2 numbers but there are 4"),
    (dict(class_weights=[0, 0, 0, 0]), "one at least above 0"),
    (dict(class_weights="auto"), "takes a training split"),
    (dict(aux_weights=[0.4]), "1 numbers but the network has 0 auxiliary"),
    (dict(outputs=[[{}], [{}]]), "states 2 outputs but the network has 1"),
    (dict(outputs=[]), "states 0 outputs but the network has 1"),
    (dict(outputs=[[]]), "nothing would be trained"),
    (dict(outputs=[[dict(weight=0.0)]]), "nothing would be trained"),
    (dict(outputs=[[{}, {}]]), "a label of its own"),
    (dict(outputs=[[dict(target="edges")]]), "no target is named 'edges'"),
    (dict(outputs=[[dict(target="boundary", target_options=dict(breadth=2))]]), "no option 'breadth'"),
    (dict(outputs=[[dict(where=dict(output=1, above=0.5))]]), "where.output is 1; the network has 1 outputs"),
    (dict(outputs=[[dict(where=dict(output=0, above=0.5))]]), "has 4 logits; it takes one"),
]


@pytest.mark.parametrize(("settings", "message"), ERRORS, ids=[message for _, message in ERRORS])
def test_what_cannot_be_is_one_line(settings, message):
    with pytest.raises(ConfigError, match=message) as caught:
        planned(**settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("count", [0, -3, 1.5, 0.0, True, "many"])
def test_a_number_of_kept_pixels_is_whole_or_a_share(count):
    with pytest.raises(ValueError, match="whole number of pixels from 1, or a share"):
        LossGroup(ohem_min_kept=count)


def test_kept_pixels_are_counted_in_the_batch_in_each_image_or_as_a_share():
    assert Mining(0.7, 100, "batch", "at_most").kept(4, 1000) == 100
    assert Mining(0.7, 100, "image", "at_most").kept(4, 1000) == 400
    assert Mining(0.7, 100, 2, "at_most").kept(16, 1000) == 800
    assert Mining(0.7, 0.25, "batch", "at_most").kept(4, 1000) == 250
    assert Mining(0.7, None, "batch", "at_most").kept(4, 1000) == 0
    # However small the share, the hardest pixel stays.
    assert Mining(None, 1e-9, "batch", "at_most").kept(4, 1000) == 1
    assert Mining(None, 1, 4, "at_most").kept(1, 1000) == 1


def test_the_divisor_counts_pixels_their_weights_or_all():
    labels = np.array([[[0, 1, 255], [2, 2, 255]]])
    settings = dict(class_weights=[1.0, 2.0, 4.0, 8.0])
    found = {
        n: planned(normalizer=n, **settings)[0].divisor(labels, 255) for n in ("weights", "pixels", "all")
    }
    assert found == {"weights": 11.0, "pixels": 4.0, "all": 6.0}
    (term,) = planned(nclass=1, outputs=[[dict(name="binary_cross_entropy", target="boundary")]])
    assert term.divisor(labels, 255) == 6.0


def test_auto_weights_are_put_where_they_are_wanted():
    settings = LossGroup(outputs=[[dict(class_weights="auto"), dict(name="dice")], None])
    assert wants_class_weights(settings)
    set_class_weights(settings, np.array([1.0, 2.0]))
    assert settings.outputs[0][0].class_weights == [1.0, 2.0] and settings.class_weights is None
    assert not wants_class_weights(settings)


def test_a_plan_needs_no_array_library():
    program = (
        "import sys; from mxnetseg.losses import plan; from mxnetseg.recipe.loss import LossGroup;"
        "plan(LossGroup(name='lovasz'), ['pixels'], 4); assert 'mxnet' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)

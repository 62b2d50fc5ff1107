"""The published implementations' losses on deterministic scores: values and gradients, in float64."""

from __future__ import annotations

import importlib.util
import json

import mxnet as mx
import numpy as np
import pytest

from mxnetseg.losses import TARGETS
from tests.losses.scores import IGNORE, loss_of

MMSEG = dict(normalizer="all")
SAMPLER = dict(MMSEG, ohem_rule="below", ohem_per="image")
OHEM = dict(normalizer="pixels", ohem_rule="below")
# case of the file: (scores, labels, the recipe's `loss` group)
CASES = {
    "mmseg_ce": ("A", "Y", MMSEG),
    "mmseg_ce_non_ignore": ("A", "Y", {}),
    "mmseg_ce_class_weight": ("A", "YN", dict(class_weights="W")),
    "mmseg_ce_sigmoid": ("A", "Y", dict(MMSEG, name="sigmoid_cross_entropy")),
    "mmseg_ce_sigmoid_non_ignore": ("A", "Y", dict(name="sigmoid_cross_entropy")),
    "mmseg_sampler_threshold": ("A", "Y", dict(SAMPLER, ohem_threshold=0.4, ohem_min_kept=100)),
    "mmseg_sampler_min_kept": ("A", "Y", dict(SAMPLER, ohem_threshold=0.1, ohem_min_kept=2000)),
    "mmseg_sampler_all": ("A", "Y", dict(SAMPLER, ohem_threshold=0.1, ohem_min_kept=100000)),
    "mmseg_sampler_top_loss": ("A", "Y", dict(SAMPLER, ohem_min_kept=1000)),
    "mmseg_ohem_threshold": ("A", "Y", dict(OHEM, ohem_threshold=0.4, ohem_min_kept=100)),
    "mmseg_ohem_min_kept": ("A", "Y", dict(OHEM, ohem_threshold=0.1, ohem_min_kept=4000)),
    "mmseg_ohem_class_weight": (
        "A",
        "Y",
        dict(OHEM, ohem_threshold=0.4, ohem_min_kept=100, class_weights="W"),
    ),
    "mmseg_dice_softmax": ("A", "Y", dict(name="dice", options=dict(count_ignored=True))),
    "mmseg_dice_sigmoid": (
        "A",
        "Y",
        dict(name="dice", options=dict(activation="sigmoid", count_ignored=True)),
    ),
    "mmseg_dice_naive": ("A", "Y", dict(name="dice", options=dict(squared=False, count_ignored=True))),
    "mmseg_lovasz": ("A", "Y", dict(name="lovasz")),
    "mmseg_lovasz_all": ("A", "Y", dict(name="lovasz", options=dict(classes="all"))),
    "mmseg_lovasz_per_image": ("A", "Y", dict(name="lovasz", options=dict(per_image=True))),
    "mmseg_lovasz_binary": ("B", "YB", dict(name="lovasz")),
    "mmseg_tversky": ("A", "Y", dict(name="tversky")),
    "mmseg_focal": ("A", "Y", dict(MMSEG, name="sigmoid_focal")),
    "mmseg_boundary": (
        "B",
        "Y",
        dict(outputs=[[dict(name="balanced_cross_entropy", target="boundary", weight=20)]]),
    ),
    "mmseg_se": ("S", "Y", dict(outputs=[[dict(name="presence", weight=0.2)]])),
    "sfsegnets_ohem_threshold": ("A", "Y", dict(ohem_threshold=0.4, ohem_min_kept=100)),
    "sfsegnets_ohem_min_kept": ("A", "Y", dict(ohem_threshold=0.1, ohem_min_kept=4000)),
    "sfsegnets_ohem_few": ("A", "Y", dict(ohem_threshold=0.1, ohem_min_kept=100000)),
    "sfsegnets_dsn": ("DEF", "Y", dict(ohem_threshold=0.4, ohem_min_kept=1500, aux_weights=1.0)),
    "sfsegnets_ohem_aux": ("AG", "Y", dict(ohem_threshold=0.4, ohem_min_kept=1500)),
}


@pytest.fixture(scope="module")
def published(golden_dir):
    """The file, and its inputs by letter."""
    folder = golden_dir / "training"
    if not (folder / "losses.json").exists():
        pytest.skip("no losses.json among the reference data")
    spec = importlib.util.spec_from_file_location("training_recipe", folder / "recipe_training.py")
    drawn = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(drawn)
    meta = json.loads((folder / "losses.json").read_text())
    y = drawn.labels((2, 48, 64), 19, 21, ignored=0.08, cell=16, boxes=6)
    whole = drawn.labels((2, 48, 64), 19, 21, ignored=0, cell=16, boxes=6)

    def scores(shape, seed):
        h, w = shape[2:]
        there = whole[:, :: 48 // h, :: 64 // w][:, None] == np.arange(19).reshape(-1, 1, 1)
        return drawn.logits(shape, seed, 1.5) + 3 * there

    inputs = {
        "Y": y,
        "YN": whole,
        "YB": np.where(y == IGNORE, IGNORE, whole > 9),
        "A": scores((2, 19, 48, 64), 31),
        "B": drawn.logits((2, 1, 48, 64), 32, 1.5),
        "S": drawn.logits((2, 19), 33, 1.5)[:, :, None, None],
        "D": scores((2, 19, 12, 16), 34),
        "E": scores((2, 19, 6, 8), 35),
        "F": scores((2, 19, 12, 16), 36),
        "G": scores((2, 19, 48, 64), 37),
    }
    return meta, inputs, drawn


@pytest.mark.parametrize("case", CASES)
def test_losses_and_gradients_are_those_of_the_reference(published, case):
    meta, inputs, drawn = published
    expected = meta["cases"][case]
    letters, labels, settings = CASES[case]
    if settings.get("class_weights") == "W":
        settings = dict(settings, class_weights=meta["inputs"]["W"])
    predicts = ["presence"] if letters == "S" else None
    arrays = [inputs[letter] for letter in letters]
    losses, gradients = loss_of(arrays, inputs[labels], None, predicts, **settings)
    assert sum(losses.values()) == pytest.approx(expected["value"], rel=1e-6)
    for k, (gradient, (norm, dot, count)) in enumerate(zip(gradients, expected["gradients"])):
        probe = drawn.probe(
            f"losses/{case}/{k}", gradient.squeeze().shape if letters == "S" else gradient.shape
        )
        assert gradient.size == count
        assert np.linalg.norm(gradient) == pytest.approx(norm, rel=1e-6)
        assert (gradient.reshape(probe.shape) * probe).sum() == pytest.approx(dot, abs=3e-6 * norm)
    # Of a softmax whose probabilities are summed, the gradient is rounding only.
    touched = [int((np.abs(g).sum(axis=1) > 1e-12 * np.abs(g).max()).sum()) for g in gradients]
    assert letters == "S" or touched == expected["pixels_with_gradient"]


def test_every_case_of_the_file_but_the_failing_one_is_tested(published):
    assert set(published[0]["cases"]) - set(CASES) == {"mmseg_ce_class_weight_ignored"}


def test_the_detail_target_is_that_of_the_reference(published):
    meta, inputs, _ = published
    expected = meta["detail_target"]
    for dtype in ("float32", "float64"):
        labels = mx.nd.array(inputs["Y"], dtype=dtype)
        target, valid = (x.asnumpy() for x in TARGETS.build("detail")(mx.nd, labels, IGNORE))
        assert target.sum(axis=(1, 2)).tolist() == expected["ones"] and valid.all()
        rows = ["".join(str(int(v)) for v in row) for row in target[0][: len(expected["first_rows"])]]
        assert rows == expected["first_rows"]


@pytest.mark.parametrize("width", [1, 3, 4])
def test_the_boundary_target_is_that_of_the_reference(published, width):
    _, inputs, drawn = published
    target, valid = TARGETS.build("boundary", width=width)(mx.nd, mx.nd.array(inputs["Y"]), IGNORE)
    expected = np.stack([drawn.edge_map(plane, width) for plane in inputs["Y"]])
    np.testing.assert_array_equal(target.asnumpy(), expected)
    assert valid.asnumpy().all()

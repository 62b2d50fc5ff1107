"""Learning rates against their formulas."""

from __future__ import annotations

import math

import pytest

from mxnetseg.recipe.fields import ScheduleGroup
from mxnetseg.train.schedule import make_schedule, total_iterations


def rates(steps_per_epoch=10, lr=0.1, **settings):
    group = ScheduleGroup(**settings)
    rate = make_schedule(group, lr, steps_per_epoch)
    return [rate(i) for i in range(total_iterations(group, steps_per_epoch))]


def test_poly_follows_its_formula_from_the_base_rate():
    found = rates(name="poly", epochs=4, power=0.9)
    assert found == pytest.approx([0.1 * (1 - i / 40) ** 0.9 for i in range(40)])


def test_cosine_and_linear_end_at_the_end_rate():
    cosine = rates(name="cosine", iterations=20, end_lr=0.01)
    assert cosine == pytest.approx([0.01 + 0.09 * (1 + math.cos(math.pi * i / 20)) / 2 for i in range(20)])
    linear = rates(name="linear", iterations=20, end_lr=0.01)
    assert linear == pytest.approx([0.01 + 0.09 * (1 - i / 20) for i in range(20)])


def test_warm_up_rises_linearly_and_meets_the_decay():
    found = rates(name="constant", iterations=12, warmup_iterations=4, warmup_start=0.5)
    assert found == pytest.approx([0.05, 0.0625, 0.075, 0.0875] + [0.1] * 8)


def test_exponential_warm_up_rises_by_equal_factors_and_meets_the_decay():
    found = rates(
        name="constant", iterations=8, warmup="exponential", warmup_iterations=4, warmup_start=1 / 16
    )
    assert found == pytest.approx([0.1 / 16, 0.1 / 8, 0.1 / 4, 0.1 / 2] + [0.1] * 4)


def test_exponential_warm_up_from_nothing_is_refused():
    with pytest.raises(ValueError, match="warmup_start above 0"):
        ScheduleGroup(iterations=8, warmup="exponential", warmup_iterations=4)


def test_the_decay_spans_what_the_warm_up_leaves():
    found = rates(name="poly", epochs=2, warmup_epochs=0.5, power=1.0)
    assert found[5:] == pytest.approx([0.1 * (1 - i / 15) for i in range(15)])


def test_steps_fall_at_the_epochs_named_warm_up_or_not():
    for warmup in (0, 3):
        found = rates(name="step", epochs=3, step_epochs=[1, 2], step_factor=0.5, warmup_iterations=warmup)
        assert found[9::10] == pytest.approx([0.1, 0.05, 0.025])
        assert found[10::10] == pytest.approx([0.05, 0.025])


def test_steps_can_be_named_by_iteration():
    found = rates(name="step", iterations=30, step_iterations=[12, 25], step_factor=0.5, warmup_iterations=3)
    assert found[11:13] == pytest.approx([0.1, 0.05]) and found[24:26] == pytest.approx([0.05, 0.025])


@pytest.mark.parametrize("name", ["poly", "cosine", "linear", "constant"])
def test_a_run_of_one_iteration_has_the_base_rate(name):
    assert rates(name=name, iterations=1, warmup_iterations=5) == pytest.approx([0.1])

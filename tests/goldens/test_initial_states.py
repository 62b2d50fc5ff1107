"""Networks start where the published implementations start: every parameter's distribution, and what the
untrained network does (size of the first loss, attention, flows)."""

from __future__ import annotations

import numpy as np
import pytest

from tests.conftest import shared_folder
from tests.goldens.initial import Golden, cases

FOLDER = shared_folder() / "golden" / "training"
FILES = cases(FOLDER)
NETWORKS = [name for name in FILES if not name.startswith("torchvision_")]

pytestmark = [
    pytest.mark.golden,
    pytest.mark.skipif(not FILES, reason=f"no initialization goldens in {FOLDER}"),
]


@pytest.mark.parametrize("name", FILES)
def test_every_parameter_is_drawn_as_the_reference_draws_it(name):
    assert Golden(FOLDER, name).misfits() == {}


@pytest.mark.parametrize("name", NETWORKS)
def test_an_untrained_network_behaves_as_the_reference_does(name):
    golden = Golden(FOLDER, name)
    found, expected = golden.behaviour(), golden.expected()
    assert found["loss"] == pytest.approx(expected["loss"], rel=0.25)
    if expected["softmax"]:
        assert sorted(found["softmax"]) == pytest.approx(sorted(expected["softmax"]), rel=0.35)
    if expected["flow"]:
        theirs = np.mean(expected["flow"])
        # Of one draw, against the mean of three: the constant part of a flow is the sum of few weights.
        assert theirs / 3 < np.mean(found["flow"]) < 3 * theirs

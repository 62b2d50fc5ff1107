"""SeaFormer's places along a side, and its forms."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest

from mxnetseg.errors import ConfigError
from mxnetseg.models import create_model
from mxnetseg.nn.resize import resize_along


@pytest.mark.parametrize("length", [1, 5, 16, 40])
def test_a_row_is_resized_linearly_with_its_border_repeated(length):
    row = np.random.RandomState(0).standard_normal((1, 3, 16)).astype("float32")
    found = resize_along(mx.nd, mx.nd.array(row), mx.nd.zeros((2, 3, length))).asnumpy()
    places = (np.arange(length) + 0.5) * 16 / length - 0.5
    expected = [np.interp(places, np.arange(16), channel) for channel in row[0]]
    np.testing.assert_allclose(found[0], expected, atol=1e-5)


def test_other_backbones_are_refused_with_those_that_serve():
    with pytest.raises(ConfigError, match=r"no widths for backbone 'resnet18'; seaformer_tiny, .* its own"):
        create_model("seaformer", 3, backbone="resnet18")

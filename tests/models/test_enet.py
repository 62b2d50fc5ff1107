"""ENet's way back from its max pools."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest

from mxnetseg.errors import ConfigError
from mxnetseg.models import create_model
from mxnetseg.models.enet import unpool


@pytest.mark.parametrize("size", [(6, 8), (7, 9), (2, 3)])
def test_values_go_back_to_where_the_pool_took_them_from(size):
    rng = np.random.RandomState(0)
    # Few different values, so that windows hold the largest more than once.
    source = rng.randint(0, 3, (2, 4, *size)).astype("float32")
    x = rng.standard_normal((2, 4, size[0] // 2, size[1] // 2)).astype("float32")
    expected = np.zeros_like(source)
    for n, c, row, column in np.ndindex(*x.shape):
        window = source[n, c, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
        down, right = np.unravel_index(window.argmax(), (2, 2))
        expected[n, c, 2 * row + down, 2 * column + right] = x[n, c, row, column]
    found = unpool(mx.nd, mx.nd.array(x), mx.nd.array(source))
    np.testing.assert_array_equal(found.asnumpy(), expected)


def test_another_backbone_is_refused_with_the_one_that_serves():
    with pytest.raises(ConfigError, match="'resnet18' does not serve it, enet does"):
        create_model("enet", 3, backbone="resnet18")

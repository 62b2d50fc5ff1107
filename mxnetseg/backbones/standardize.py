"""Networks that keep the statistics of their images."""

from __future__ import annotations

from typing import Sequence

import mxnet as mx
import numpy as np

from mxnetseg.backbones.base import Backbone, Wrapper


class Standardize(Wrapper):
    """A backbone behind (image - mean) / std, the statistics stored with its parameters, never trained."""

    def __init__(self, net: Backbone, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__(net)
        self.mean = self.params.get_constant("mean", _per_channel(mean))
        self.std = self.params.get_constant("std", _per_channel(std))

    def hybrid_forward(self, F, x, mean, std):
        return self.net(F.broadcast_div(F.broadcast_sub(x, mean), std))


def _per_channel(values):
    return mx.nd.array(np.reshape(values, (1, -1, 1, 1)))

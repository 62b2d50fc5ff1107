"""Losses of given scores: a network that holds its outputs as parameters, so that their gradients show."""

from __future__ import annotations

import mxnet as mx
import numpy as np
from mxnet.gluon import HybridBlock, nn

from mxnetseg.losses.criterion import Criterion
from mxnetseg.nn.resize import resize_like
from mxnetseg.recipe.loss import LossGroup

IGNORE = 255


class _Held(HybridBlock):
    """Gives an array `(N, C, h, w)`, held as `(C, N, h, w)`: the first axis of a layer's parameters is what
    it gives."""

    def __init__(self, array, dtype):
        super().__init__()
        array = mx.nd.array(array.swapaxes(0, 1), dtype=dtype)
        with self.name_scope():
            self.scores = self.params.get("scores", shape=array.shape, dtype=dtype)
        self.initialize()
        self.scores.set_data(array)

    def hybrid_forward(self, F, x, scores):
        return F.swapaxes(scores, 0, 1)


class Scores(HybridBlock):
    """Outputs that are parameters, resized to the image (corner-aligned), of which nothing else is used."""

    def __init__(self, arrays, predicts, dtype="float32"):
        super().__init__()
        self.predicts = tuple(predicts)
        self.head = _Held(arrays[0], dtype)
        self.aux_heads = nn.HybridSequential()
        for array in arrays[1:]:
            self.aux_heads.add(_Held(array, dtype))

    def hybrid_forward(self, F, x):
        return [resize_like(F, head(x), x) for head in (self.head, *self.aux_heads)]

    def gradients(self):
        held = (self.head, *self.aux_heads)
        return [head.scores.grad().asnumpy().swapaxes(0, 1) for head in held]


def loss_of(arrays, labels, nclass=None, predicts=None, dtype="float64", **settings):
    """({label: weighted loss}, [gradient of each array]) of a batch; `settings`: the `loss` group's."""
    arrays = arrays if isinstance(arrays, list) else [arrays]
    net = Scores(arrays, predicts or ["pixels"] * len(arrays), dtype)
    criterion = Criterion(net, LossGroup(**settings), nclass or arrays[0].shape[1], IGNORE)
    criterion.graph.hybridize()
    images = np.zeros((len(labels), 1, *labels.shape[1:]))
    reported = criterion.backward(images, labels, [mx.cpu()], dtype=dtype)
    return criterion.read(reported), net.gradients()

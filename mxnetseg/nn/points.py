"""Single points of maps, and the head that classifies them (PointRend, Kirillov et al., CVPR 2020,
arXiv 1912.08193).

Points are `(N, 2, 1, P)`: x and y of each in [0, 1], from the image's left and upper edge to the others.
"""

from __future__ import annotations

import mxnet as mx
from mxnet.gluon import HybridBlock, nn

from mxnetseg.nn.tensor import Ops, Tensor
from mxnetseg.nn.warp import sample


def sample_points(F: Ops, x: Tensor, points: Tensor) -> Tensor:
    """`x` `(N, C, H, W)` read at points, bilinear, zero outside: `(N, C, 1, P)`."""
    return sample(F, x, 2 * points - 1, align_corners=False)


def uncertain_points(F: Ops, logits: Tensor, count: int, oversample: int = 3, share: float = 0.75) -> Tensor:
    """`count` random points of each image of `(N, C, H, W)` logits, two channels or more.

    `share` of them are those of `oversample` times as many where the two greatest logits are closest, the
    rest anywhere. Nothing flows back into the logits.
    """
    logits = F.BlockGrad(logits)
    origin = F.sum(F.zeros_like(logits), axis=(1, 2, 3), keepdims=True)
    certain = int(share * count)
    drawn = _random_points(F, origin, count * oversample)
    best = F.topk(sample_points(F, logits, drawn), axis=1, k=2, ret_typ="value")
    first, second = F.split(best, num_outputs=2, axis=1)
    order = F.topk(F.reshape(second - first, (0, -1)), axis=1, k=certain, ret_typ="indices")
    # The operator's indices are float32 whatever its values are.
    image = F.cast(F.contrib.arange_like(origin, axis=0), dtype="float32")
    image = F.broadcast_add(F.reshape(image, (-1, 1)), F.zeros_like(order))
    listed = F.transpose(F.reshape(drawn, (0, 0, -1)), axes=(0, 2, 1))
    kept = F.gather_nd(listed, F.stack(image, order, axis=0))  # (N, certain, 2)
    kept = F.expand_dims(F.transpose(kept, axes=(0, 2, 1)), axis=2)
    return F.BlockGrad(F.concat(kept, _random_points(F, origin, count - certain), dim=3))


def _random_points(F, origin, count):
    """`origin` `(N, 1, 1, 1)`: the points are of its type."""
    return F.random.uniform_like(F.tile(origin, (1, 2, 1, count)))


class PointHead(HybridBlock):
    """Logits of points: `(N, nclass + features, H, W)`, coarse logits joined with a fine map, to
    `(N, nclass + 2, 1, P)`, the logits of `count` uncertain points of each image and their places.

    Coarse logits and features at a point go through `layers` linear layers of `width` channels with ReLU, and
    one to the classes. For training: what a whole map would be is not computed.
    """

    def __init__(self, nclass: int, features: int, count: int, width: int = 256, layers: int = 3) -> None:
        super().__init__()
        self._nclass, self._count = nclass, count
        self.layers = nn.HybridSequential()
        for k in range(layers):
            channels = width if k else nclass + features
            self.layers.add(nn.Conv2D(width, 1, in_channels=channels, activation="relu"))
        self.classifier = nn.Conv2D(nclass, 1, in_channels=width, weight_initializer=mx.init.Normal(0.001))

    def hybrid_forward(self, F, x):
        coarse = F.slice_axis(x, axis=1, begin=0, end=self._nclass)
        points = uncertain_points(F, coarse, self._count)
        logits = self.classifier(self.layers(sample_points(F, x, points)))
        return F.concat(logits, points, dim=1)

"""The classifier that carries one context block between two 3x3 units (CCNet, GCNet, non-local networks)."""

from __future__ import annotations

from mxnet.gluon import HybridBlock

from mxnetseg.nn.layers import ConvUnit, classifier, dropout_layer


class ContextHead(HybridBlock):
    """Reduce the map, let `block` add context at `width` channels, mix, join with the map, classify.

    `(N, in, h, w)` to `(N, nclass, h, w)`. `block` is a network from `(N, width, h, w)` to the same shape.
    """

    def __init__(self, in_channels: int, nclass: int, width: int, block: HybridBlock) -> None:
        super().__init__()
        self.reduce = ConvUnit(in_channels, width)
        self.block = block
        self.mix = ConvUnit(width, width)
        self.join = ConvUnit(in_channels + width, width)
        self.drop = dropout_layer(0.1)
        self.classifier = classifier(width, nclass)

    def hybrid_forward(self, F, x):
        y = self.mix(self.block(self.reduce(x)))
        return self.classifier(self.drop(self.join(F.concat(x, y, dim=1))))

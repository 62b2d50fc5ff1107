"""DNLNet: Disentangled Non-Local Neural Networks (Yin et al., ECCV 2020, arXiv 2006.06668).

A non-local block whose attention is split in two: a pairwise part on whitened queries and keys (their
means over positions taken away) and a unary part, one weight a position whoever asks.
"""

from __future__ import annotations

from mxnet.gluon import HybridBlock, nn

from mxnetseg.models.base import MODELS, Head, Segmentor, aux_on_c3
from mxnetseg.nn.attention import attend, positions
from mxnetseg.nn.context_head import ContextHead
from mxnetseg.nn.layers import ConvUnit


class DisentangledNonLocal(HybridBlock):
    """`x + unit(pairwise + unary)` at half the channels inside; the unit has no activation.

    `temperature` divides the pairwise scores, which are also scaled by the root of the inner channels.
    """

    def __init__(self, channels, temperature=0.05):
        super().__init__()
        inner = channels // 2
        self._scale = inner**-0.5 / temperature
        self.theta = nn.Conv2D(inner, 1, in_channels=channels)
        self.phi = nn.Conv2D(inner, 1, in_channels=channels)
        self.g = nn.Conv2D(inner, 1, in_channels=channels)
        self.unary = nn.Conv2D(1, 1, in_channels=channels)
        self.out = ConvUnit(inner, channels, 1, act=None)

    def hybrid_forward(self, F, x):
        value = self.g(x)
        pairwise = attend(F, _whiten(F, self.theta(x)), _whiten(F, self.phi(x)), value, self._scale)
        weights = F.softmax(positions(F, self.unary(x)), axis=-1)
        unary = F.batch_dot(positions(F, value), weights, transpose_b=True)
        return self.out(F.broadcast_add(pairwise, F.expand_dims(unary, axis=3))) + x


def _whiten(F, x):
    return F.broadcast_sub(x, F.mean(x, axis=(2, 3), keepdims=True))


class DNLHead(Head):
    """A disentangled block between two units on c4: `(N, c4, h, w)` to `(N, nclass, h, w)`."""

    def __init__(self, channels, nclass, width):
        super().__init__()
        self.context = ContextHead(channels[-1], nclass, width, DisentangledNonLocal(width))

    def hybrid_forward(self, F, c1, c2, c3, c4):
        return self.context(c4)


@MODELS.register(
    "dnlnet",
    paper="Disentangled Non-Local Neural Networks",
    venue="ECCV 2020",
    year=2020,
    link="https://arxiv.org/abs/2006.06668",
    backbone="resnet101",
    output_stride=8,
    scores=[
        ("Cityscapes val", "resnet101, 512x1024, 80k", 80.41, "mmsegmentation"),
        ("Cityscapes val", "resnet50, 512x1024, 80k", 79.33, "mmsegmentation"),
        ("ADE20K val", "resnet101, 512x512, 160k", 44.25, "mmsegmentation"),
    ],
)
def dnlnet(nclass, backbone, aux=True, width=None, aux_width=None, align_corners=True):
    """`width`, `aux_width`: by default a quarter of c4 and c3."""
    head = DNLHead(backbone.channels, nclass, width or backbone.channels[-1] // 4)
    return Segmentor(
        backbone, head, aux_on_c3(backbone, nclass, aux_width) if aux else (), align_corners=align_corners
    )

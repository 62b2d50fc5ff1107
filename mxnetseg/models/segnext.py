"""SegNeXt: Rethinking Convolutional Attention Design for Semantic Segmentation (Guo et al., NeurIPS 2022,
arXiv 2209.08575).

The three coarser maps of its encoder side by side, and a Hamburger (arXiv 2109.04553) between two layers: the
map is written as the product of few bases and how much of each a position has (a non-negative matrix
factorization), which leaves out what is noise. Published code draws the bases anew for each picture; here
they are drawn once and kept beside the weights, so that a picture has one answer.
"""

from __future__ import annotations

from typing import Optional, Sequence

import mxnet as mx
from mxnet import autograd
from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Head, Segmentor
from mxnetseg.nn.gather import gather_maps
from mxnetseg.nn.layers import classifier, dropout_layer
from mxnetseg.nn.norm import ChannelGroupNorm

FORMS = {"paper": {}, "mmseg": {}}
# Channels of the published heads.
WIDTHS = {"mscan_base": 512, "mscan_large": 1024}
EPSILON = 1e-6


@mx.init.register
class UnitColumns(mx.init.Initializer):
    """Uniform in 0 to 1, each column then divided by its length."""

    def _init_weight(self, _, array):
        drawn = mx.nd.random.uniform(0, 1, array.shape)
        array[:] = mx.nd.L2Normalization(drawn.T, mode="instance", eps=1e-12).T


class Factorization(HybridBlock):
    """`(N, channels, H, W)`, nothing below zero, rebuilt from `bases` vectors by `rounds` multiplicative
    updates, by one less in training."""

    differs_in_training = True

    def __init__(self, channels: int, bases: int, rounds: int) -> None:
        super().__init__()
        self._rounds = rounds
        self.bases = self.params.get("bases", shape=(channels, bases), grad_req="null", init=UnitColumns())

    def hybrid_forward(self, F, x, bases):
        pixels = F.reshape(x, (0, 0, -1))
        current = F.broadcast_like(F.expand_dims(bases, axis=0), pixels, lhs_axes=(0,), rhs_axes=(0,))
        shares = F.softmax(F.batch_dot(pixels, current, transpose_a=True), axis=-1)
        for _ in range(self._rounds - autograd.is_training()):
            shares = _better_shares(F, pixels, current, shares)
            found = F.batch_dot(current, F.batch_dot(shares, shares, transpose_a=True))
            current = current * F.batch_dot(pixels, shares) / (found + EPSILON)
        shares = _better_shares(F, pixels, current, shares)
        return F.reshape_like(F.batch_dot(current, shares, transpose_b=True), x)


def _better_shares(F, pixels, current, shares):
    found = F.batch_dot(shares, F.batch_dot(current, current, transpose_a=True))
    return shares * F.batch_dot(pixels, current, transpose_a=True) / (found + EPSILON)


class GroupUnit(HybridBlock):
    """1x1 convolution, group norm and, with `act`, ReLU."""

    def __init__(self, in_channels: int, channels: int, act: bool = True) -> None:
        super().__init__()
        self._act = act
        self.conv = nn.Conv2D(channels, 1, use_bias=False, in_channels=in_channels)
        self.norm = ChannelGroupNorm(channels, 32, 1e-5)

    def hybrid_forward(self, F, x):
        x = self.norm(self.conv(x))
        return F.relu(x) if self._act else x


class Hamburger(HybridBlock):
    """Residual unit around the factorization, `(N, channels, H, W)` to the same."""

    def __init__(self, channels: int, bases: int, rounds: int) -> None:
        super().__init__()
        self.before = nn.Conv2D(channels, 1, in_channels=channels)
        self.ham = Factorization(channels, bases, rounds)
        self.after = GroupUnit(channels, channels, act=False)

    def hybrid_forward(self, F, x):
        return F.relu(x + self.after(self.ham(F.relu(self.before(x)))))


class LightHamHead(Head):
    """Logits at c2's size; c1 is not read."""

    def __init__(self, channels: Sequence[int], nclass: int, width: int, bases: int, rounds: int) -> None:
        super().__init__()
        self.squeeze = GroupUnit(sum(channels[1:]), width)
        self.hamburger = Hamburger(width, bases, rounds)
        self.align = GroupUnit(width, width)
        self.drop = dropout_layer(0.1)
        self.classifier = classifier(width, nclass)

    def hybrid_forward(self, F, c1, *coarser):
        x = self.squeeze(gather_maps(F, coarser, align_corners=False))
        return self.classifier(self.drop(self.align(self.hamburger(x))))


@MODELS.register(
    "segnext",
    forms=FORMS,
    paper="SegNeXt: Rethinking Convolutional Attention Design for Semantic Segmentation",
    venue="NeurIPS 2022",
    year=2022,
    link="https://arxiv.org/abs/2209.08575",
    backbone="mscan_tiny",
    output_stride=32,
    scores=[
        ("ADE20K val", "mscan_tiny, 512x512, 160k", 41.5, "mmsegmentation"),
        ("ADE20K val", "mscan_small, 512x512, 160k", 44.16, "mmsegmentation"),
        ("ADE20K val", "mscan_base, 512x512, 160k", 48.03, "mmsegmentation"),
        ("ADE20K val", "mscan_large, 512x512, 160k", 50.99, "mmsegmentation"),
    ],
)
def segnext(
    nclass: int, backbone: Backbone, width: Optional[int] = None, bases: int = 16, rounds: int = 7
) -> Segmentor:
    """`width`: channels of the head, a multiple of 32; None is what was published with the backbone, else
    256. `bases`: their number, `rounds`: updates of the factorization, one less in
    training."""
    width = width or WIDTHS.get(backbone.registered_name, 256)
    head = LightHamHead(backbone.channels, nclass, width, bases, rounds)
    return Segmentor(backbone, head, align_corners=False)

"""ENet: A Deep Neural Network Architecture for Real-Time Semantic Segmentation (Paszke et al., 2016,
arXiv 1606.02147).

A large encoder (`backbones/enet.py`) and a small decoder: two blocks double the size, each adding the deep
map itself, whose values go back to where the encoder's max pool of that size took its own from; a transposed
convolution gives logits at the size of the image. Form `pytorch` is PyTorch-ENet's network, the other the
authors'.
"""

from __future__ import annotations

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.backbones.enet import HABITS, SQUEEZE, Bottleneck, Habits, Make, unit
from mxnetseg.errors import ConfigError
from mxnetseg.models.base import MODELS, Head, Segmentor
from mxnetseg.nn.initial import draw_as_pytorch
from mxnetseg.nn.layers import dropout_layer
from mxnetseg.nn.tensor import Ops, Tensor

FORMS = {"paper": {}, "pytorch": {"make": "pytorch", "backbone_options": {"make": "pytorch"}}}


def unpool(F: Ops, x: Tensor, pooled_from: Tensor) -> Tensor:
    """`x` `(N, C, h, w)` at the size of `pooled_from` `(N, C, H, W)`, h and w half of that, rounded down:
    each value at the place of its 2x2 window where `pooled_from` is largest (the first of equal ones), zeros
    elsewhere. Nothing flows back into `pooled_from`."""
    source = F.BlockGrad(pooled_from)
    largest = F.Pooling(source, kernel=(2, 2), stride=(2, 2), pool_type="max")
    free, rows = F.ones_like(largest), []
    for row in (0, 1):
        pixels = []
        for column in (0, 1):
            begin, step = (None, None, row, column), (None, None, 2, 2)
            here = F.slice(source, begin=begin, end=(None,) * 4, step=step)
            here = F.broadcast_equal(F.slice_like(here, largest, axes=(2, 3)), largest) * free
            free = free - here
            pixels.append(x * here)
        rows.append(F.reshape(F.stack(*pixels, axis=4), (0, 0, 0, -3)))
    return _filled(F, F.reshape(F.stack(*rows, axis=3), (0, 0, -3, 0)), pooled_from)


def _filled(F, x, like):
    """`x` with a zero behind its rows and columns where `like` has one pixel more."""
    x = F.pad(x, mode="constant", constant_value=0, pad_width=(0, 0, 0, 0, 0, 1, 0, 1))
    return F.slice_like(x, like, axes=(2, 3))


class Doubling(HybridBlock):
    """`(x, finer)` to `(N, channels, H, W)` at the size of `finer`, the map that the encoder pooled there."""

    def __init__(self, in_channels: int, channels: int, habits: Habits, dropout: float) -> None:
        super().__init__()
        width = (channels if habits.own_width else in_channels) // SQUEEZE
        self.main = unit(
            habits,
            nn.Conv2D(channels, 1, use_bias=False, in_channels=in_channels),
            channels=channels,
            act=False,
        )
        first = nn.Conv2D(width, 1, use_bias=False, in_channels=in_channels)
        last = nn.Conv2D(channels, 1, use_bias=False, in_channels=width)
        self.before = unit(habits, first, channels=width, slopes=False)
        # As wide as the step, or a pixel wider.
        shape = (3, 2, 1, 1) if habits.biased else (2, 2, 0, 0)
        self.up = nn.Conv2DTranspose(width, *shape, use_bias=habits.biased, in_channels=width)
        self.norm = nn.BatchNorm(epsilon=habits.epsilon, in_channels=width)
        self.after = unit(habits, last, channels=channels, act=False)
        self.drop = dropout_layer(dropout)

    def hybrid_forward(self, F, x, finer):
        y = F.relu(self.norm(_filled(F, self.up(self.before(x)), finer)))
        return F.relu(unpool(F, self.main(x), finer) + self.drop(self.after(y)))


class ENetHead(Head):
    """Logits at twice the size of c1."""

    def __init__(self, nclass: int, make: Make) -> None:
        super().__init__()
        habits = HABITS[make]
        dropout = 0.1 if make == "pytorch" else 0.0
        self.doublings, self.blocks = nn.HybridSequential(), nn.HybridSequential()
        for before, channels, count in ((128, 64, 2), (64, 16, 1)):
            self.doublings.add(Doubling(before, channels, habits, dropout))
            blocks = nn.HybridSequential()
            for _ in range(count):
                blocks.add(Bottleneck(channels, channels, habits, dropout=dropout, slopes=False))
            self.blocks.add(blocks)
        if make == "pytorch":
            self.classifier = nn.Conv2DTranspose(nclass, 3, 2, 1, 1, use_bias=False, in_channels=16)
        else:
            self.classifier = nn.Conv2DTranspose(nclass, 2, 2, in_channels=16)
        draw_as_pytorch(self)

    def hybrid_forward(self, F, c1, c2, c3, c4):
        x = c4
        for finer, double, blocks in zip((c2, c1), self.doublings, self.blocks):
            x = blocks(double(x, finer))
        return self.classifier(x)


@MODELS.register(
    "enet",
    forms=FORMS,
    paper="ENet: A Deep Neural Network Architecture for Real-Time Semantic Segmentation",
    venue="arXiv",
    year=2016,
    link="https://arxiv.org/abs/1606.02147",
    backbone="enet",
    output_stride=8,
    scores=[
        ("Cityscapes test", "512x1024, from scratch", 58.3, "the paper"),
        ("CamVid test", "360x480, from scratch", 51.3, "the paper"),
        ("Cityscapes val", "512x1024, 300 epochs", 59.5, "PyTorch-ENet"),
    ],
)
def enet(nclass: int, backbone: Backbone, make: Make = "authors") -> Segmentor:
    """`make`: whose decoder, as of the backbone."""
    if backbone.registered_name != "enet":
        raise ConfigError(
            "model 'enet' undoes the max pools of its own encoder: backbone "
            f"{backbone.registered_name!r} does not serve it, enet does"
        )
    return Segmentor(backbone, ENetHead(nclass, make), align_corners=False, full_size=True)

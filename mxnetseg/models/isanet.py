"""ISANet: Interlaced Sparse Self-Attention for Semantic Segmentation (Huang et al., arXiv 1907.12273).

Full attention in two sparse steps: among the positions that sit at the same place of their blocks (long
range), then within each block. Maps are padded with zeros, as much on both sides, to whole blocks.
"""

from __future__ import annotations

from typing import Optional, Sequence

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Head, Segmentor, aux_on_c3
from mxnetseg.nn.attention import attend
from mxnetseg.nn.grid import side
from mxnetseg.nn.initial import draw_as_pytorch
from mxnetseg.nn.layers import ConvUnit, classifier, dropout_layer

FORMS = {"paper": {}, "mmseg": {"backbone": "resnet101_v1c", "align_corners": False}}


class SelfAttention(HybridBlock):
    """`(N, C, H, W)` to the attended map of the same shape, through two units for query and for key."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self._scale = inner**-0.5
        self.query, self.key = nn.HybridSequential(), nn.HybridSequential()
        for units in (self.query, self.key):
            units.add(ConvUnit(channels, inner, 1), ConvUnit(inner, inner, 1))
        self.value = nn.Conv2D(channels, 1, in_channels=channels)
        draw_as_pytorch(self.value)
        self.out = ConvUnit(channels, channels, 1)

    def hybrid_forward(self, F, x):
        return self.out(attend(F, self.query(x), self.key(x), self.value(x), self._scale))


class Interlaced(HybridBlock):
    """`(N, C, H, W)` to the same shape: attention between blocks of `block` x `block`, then inside them."""

    def __init__(self, channels: int, inner: int, block: int) -> None:
        super().__init__()
        self._block = block
        self.between = SelfAttention(channels, inner)
        self.inside = SelfAttention(channels, inner)

    def hybrid_forward(self, F, x):
        b = self._block
        whole = _whole_blocks(F, x, b)
        # (N, C, rows, b, columns, b): the block's place in the map, the position's place in its block.
        y = F.reshape(whole, (0, 0, -4, -1, b, -4, -1, b))
        y = F.transpose(y, axes=(0, 3, 5, 1, 2, 4))
        y = F.reshape(self.between(_one_batch(F, y)), (-4, -1, b * b, 0, 0, 0))
        y = F.reshape(y, (0, -4, b, b, 0, 0, 0))
        y = F.transpose(y, axes=(0, 4, 5, 3, 1, 2))
        attended = self.inside(_one_batch(F, y))
        y = F.reshape_like(attended, y, lhs_begin=0, lhs_end=1, rhs_begin=0, rhs_end=3)
        y = F.transpose(y, axes=(0, 3, 1, 4, 2, 5))
        return _cut(F, F.reshape(y, (0, 0, -3, -3)), x)


def _one_batch(F, x):
    """`(A, B, C, ...)` to `(A*B*C, ...)`."""
    return F.reshape(F.reshape(x, (-3, 0, 0, 0, 0)), (-3, 0, 0, 0))


def _whole_blocks(F, x, block):
    """`x` between zeros, its sides the next multiples of `block`; an odd zero stands after it."""
    extended = F.pad(
        F.slice_axis(x, axis=1, begin=0, end=1),
        mode="constant",
        pad_width=(0, 0, 0, 0, 0, block - 1, 0, block - 1),
    )
    blocks = F.Pooling(extended, kernel=(block, block), stride=(block, block), pool_type="max")
    size = F.UpSampling(F.BlockGrad(blocks), scale=block, sample_type="nearest")
    for axis in (2, 3):
        length, target = side(F, x, axis), side(F, size, axis)
        source = F.broadcast_sub(
            F.contrib.arange_like(size, axis=axis), F.floor(F.broadcast_sub(target, length) / 2)
        )
        known = F.broadcast_mul(source >= 0, F.broadcast_lesser(source, length))
        shape = (1, 1, -1, 1) if axis == 2 else (1, 1, 1, -1)
        x = F.broadcast_mul(F.take(x, source, axis=axis), F.reshape(known, shape))
    return x


def _cut(F, x, like):
    """The middle of `x` at the size of `like`: takes the zeros of `_whole_blocks` away."""
    for axis in (2, 3):
        before = F.floor(F.broadcast_sub(side(F, x, axis), side(F, like, axis)) / 2)
        x = F.take(x, F.broadcast_add(F.contrib.arange_like(like, axis=axis), before), axis=axis)
    return x


class ISAHead(Head):
    """c4 reduced, joined with its attended form, classified: `(N, c4, h, w)` to `(N, nclass, h, w)`."""

    def __init__(self, channels: Sequence[int], nclass: int, width: int, inner: int, block: int) -> None:
        super().__init__()
        self.reduce = ConvUnit(channels[-1], width)
        self.attention = Interlaced(width, inner, block)
        self.join = ConvUnit(2 * width, width, 1)
        self.drop = dropout_layer(0.1)
        self.classifier = classifier(width, nclass)

    def hybrid_forward(self, F, c1, c2, c3, c4):
        x = self.reduce(c4)
        x = self.join(F.concat(self.attention(x), x, dim=1))
        return self.classifier(self.drop(x))


@MODELS.register(
    "isanet",
    forms=FORMS,
    paper="Interlaced Sparse Self-Attention for Semantic Segmentation",
    venue="arXiv",
    year=2019,
    link="https://arxiv.org/abs/1907.12273",
    backbone="resnet101",
    output_stride=8,
    scores=[
        ("Cityscapes val", "resnet101, 512x1024, 80k", 80.32, "mmsegmentation"),
        ("Cityscapes val", "resnet50, 512x1024, 80k", 78.68, "mmsegmentation"),
        ("ADE20K val", "resnet101, 512x512, 160k", 43.8, "mmsegmentation"),
    ],
)
def isanet(
    nclass: int,
    backbone: Backbone,
    aux: bool = True,
    width: Optional[int] = None,
    inner: int = 256,
    block: int = 8,
    aux_width: Optional[int] = None,
    align_corners: bool = True,
) -> Segmentor:
    """`width`, `aux_width`: by default a quarter of c4 and c3. `inner`: channels of queries and keys.
    `block`: side of the blocks."""
    head = ISAHead(backbone.channels, nclass, width or backbone.channels[-1] // 4, inner, block)
    return Segmentor(
        backbone, head, aux_on_c3(backbone, nclass, aux_width) if aux else (), align_corners=align_corners
    )

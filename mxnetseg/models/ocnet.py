"""OCNet: Object Context Network for Scene Parsing (Yuan et al., IJCV 2021, arXiv 1809.00916).

Every position gathers the positions that look like it: self-attention whose key and query are one layer.
Three forms (`context`): `base` attends over the whole map and joins the result with the map; `pyramid` does
so within the cells of grids of 1, 2, 3 and 6 a side; `asp` puts the attended map in the place of the pooled
one among dilated branches. `jpu` puts joint pyramid upsampling (FastFCN, arXiv 1903.11816) under it, for a
backbone at output stride 32. What was attended to is added from nothing: its last projection starts at zero,
but in the SFNet authors' repository.
"""

from __future__ import annotations

from typing import Literal, Optional, Sequence

import mxnet as mx
from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Head, Segmentor, aux_on_c3
from mxnetseg.nn.attention import attend
from mxnetseg.nn.grid import side
from mxnetseg.nn.initial import FAN_IN, draw, draw_as_pytorch
from mxnetseg.nn.jpu import JPUOrder, jpu_neck
from mxnetseg.nn.layers import ConvUnit, Dropped, dropout_layer
from mxnetseg.nn.norm import count_twice
from mxnetseg.nn.resize import resize_like
from mxnetseg.nn.surgery import layers

ACE = {
    "backbone": "resnet101_v1s",
    "output_stride": 32,
    "jpu": True,
    "aux_width": None,
    "dropped": "elements",
}
SFSEGNETS = {
    "backbone": "resnet50_v1s",
    "backbone_options": {"dilation": "uniform"},
    "aux": False,
    "drawn": "fan_in",
}
FORMS = {
    "paper": {},
    "ace": {"context": "base", **ACE},
    "ace_asp": {"context": "asp", **ACE},
    "sfsegnets": {"context": "asp", "rates": (12, 24, 36, 1), **SFSEGNETS},
    "sfsegnets_pyramid": {"context": "pyramid", **SFSEGNETS},
}
Context = Literal["base", "pyramid", "asp"]


class ObjectContext(HybridBlock):
    """`(N, C, H, W)` to the attended map of the same shape.

    `value`: channels of the values. `pool=2` attends on the 2x2 maxima and resizes the result back.
    `cells`: attend within the cells of a grid this many a side; a cell is floor(side / cells) long and the
    last one takes the rest.
    """

    def __init__(self, channels: int, value: int, pool: int = 1, cells: int = 1) -> None:
        super().__init__()
        self._cells = cells
        self._scale = (channels // 2) ** -0.5
        self.shrink = nn.MaxPool2D(pool, pool) if pool > 1 else None
        self.key = ConvUnit(channels, channels // 2, 1, bias=True)
        count_twice(self.key)
        self.value = nn.Conv2D(value, 1, in_channels=channels)
        self.out = nn.Conv2D(channels, 1, in_channels=value)

    def hybrid_forward(self, F, x):
        small = x if self.shrink is None else self.shrink(x)
        key = self.key(small)
        mask = _same_cell(F, small, self._cells) if self._cells > 1 else None
        attended = self.out(attend(F, key, key, self.value(small), self._scale, mask=mask))
        return attended if self.shrink is None else resize_like(F, attended, x)


def _same_cell(F, x, cells):
    """`(H*W, H*W)`: 0 for two positions of one cell, else -1e30."""
    rows, columns = (_cell_index(F, x, axis, cells) for axis in (2, 3))
    index = F.broadcast_add(F.reshape(rows, (-1, 1)) * cells, F.reshape(columns, (1, -1)))
    index = F.reshape(index, (-1,))
    same = F.broadcast_equal(F.reshape(index, (-1, 1)), F.reshape(index, (1, -1)))
    return (same - 1) * 1e30


def _cell_index(F, x, axis, cells):
    length = F.maximum(F.floor(side(F, x, axis) / cells), 1)
    index = F.floor(F.broadcast_div(F.contrib.arange_like(x, axis=axis), length))
    return F.minimum(index, cells - 1)


class BaseContext(HybridBlock):
    """The attended map joined with the map, `width` channels."""

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.reduce = ConvUnit(in_channels, width, bias=True)
        self.block = ObjectContext(width, width // 2)
        self.fuse = ConvUnit(2 * width, width, 1, bias=True)
        self.drop = dropout_layer(0.05)

    def hybrid_forward(self, F, x):
        x = self.reduce(x)
        return self.drop(self.fuse(F.concat(self.block(x), x, dim=1)))


GRIDS = (1, 2, 3, 6)


class PyramidContext(HybridBlock):
    """The map widened, joined with maps attended within the cells of four grids, `width` channels."""

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.reduce = ConvUnit(in_channels, width)
        self.blocks = nn.HybridSequential()
        for cells in GRIDS:
            self.blocks.add(ObjectContext(width, width, cells=cells))
        self.widen = ConvUnit(width, width * len(GRIDS), 1, bias=True)
        self.fuse = ConvUnit(2 * width * len(GRIDS), width, 1, bias=True)
        self.drop = dropout_layer(0.05)

    def hybrid_forward(self, F, x):
        x = self.reduce(x)
        attended = [block(x) for block in self.blocks]
        return self.drop(self.fuse(F.concat(self.widen(x), *attended, dim=1)))


class AspContext(HybridBlock):
    """The attended map beside dilated branches, `width` channels. In `rates` 1 is the 1x1 branch."""

    def __init__(self, in_channels: int, width: int, rates: Sequence[int]) -> None:
        super().__init__()
        self.reduce = ConvUnit(in_channels, width, bias=True)
        self.block = ObjectContext(width, width, pool=2)
        self.summary = nn.HybridSequential()
        self.summary.add(ConvUnit(width, width, 1, bias=True), dropout_layer(0.05))
        self.branches = nn.HybridSequential()
        for rate in rates:
            self.branches.add(ConvUnit(in_channels, width, 1 if rate == 1 else 3, dilation=rate))
        self.fuse = ConvUnit(width * (1 + len(rates)), width, 1)
        self.drop = dropout_layer(0.1)

    def hybrid_forward(self, F, x):
        context = self.summary(self.block(self.reduce(x)))
        return self.drop(self.fuse(F.concat(context, *[branch(x) for branch in self.branches], dim=1)))


class OCNetHead(Head):
    """Object context and classifier on the deepest map: `(N, c4, h, w)` to `(N, nclass, h, w)`."""

    def __init__(
        self,
        channels: Sequence[int],
        nclass: int,
        context: Context,
        rates: Sequence[int],
        jpu: JPUOrder,
        drawn: Literal["zero", "fan_in"],
    ) -> None:
        super().__init__()
        self.jpu, deepest = jpu_neck(jpu, channels)
        width = deepest // 4
        if context == "base":
            self.context = BaseContext(deepest, width)
        elif context == "pyramid":
            self.context = PyramidContext(deepest, width)
        else:
            self.context = AspContext(deepest, width, rates)
        self.classifier = nn.Conv2D(nclass, 1, in_channels=width)
        if drawn == "fan_in":
            draw(self, FAN_IN)
            return
        for block in layers(self, ObjectContext):
            block.out.weight.init = mx.init.Zero()
        draw_as_pytorch(self)

    def hybrid_forward(self, F, c1, c2, c3, c4):
        if self.jpu is not None:
            c4 = self.jpu(c2, c3, c4)
        return self.classifier(self.context(c4))


@MODELS.register(
    "ocnet",
    forms=FORMS,
    paper="OCNet: Object Context Network for Scene Parsing",
    venue="IJCV 2021",
    year=2021,
    link="https://arxiv.org/abs/1809.00916",
    backbone="resnet101",
    output_stride=8,
    backbone_options=dict(stem="deep"),
    scores=[
        ("Cityscapes val", "resnet101, asp", 79.5, "the authors"),
        ("Cityscapes val", "resnet101, base", 79.3, "the authors"),
        ("Cityscapes val", "resnet101, OHEM", 80.4, "the authors"),
        ("Cityscapes test", "resnet101, train and val, OHEM, multi-scale", 81.2, "the authors"),
        ("ADE20K val", "resnet101", 45.08, "the authors"),
    ],
)
def ocnet(
    nclass: int,
    backbone: Backbone,
    aux: bool = True,
    context: Context = "asp",
    rates: Sequence[int] = (1, 12, 24, 36),
    aux_width: Optional[int] = 512,
    jpu: JPUOrder = False,
    dropped: Dropped = "channels",
    drawn: Literal["zero", "fan_in"] = "zero",
) -> Segmentor:
    """`context`: `base`, `pyramid` or `asp`. `rates`: of the branches of `asp`, in order of concatenation.
    The auxiliary head reads c3; `aux_width` None makes it a quarter as wide, `dropped` is what its dropout
    drops. `drawn`: whether what is attended to starts at zero, see the module."""
    head = OCNetHead(backbone.channels, nclass, context, tuple(rates), jpu, drawn)
    return Segmentor(backbone, head, aux_on_c3(backbone, nclass, aux_width, dropped) if aux else ())

"""CANet: Attention-guided Chained Context Aggregation for Semantic Segmentation (Tang et al., 2020,
arXiv 2002.12041), in two versions.

Version 1: information flows chained one behind the other, each a shallow encoder-decoder that sees the
deepest map beside what the flow before it found, on grids 2, 4, 8 and 16 times coarser; their sum meets
c1 in a small decoder. Version 2: parallel encoder-decoders of growing depth, mixed with c3 by a soft-max
gate.
"""

from __future__ import annotations

from typing import Literal, Sequence

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Head, Segmentor, aux_on_c3
from mxnetseg.nn.grid import side
from mxnetseg.nn.layers import ConvUnit, Dropped, FCNHead, dropout_layer
from mxnetseg.nn.pool import adaptive_avg_pool, bin_weights
from mxnetseg.nn.resize import apply_rows_columns, interpolation_weights, resize_like
from mxnetseg.nn.separable import SeparableUnit

FORMS = {
    "paper": {},
    "mxnetseg": {"dropped": "elements"},
    "mxnetseg_v2": {"version": 2, "dropped": "elements"},
}


class GlobalFlow(HybridBlock):
    """The pooled map through a 1x1 unit, everywhere: `(N, in, H, W)` to `(N, channels, H, W)`."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.unit = ConvUnit(in_channels, channels, 1)

    def hybrid_forward(self, F, x):
        return resize_like(F, self.unit(adaptive_avg_pool(F, x, 1)), x)


class ContextFlow(HybridBlock):
    """Two separable units on a grid of max(1, floor(H / factor)) x max(1, floor(W / factor)) averages.

    MXNet's pooling needs its grid when the graph is made, so pooling and enlarging are matrices on a
    grid of ceil(side / factor) cells, of which the last is left blank where the division leaves a rest: zero
    before each 3x3 filter, just as its padding is, and unread afterwards.
    """

    def __init__(self, in_channels: int, channels: int, factor: int) -> None:
        super().__init__()
        self._factor = factor
        self.encode = SeparableUnit(in_channels, channels, 1, inner_act="relu")
        self.decode = SeparableUnit(channels, channels, 1, inner_act="relu")

    def hybrid_forward(self, F, x):
        pool_rows, enlarge_rows, used_rows = self._along(F, x, 2)
        pool_columns, enlarge_columns, used_columns = self._along(F, x, 3)
        used = F.broadcast_mul(F.reshape(used_rows, (1, 1, -1, 1)), F.reshape(used_columns, (1, 1, 1, -1)))
        cells = self.encode(apply_rows_columns(F, x, pool_rows, pool_columns))
        cells = self.decode(F.broadcast_mul(cells, used))
        return apply_rows_columns(F, cells, enlarge_rows, enlarge_columns)

    def _along(self, F, x, axis):
        """Matrices that pool an axis and enlarge it again, and which of the grid's cells are in use."""
        pixels, length = F.contrib.arange_like(x, axis=axis), side(F, x, axis)
        count = F.broadcast_maximum(F.floor(length / self._factor), F.ones_like(length))
        cells = F.slice(pixels, begin=(None,), end=(None,), step=(self._factor,)) / self._factor
        return (
            bin_weights(F, cells, count, pixels, length),
            interpolation_weights(F, cells, count, pixels, length),
            F.broadcast_lesser(cells, count),
        )


class ChainedHead(Head):
    """Version 1: logits at c1's size."""

    def __init__(
        self,
        channels: Sequence[int],
        nclass: int,
        width: int,
        dropped: Dropped,
        factors: Sequence[int] = (2, 4, 8, 16),
    ) -> None:
        super().__init__()
        deepest = channels[-1]
        self.global_flow = GlobalFlow(deepest, 2 * width)
        self.flows = nn.HybridSequential()
        for factor in factors:
            self.flows.add(ContextFlow(deepest + 2 * width, 2 * width, factor))
        self.fuse = ConvUnit(2 * width, width)
        self.drop = dropout_layer(0.1, dropped)
        self.reduce_c1 = ConvUnit(channels[0], 48)
        self.refine = ConvUnit(width + 48, width)
        self.classifier = FCNHead(width, nclass, width, dropped=dropped)

    def hybrid_forward(self, F, c1, c2, c3, c4):
        flow = total = self.global_flow(c4)
        for context in self.flows:
            flow = context(F.concat(c4, flow, dim=1))
            total = total + flow
        x = resize_like(F, self.drop(self.fuse(total)), c1)
        return self.classifier(self.refine(F.concat(x, self.reduce_c1(c1), dim=1)))


class Halving(HybridBlock):
    """A bottleneck of stride 2 with a strided shortcut; nothing after the sum."""

    def __init__(self, channels: int, inner: int = 128) -> None:
        super().__init__()
        self.path = nn.HybridSequential()
        self.path.add(
            ConvUnit(channels, inner, 1), ConvUnit(inner, inner, strides=2), ConvUnit(inner, channels, 1)
        )
        self.shortcut = ConvUnit(channels, channels, 1, strides=2, act=None)

    def hybrid_forward(self, F, x):
        return self.path(x) + self.shortcut(x)


class EncoderDecoder(HybridBlock):
    """`halvings` times down, a 3x3 unit, back to the size of the input."""

    def __init__(self, channels: int, halvings: int) -> None:
        super().__init__()
        self.encode = nn.HybridSequential()
        for _ in range(halvings):
            self.encode.add(Halving(channels))
        self.middle = ConvUnit(channels, channels)
        self.decode = ConvUnit(channels, channels, 1)

    def hybrid_forward(self, F, x):
        return self.decode(resize_like(F, self.middle(self.encode(x)), x))


class GatedHead(Head):
    """Version 2: logits at c4's size."""

    def __init__(self, channels: Sequence[int], nclass: int, width: int, dropped: Dropped) -> None:
        super().__init__()
        inner = 2 * width
        self.reduce_c3 = ConvUnit(channels[2], inner, 1)
        self.reduce_c4 = ConvUnit(channels[3], inner, 1)
        self.global_flow = GlobalFlow(channels[3], 48)
        self.contexts = nn.HybridSequential()
        for halvings in (1, 2, 3):
            self.contexts.add(EncoderDecoder(inner, halvings))
        self.gate = nn.HybridSequential()
        self.gate.add(ConvUnit(4 * inner, inner, 1), ConvUnit(inner, 4, 1, act=None))
        self.classifier = FCNHead(inner + 48, nclass, width, dropped=dropped)

    def hybrid_forward(self, F, c1, c2, c3, c4):
        x = self.reduce_c4(c4)
        sources = [context(x) for context in self.contexts]
        sources.append(resize_like(F, self.reduce_c3(c3), c4))
        gates = F.split(F.softmax(self.gate(F.concat(*sources, dim=1)), axis=1), num_outputs=4, axis=1)
        mixed = [F.broadcast_mul(source, gate) for source, gate in zip(sources, gates)]
        return self.classifier(F.concat(sum(mixed[1:], mixed[0]), self.global_flow(c4), dim=1))


@MODELS.register(
    "canet",
    forms=FORMS,
    paper="Attention-guided Chained Context Aggregation for Semantic Segmentation",
    venue="IMAVIS 2021",
    year=2021,
    link="https://arxiv.org/abs/2002.12041",
    backbone="resnet101_v1s",
    output_stride=8,
    scores=[],
)
def canet(
    nclass: int,
    backbone: Backbone,
    aux: bool = True,
    width: int = 256,
    version: Literal[1, 2] = 1,
    dropped: Dropped = "channels",
) -> Segmentor:
    """`width`: channels of the decoder, half of those of the flows. `version`: 1 or 2, see above.
    `dropped`: what dropout drops."""
    head = (ChainedHead if version == 1 else GatedHead)(backbone.channels, nclass, width, dropped)
    return Segmentor(backbone, head, aux_on_c3(backbone, nclass, dropped=dropped) if aux else ())

"""PP-LiteSeg: A Superior Real-Time Semantic Segmentation Model (Peng et al., 2022, arXiv 2204.02681).

The deepest map is pooled to three grids, whose sum is its context (SPPM); on the way up three fusions join it
with the maps at strides 32, 16 and 8, narrower at each (FLD). A fusion weighs both maps at each position, by
weights that add up to one and come from the mean and the maximum of the channels of each (UAFM with spatial
attention). In training the coarser two fused maps have classifiers too.
"""

from __future__ import annotations

from typing import Optional, Sequence

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.errors import ConfigError
from mxnetseg.models.base import MODELS, Aux, Head, Segmentor
from mxnetseg.nn.initial import FAN_IN, draw
from mxnetseg.nn.layers import ConvUnit, FCNHead
from mxnetseg.nn.pool import adaptive_avg_pool
from mxnetseg.nn.resize import resize_like

# Channels of the fused maps at strides 8, 16, 32: of PP-LiteSeg-T on STDC1, of PP-LiteSeg-B on all else.
WIDTHS = {"stdc1": (32, 64, 128)}
WIDE = (64, 96, 128)
# Channels of the context, and the most that a classifier's unit has.
CONTEXT, CLASSIFIER = 128, 64


class SimplePyramidPooling(HybridBlock):
    """`(N, in, H, W)` to `(N, channels, H, W)`: means over grids, each through a 1x1 unit and back to full
    size, are added up; a 3x3 unit follows."""

    def __init__(self, in_channels: int, channels: int, bins: Sequence[int]) -> None:
        super().__init__()
        self._bins = tuple(bins)
        self.stages = nn.HybridSequential()
        for _ in self._bins:
            self.stages.add(ConvUnit(in_channels, channels, 1, bias=True))
        self.out = ConvUnit(channels, channels, bias=True)

    def hybrid_forward(self, F, x):
        pooled = [
            resize_like(F, stage(adaptive_avg_pool(F, x, bins)), x, align_corners=False)
            for bins, stage in zip(self._bins, self.stages)
        ]
        return self.out(sum(pooled[1:], pooled[0]))


class AttentionFusion(HybridBlock):
    """`(fine, coarse)`, of `fine_channels` and `coarse_channels`, to `channels` at the size of `fine`."""

    def __init__(self, fine_channels: int, coarse_channels: int, channels: int) -> None:
        super().__init__()
        self.lateral = ConvUnit(fine_channels, coarse_channels)
        self.weigh = nn.HybridSequential()
        self.weigh.add(ConvUnit(4, 2), ConvUnit(2, 1, act="sigmoid"))
        self.out = ConvUnit(coarse_channels, channels)

    def hybrid_forward(self, F, fine, coarse):
        fine = self.lateral(fine)
        coarse = resize_like(F, coarse, fine, align_corners=False)
        summaries = [of(x, axis=1, keepdims=True) for x in (fine, coarse) for of in (F.mean, F.max)]
        share = self.weigh(F.concat(*summaries, dim=1))
        return self.out(F.broadcast_mul(fine, share) + F.broadcast_mul(coarse, 1 - share))


class PPLiteSegHead(Head):
    """Logits at the size of c2, and the fused maps at the sizes of c3 and c4."""

    def __init__(
        self, channels: Sequence[int], nclass: int, widths: Sequence[int], bins: Sequence[int]
    ) -> None:
        super().__init__()
        self.context = SimplePyramidPooling(channels[3], CONTEXT, bins)
        self.fusions = nn.HybridSequential()
        for fine, coarse, width in zip(channels[1:], (*widths[1:], CONTEXT), widths):
            self.fusions.add(AttentionFusion(fine, coarse, width))
        self.classifier = _classifier(widths[0], nclass)

    def hybrid_forward(self, F, c1, c2, c3, c4):
        fused32 = self.fusions[2](c4, self.context(c4))
        fused16 = self.fusions[1](c3, fused32)
        return self.classifier(self.fusions[0](c2, fused16)), fused16, fused32


def _classifier(channels: int, nclass: int) -> FCNHead:
    return FCNHead(channels, nclass, min(channels, CLASSIFIER), dropout=0.0, classifier_bias=False)


@MODELS.register(
    "ppliteseg",
    paper="PP-LiteSeg: A Superior Real-Time Semantic Segmentation Model",
    venue="arXiv",
    year=2022,
    link="https://arxiv.org/abs/2204.02681",
    backbone="stdc1",
    output_stride=32,
    scores=[
        ("Cityscapes val", "stdc1, 512x1024 crops, 160k, tested at 1024x2048", 77.04, "the authors"),
        ("Cityscapes val", "stdc2, 512x1024 crops, 160k, tested at 1024x2048", 79.04, "the authors"),
        ("Cityscapes test", "stdc1, 768x1536", 74.9, "the paper"),
        ("Cityscapes test", "stdc2, 768x1536", 77.5, "the paper"),
    ],
)
def ppliteseg(
    nclass: int,
    backbone: Backbone,
    aux: bool = True,
    widths: Optional[Sequence[int]] = None,
    bins: Sequence[int] = (1, 2, 4),
) -> Segmentor:
    """`aux`: classifiers of the fused maps at strides 16 and 32. `widths`: channels of the fused maps, finest
    first; None is what was published with STDC1 and, for all others, with STDC2. `bins`: sides of the grids
    that the deepest map is pooled to."""
    widths = widths or WIDTHS.get(backbone.registered_name, WIDE)
    if len(widths) != 3:
        raise ConfigError(f"model 'ppliteseg': its widths are three, one of each fused map, not {widths!r}")
    head = PPLiteSegHead(backbone.channels, nclass, widths, bins)
    heads = [Aux(_classifier(widths[k], nclass), "head", k) for k in (1, 2)]
    # PaddlePaddle draws every convolution so.
    for block in (head, *(one.block for one in heads)):
        draw(block, FAN_IN)
    return Segmentor(backbone, head, heads if aux else (), align_corners=False)

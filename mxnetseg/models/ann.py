"""ANN: Asymmetric Non-local Neural Networks (Zhu et al., ICCV 2019, arXiv 1908.07678).

Attention over a few averages in place of all positions: keys and values are sampled by pyramid pooling. One
such block lets c4 ask c3 (fusion), another lets the reduced map ask itself (context).
"""

from __future__ import annotations

from typing import Optional, Sequence

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Head, Segmentor, aux_on_c3
from mxnetseg.nn.attention import attend, positions
from mxnetseg.nn.initial import draw_as_pytorch
from mxnetseg.nn.layers import ConvUnit, classifier, dropout_layer
from mxnetseg.nn.norm import count_twice
from mxnetseg.nn.pool import adaptive_avg_pool

FORMS = {"paper": {}, "mmseg": {"backbone": "resnet101_v1c", "aux_width": None, "align_corners": False}}


class SampledAttention(HybridBlock):
    """`(query map, key map)` to the attended map, with the query map's shape.

    Keys and values are the averages over grids of `bins` a side. `shared`: query and key are one layer, and
    both maps the same. At the start it gives zero.
    """

    def __init__(
        self, query_channels: int, key_channels: int, inner: int, bins: Sequence[int], shared: bool
    ) -> None:
        super().__init__()
        self._bins = bins
        self._scale = inner**-0.5
        self.key = ConvUnit(key_channels, inner, 1)
        self.query = None if shared else ConvUnit(query_channels, inner, 1)
        if shared:
            count_twice(self.key)
        self.value = nn.Conv2D(inner, 1, in_channels=key_channels)
        self.out = nn.Conv2D(query_channels, 1, in_channels=inner, weight_initializer="zeros")
        draw_as_pytorch(self.value)

    def hybrid_forward(self, F, x, source):
        key, value = self.key(source), self.value(source)
        query = key if self.query is None else self.query(x)
        key, value = self._sample(F, key), self._sample(F, value)
        return self.out(attend(F, query, key, value, self._scale))

    def _sample(self, F, x):
        return F.concat(*[positions(F, adaptive_avg_pool(F, x, bins)) for bins in self._bins], dim=2)


class ANNHead(Head):
    """c3 and c4 to logits at the size of c4."""

    def __init__(
        self, channels: Sequence[int], nclass: int, width: int, inner: int, bins: Sequence[int]
    ) -> None:
        super().__init__()
        c3, c4 = channels[2:]
        self.fusion = SampledAttention(c4, c3, inner, bins, shared=False)
        self.fuse = ConvUnit(2 * c4, c4, 1, act=None)
        self.fuse_drop = dropout_layer(0.1)
        self.reduce = ConvUnit(c4, width)
        self.context = SampledAttention(width, width, inner, bins, shared=True)
        self.join = ConvUnit(2 * width, width, 1)
        self.drop = dropout_layer(0.1)
        self.classifier = classifier(width, nclass)

    def hybrid_forward(self, F, c1, c2, c3, c4):
        x = self.fuse_drop(self.fuse(F.concat(self.fusion(c4, c3), c4, dim=1)))
        x = self.reduce(x)
        x = self.join(F.concat(self.context(x, x), x, dim=1))
        return self.classifier(self.drop(x))


@MODELS.register(
    "ann",
    forms=FORMS,
    paper="Asymmetric Non-local Neural Networks for Semantic Segmentation",
    venue="ICCV 2019",
    year=2019,
    link="https://arxiv.org/abs/1908.07678",
    backbone="resnet101_v1s",
    output_stride=8,
    scores=[
        ("Cityscapes val", "resnet101, 512x1024, 80k", 77.14, "mmsegmentation"),
        ("Cityscapes val", "resnet50, 512x1024, 80k", 77.34, "mmsegmentation"),
        ("ADE20K val", "resnet101, 512x512, 160k", 42.94, "mmsegmentation"),
    ],
)
def ann(
    nclass: int,
    backbone: Backbone,
    aux: bool = True,
    width: Optional[int] = None,
    inner: int = 256,
    bins: Sequence[int] = (1, 3, 6, 8),
    aux_width: Optional[int] = 512,
    align_corners: bool = True,
) -> Segmentor:
    """`width`, `aux_width`: channels of the head and of the auxiliary one, None is a quarter of c4 and of c3.
    `inner`: channels of the attention. `bins`:
    sides of the grids that keys and values are averaged over."""
    head = ANNHead(backbone.channels, nclass, width or backbone.channels[-1] // 4, inner, tuple(bins))
    return Segmentor(
        backbone, head, aux_on_c3(backbone, nclass, aux_width) if aux else (), align_corners=align_corners
    )

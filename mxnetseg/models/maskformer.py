"""MaskFormer: Per-Pixel Classification is Not All You Need for Semantic Segmentation (Cheng et al.,
NeurIPS 2021, arXiv 2107.06278).

A hundred queries read the deepest map through six layers of DETR's decoder. Each then names a class, or none,
and gives a vector; its products with the pixels of a feature pyramid are a mask. The map of classes is the
sum over the queries: chance of the class times chance of the mask. Training matches a picture's classes to
queries (the loss `mask_set`).
"""

from __future__ import annotations

from typing import Sequence

import mxnet as mx
from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Head, Segmentor, WithImage, aux_on_queries
from mxnetseg.nn.initial import XAVIER
from mxnetseg.nn.queries import (
    GroupUnit,
    MaskEmbedding,
    QueryAttention,
    QueryFFN,
    decoder_norm,
    every_sample,
    masks_of,
    semantic_map,
    sine_positions,
)
from mxnetseg.nn.resize import nearest_like, resize_like
from mxnetseg.nn.tokens import to_tokens, token_dense

FORMS = {
    "paper": {},
    "transformers": {"backbone": "swin_tiny", "backbone_options": {"skip": 0.3}},
    "mmseg": {"enlarged": True},
}


class MaskPyramid(HybridBlock):
    """Four levels to a map of `width` channels at the size of the first, and its projection."""

    def __init__(self, channels: Sequence[int], width: int) -> None:
        super().__init__()
        self.stem = GroupUnit(channels[-1], width)
        self.laterals, self.units = nn.HybridSequential(), nn.HybridSequential()
        for n in reversed(channels[:-1]):
            self.laterals.add(GroupUnit(n, width, 1, act=False))
            self.units.add(GroupUnit(width, width))
        self.project = nn.Conv2D(width, 3, padding=1, in_channels=width, weight_initializer=XAVIER)

    def hybrid_forward(self, F, c1, c2, c3, c4):
        x = self.stem(c4)
        for finer, lateral, unit in zip((c3, c2, c1), self.laterals, self.units):
            x = unit(nearest_like(F, x, finer) + lateral(finer))
        return self.project(x)


class DecoderLayer(HybridBlock):
    """DETR's: queries attend to one another, then to the tokens; norms come after."""

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.self_attention, self.self_norm = QueryAttention(width, dropout=dropout), decoder_norm(width)
        self.cross_attention, self.cross_norm = QueryAttention(width, dropout=dropout), decoder_norm(width)
        self.ffn, self.ffn_norm = QueryFFN(width, hidden), decoder_norm(width)
        self.drop = nn.Dropout(dropout)

    def hybrid_forward(self, F, x, queries, tokens, keys):
        placed = x + queries
        x = self.self_norm(x + self.drop(self.self_attention(placed, placed, x)))
        x = self.cross_norm(x + self.drop(self.cross_attention(x + queries, keys, tokens)))
        return self.ffn_norm(x + self.drop(self.ffn(x)))


class MaskFormerHead(Head):
    """The map of classes at the size of c1, or of the image where that comes after the maps; then for each
    layer, the last first, classes of the queries `(N, Q, nclass + 1)` and their masks at the size of c1."""

    def __init__(
        self,
        channels: Sequence[int],
        nclass: int,
        width: int,
        queries: int,
        layers: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self._width = width
        self.pyramid = MaskPyramid(channels, width)
        self.reduce = nn.Conv2D(width, 1, in_channels=channels[-1], weight_initializer=XAVIER)
        self.queries = self.params.get("queries", shape=(queries, width), init=mx.init.Normal(1.0))
        self.layers = nn.HybridSequential()
        for _ in range(layers):
            self.layers.add(DecoderLayer(width, 2048, dropout))
        self.norm = decoder_norm(width)
        self.classifier = token_dense(nclass + 1, width, weights=XAVIER)
        self.embed = MaskEmbedding(width, width)

    def hybrid_forward(self, F, c1, c2, c3, c4, *image, queries):
        pixels = self.pyramid(c1, c2, c3, c4)
        deep = self.reduce(c4)
        tokens = to_tokens(F, deep)
        keys = F.broadcast_add(tokens, sine_positions(F, deep, self._width))
        queries = every_sample(F, queries, deep)
        x = F.zeros_like(queries)
        found = []
        for layer in self.layers:
            x = layer(x, queries, tokens, keys)
            normed = self.norm(x)
            found = [self.classifier(normed), masks_of(F, self.embed(normed), pixels), *found]
        classes, masks = found[:2]
        if image:
            masks = resize_like(F, masks, image[0], align_corners=False)
        return (semantic_map(F, classes, masks), *found)


@MODELS.register(
    "maskformer",
    forms=FORMS,
    paper="Per-Pixel Classification is Not All You Need for Semantic Segmentation",
    venue="NeurIPS 2021",
    year=2021,
    link="https://arxiv.org/abs/2107.06278",
    backbone="resnet50",
    output_stride=32,
    scores=[
        ("ADE20K val", "resnet50, 512x512, 160k", 44.5, "the paper"),
        ("ADE20K val", "swin_tiny, 512x512, 160k", 46.7, "the paper"),
    ],
)
def maskformer(
    nclass: int,
    backbone: Backbone,
    aux: bool = True,
    width: int = 256,
    queries: int = 100,
    layers: int = 6,
    dropout: float = 0.1,
    enlarged: bool = False,
) -> Segmentor:
    """`aux`: what training takes, classes and masks of every layer. `width`: channels of queries and pixels.
    `layers`: of the decoder, `dropout`: in them. `enlarged`: masks are brought to the image's size before
    they are summed up to classes, not the sums."""
    head = MaskFormerHead(backbone.channels, nclass, width, queries, layers, dropout)
    return Segmentor(
        backbone,
        head,
        aux_on_queries(layers) if aux else (),
        neck=WithImage() if enlarged else None,
        align_corners=False,
        full_size=enlarged,
    )

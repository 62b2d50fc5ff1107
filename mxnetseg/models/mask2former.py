"""Mask2Former: Masked-attention Mask Transformer for Universal Image Segmentation (Cheng et al., CVPR 2022,
arXiv 2112.01527).

MaskFormer with three changes: deformable attention over three levels makes the pixels' map, the queries read
those levels in turn, deepest first, and each reads only where its own mask so far is (everywhere where that
is nowhere). Training matches a picture's classes to queries (the loss `mask_set`).
"""

from __future__ import annotations

from typing import Optional, Sequence, Tuple

import mxnet as mx
from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Head, Segmentor, WithImage, aux_on_queries
from mxnetseg.nn.deformable import DeformableLayer, places, split_tokens
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
from mxnetseg.nn.resize import resize_like, resize_to
from mxnetseg.nn.tokens import to_map, to_tokens, token_dense

FORMS = {
    "paper": {},
    # It resizes masks to one size before it sums them up.
    "transformers": {
        "backbone": "swin_tiny",
        "backbone_options": {"skip": 0.1},
        "resolution": (384, 384),
    },
    "mmseg": {"enlarged": True},
}
LEVELS = 3


class PixelDecoder(HybridBlock):
    """Four levels to the pixels' map at the size of the first, and three maps, deepest first."""

    def __init__(self, channels: Sequence[int], width: int, layers: int) -> None:
        super().__init__()
        self._width = width
        self.reduce = nn.HybridSequential()
        for n in channels[:0:-1]:
            self.reduce.add(GroupUnit(n, width, 1, bias=True, act=False))
        self.levels = self.params.get("levels", shape=(LEVELS, width), init=mx.init.Normal(1.0))
        self.layers = nn.HybridSequential()
        for _ in range(layers):
            self.layers.add(DeformableLayer(width))
        self.lateral = GroupUnit(channels[0], width, 1, act=False)
        self.smooth = GroupUnit(width, width)
        self.project = nn.Conv2D(width, 1, in_channels=width, weight_initializer=XAVIER)

    def hybrid_forward(self, F, c1, c2, c3, c4, levels):
        maps = [reduce(x) for reduce, x in zip(self.reduce, (c4, c3, c2))]
        tokens = [to_tokens(F, x) for x in maps]
        positions = F.concat(
            *[
                F.broadcast_add(
                    sine_positions(F, x, self._width),
                    F.expand_dims(F.slice_axis(levels, axis=0, begin=k, end=k + 1), axis=0),
                )
                for k, x in enumerate(maps)
            ],
            dim=1,
        )
        columns, rows = (F.concat(*parts, dim=1) for parts in zip(*[places(F, x) for x in maps]))
        joined = F.concat(*tokens, dim=1)
        for layer in self.layers:
            joined = layer(joined, positions, columns, rows, *tokens, *maps)
            tokens = split_tokens(F, joined, tokens)
        maps = [to_map(F, part, x) for part, x in zip(tokens, maps)]
        fine = self.lateral(c1)
        fine = self.smooth(fine + resize_like(F, maps[-1], fine, align_corners=False))
        return (self.project(fine), *maps)


class MaskedLayer(HybridBlock):
    """Queries read tokens that are not `hidden` from them, attend to one another; norms come after."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.cross_attention, self.cross_norm = QueryAttention(width), decoder_norm(width)
        self.self_attention, self.self_norm = QueryAttention(width), decoder_norm(width)
        self.ffn, self.ffn_norm = QueryFFN(width, hidden), decoder_norm(width)

    def hybrid_forward(self, F, x, queries, tokens, keys, hidden):
        x = self.cross_norm(x + self.cross_attention(x + queries, keys, tokens, hidden))
        placed = x + queries
        x = self.self_norm(x + self.self_attention(placed, placed, x))
        return self.ffn_norm(x + self.ffn(x))


class Mask2FormerHead(Head):
    """The map of classes, of the image's size where that comes after the maps; then for each layer, the last
    first, and for the untouched queries, their classes `(N, Q, nclass + 1)` and masks at the size of c1."""

    def __init__(
        self,
        channels: Sequence[int],
        nclass: int,
        width: int,
        queries: int,
        layers: int,
        resolution: Optional[Tuple[int, int]],
    ) -> None:
        super().__init__()
        self._width = width
        self._resolution = resolution
        self.pixels = PixelDecoder(channels, width, 6)
        normal = mx.init.Normal(1.0)
        self.queries = self.params.get("queries", shape=(queries, width), init=normal)
        self.contents = self.params.get("contents", shape=(queries, width), init=normal)
        self.levels = self.params.get("levels", shape=(LEVELS, width), init=normal)
        self.layers = nn.HybridSequential()
        for _ in range(layers):
            self.layers.add(MaskedLayer(width, 2048))
        self.norm = decoder_norm(width)
        self.classifier = token_dense(nclass + 1, width, weights=XAVIER)
        self.embed = MaskEmbedding(width, width)

    def hybrid_forward(self, F, c1, c2, c3, c4, *image, queries, contents, levels):
        pixels, *maps = self.pixels(c1, c2, c3, c4)
        tokens = [
            F.broadcast_add(
                to_tokens(F, x), F.expand_dims(F.slice_axis(levels, axis=0, begin=k, end=k + 1), axis=0)
            )
            for k, x in enumerate(maps)
        ]
        keys = [F.broadcast_add(part, sine_positions(F, x, self._width)) for part, x in zip(tokens, maps)]
        queries, x = every_sample(F, queries, pixels), every_sample(F, contents, pixels)
        found = self._predicted(F, x, pixels)
        for index, layer in enumerate(self.layers):
            level = index % LEVELS
            hidden = self._hidden(F, found[1], maps[level])
            x = layer(x, queries, tokens[level], keys[level], hidden)
            found = self._predicted(F, x, pixels) + found
        classes, masks = found[:2]
        if image:
            masks = resize_like(F, masks, image[0], align_corners=False)
        elif self._resolution is not None:
            masks = resize_to(F, masks, self._resolution, align_corners=False)
        return (semantic_map(F, classes, masks), *found)

    def _predicted(self, F, x, pixels):
        x = self.norm(x)
        return [self.classifier(x), masks_of(F, self.embed(x), pixels)]

    def _hidden(self, F, masks, like):
        """`(N, Q, L)`: 1 where a query's mask is not; 0 for one whose mask is nowhere."""
        chances = F.sigmoid(resize_like(F, F.BlockGrad(masks), like, align_corners=False))
        hidden = F.reshape(chances, (0, 0, -1)) < 0.5
        return F.BlockGrad(F.broadcast_mul(hidden, 1 - F.min(hidden, axis=2, keepdims=True)))


@MODELS.register(
    "mask2former",
    forms=FORMS,
    paper="Masked-attention Mask Transformer for Universal Image Segmentation",
    venue="CVPR 2022",
    year=2022,
    link="https://arxiv.org/abs/2112.01527",
    backbone="resnet50",
    output_stride=32,
    scores=[
        ("ADE20K val", "resnet50, 512x512, 160k", 47.2, "the paper"),
        ("ADE20K val", "swin_tiny, 512x512, 160k", 47.7, "the paper"),
    ],
)
def mask2former(
    nclass: int,
    backbone: Backbone,
    aux: bool = True,
    width: int = 256,
    queries: int = 100,
    layers: int = 9,
    resolution: Optional[Tuple[int, int]] = None,
    enlarged: bool = False,
) -> Segmentor:
    """`aux`: what training takes, classes and masks of the queries before and after every layer. `width`:
    channels of queries and pixels. `layers`: of the queries' decoder. `resolution`: size that masks are
    brought to before they are summed up to classes; None is c1's, `enlarged` the image's own."""
    head = Mask2FormerHead(backbone.channels, nclass, width, queries, layers, resolution)
    return Segmentor(
        backbone,
        head,
        aux_on_queries(layers + 1) if aux else (),
        neck=WithImage() if enlarged else None,
        align_corners=False,
        full_size=enlarged,
    )

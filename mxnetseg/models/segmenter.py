"""Segmenter: Transformer for Semantic Segmentation (Strudel et al., ICCV 2021, arXiv 2105.05633),
with its mask decoder, or its linear one (`decoder="linear"`), which only classifies the patches.

One embedding for each class goes through two transformer layers beside the patches; the cosine between a
patch and a class's embedding, normalized over the classes, is the class's score there. Logits come at
stride 16.

The authors cut them to the image where its sides are no multiples of a patch; mmsegmentation squeezes the
padding into it (`variant="mmseg"`), and draws the last projections more narrowly. While training it skips the
dense layers of blocks, the mask decoder's included; the authors skip attention too and drop in the decoder.
"""

from __future__ import annotations

from typing import Literal

import mxnet as mx
from mxnet.gluon import nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.errors import ConfigError
from mxnetseg.models.base import MODELS, Head, Segmentor
from mxnetseg.nn.layers import classifier
from mxnetseg.nn.tokens import NARROW, to_tokens, token_dense
from mxnetseg.nn.transformer import plain_block

FORMS = {
    "paper": {},
    "mmseg": {
        "variant": "mmseg",
        "dropout": 0.0,
        "skip": 0.1,
        "backbone_options": {"patch_bias": False, "skip_attention": False},
    },
}
Variant = Literal["authors", "mmseg"]


class MaskDecoder(Head):
    """The last map `(N, C, h, w)` to logits `(N, nclass, h, w)`."""

    def __init__(
        self, channels: int, nclass: int, layers: int, dropout: float, skip: float, variant: Variant
    ) -> None:
        super().__init__()
        self._nclass = nclass
        self.reduce = token_dense(channels, channels)
        self.classes = self.params.get("classes", shape=(1, nclass, channels), init=NARROW)
        self.blocks = nn.HybridSequential()
        for index in range(layers):
            rate = skip * index / max(layers - 1, 1)
            heads = channels // 64
            self.blocks.add(plain_block(channels, heads, 1e-5, dropout, rate, False, biases="zeros"))
        self.norm = nn.LayerNorm(in_channels=channels)
        weights = mx.init.Normal(channels**-0.5) if variant == "authors" else NARROW
        self.patch_proj = token_dense(channels, channels, bias=False, weights=weights)
        self.class_proj = token_dense(channels, channels, bias=False, weights=weights)
        self.mask_norm = nn.LayerNorm(in_channels=nclass)

    def hybrid_forward(self, F, t1, t2, t3, t4, classes):
        tokens = self.reduce(to_tokens(F, t4))
        everywhere = F.broadcast_like(classes, tokens, lhs_axes=(0,), rhs_axes=(0,))
        tokens = self.norm(self.blocks(F.concat(tokens, everywhere, dim=1)))
        patches = self.patch_proj(F.slice_axis(tokens, axis=1, begin=0, end=-self._nclass))
        classes = self.class_proj(F.slice_axis(tokens, axis=1, begin=-self._nclass, end=None))
        cosines = F.batch_dot(_unit_length(F, patches), _unit_length(F, classes), transpose_b=True)
        masks = F.transpose(self.mask_norm(cosines), (0, 2, 1))
        return F.reshape_like(masks, t4, lhs_begin=2, lhs_end=3, rhs_begin=2, rhs_end=4)


class LinearDecoder(Head):
    """The last map `(N, C, h, w)` to logits `(N, nclass, h, w)`, each patch by itself."""

    def __init__(self, channels: int, nclass: int) -> None:
        super().__init__()
        self.classifier = classifier(channels, nclass)

    def hybrid_forward(self, F, t1, t2, t3, t4):
        return self.classifier(t4)


def _unit_length(F, tokens):
    return F.broadcast_div(tokens, F.norm(tokens, axis=2, keepdims=True))


@MODELS.register(
    "segmenter",
    forms=FORMS,
    paper="Segmenter: Transformer for Semantic Segmentation",
    venue="ICCV 2021",
    year=2021,
    link="https://arxiv.org/abs/2105.05633",
    backbone="vit_tiny",
    output_stride=16,
    one_stride=True,
    backbone_options={"final_norm": True, "resizing": "bicubic", "skip": 0.1},
    scores=[
        ("ADE20K val", "vit_tiny, 512x512, 160k", 39.99, "mmsegmentation"),
        ("ADE20K val", "vit_small, 512x512, 160k", 46.19, "mmsegmentation"),
        ("ADE20K val", "vit_base, 512x512, 160k", 49.6, "mmsegmentation"),
        ("ADE20K val", "vit_large, 512x512, 160k", 52.16, "mmsegmentation"),
    ],
)
def segmenter(
    nclass: int,
    backbone: Backbone,
    layers: int = 2,
    dropout: float = 0.1,
    skip: float = 0.0,
    variant: Variant = "authors",
    decoder: Literal["mask", "linear"] = "mask",
) -> Segmentor:
    """`layers`, `dropout`: of the mask decoder. `skip`: chance that its last block's dense layers
    are skipped. `variant`, `decoder`: see above. One class alone cannot be normalized over classes: the mask
    decoder needs at least two."""
    if len(set(backbone.strides)) > 1:
        raise ConfigError("segmenter needs a backbone whose maps all have one stride, such as vit_tiny")
    if decoder == "mask" and nclass < 2:
        raise ConfigError("segmenter normalizes scores over the classes, so it needs at least two of them")
    channels = backbone.channels[-1]
    if decoder == "linear":
        head: Head = LinearDecoder(channels, nclass)
    else:
        head = MaskDecoder(channels, nclass, layers, dropout, skip, variant)
    patch = backbone.patch if variant == "authors" else 1
    return Segmentor(backbone, head, align_corners=False, patch=patch)

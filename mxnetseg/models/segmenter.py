"""Segmenter: Transformer for Semantic Segmentation (Strudel et al., ICCV 2021, arXiv 2105.05633),
with its mask decoder.

One embedding for each class goes through two transformer layers beside the patches; the cosine between a
patch and a class's embedding, normalized over the classes, is the class's score there. Logits come at
stride 16.
"""

from __future__ import annotations

import mxnet as mx
from mxnet.gluon import nn

from mxnetseg.backbones.vit import Block
from mxnetseg.errors import ConfigError
from mxnetseg.models.base import MODELS, Head, Segmentor
from mxnetseg.nn.tokens import to_tokens, token_dense


class MaskDecoder(Head):
    """The last map `(N, C, h, w)` to logits `(N, nclass, h, w)`."""

    def __init__(self, channels, nclass, layers):
        super().__init__()
        self._nclass = nclass
        self.reduce = token_dense(channels, channels)
        self.classes = self.params.get("classes", shape=(1, nclass, channels), init=mx.init.Normal(0.02))
        self.blocks = nn.HybridSequential()
        for _ in range(layers):
            self.blocks.add(Block(channels, channels // 64, epsilon=1e-5))
        self.norm = nn.LayerNorm(in_channels=channels)
        self.patch_proj = token_dense(channels, channels, bias=False)
        self.class_proj = token_dense(channels, channels, bias=False)
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


def _unit_length(F, tokens):
    return F.broadcast_div(tokens, F.norm(tokens, axis=2, keepdims=True))


@MODELS.register(
    "segmenter",
    paper="Segmenter: Transformer for Semantic Segmentation",
    venue="ICCV 2021",
    year=2021,
    link="https://arxiv.org/abs/2105.05633",
    backbone="vit_tiny",
    output_stride=16,
    one_stride=True,
    backbone_options={"final_norm": True, "resizing": "bicubic"},
    scores=[
        ("ADE20K val", "vit_tiny, 512x512, 160k", 39.99, "mmsegmentation"),
        ("ADE20K val", "vit_small, 512x512, 160k", 46.19, "mmsegmentation"),
        ("ADE20K val", "vit_base, 512x512, 160k", 49.6, "mmsegmentation"),
        ("ADE20K val", "vit_large, 512x512, 160k", 52.16, "mmsegmentation"),
    ],
)
def segmenter(nclass, backbone, layers=2):
    """`layers`: of the mask decoder. One class alone cannot be normalized over classes: at least two."""
    if len(set(backbone.strides)) > 1:
        raise ConfigError("segmenter needs a backbone whose maps all have one stride, such as vit_tiny")
    if nclass < 2:
        raise ConfigError("segmenter normalizes scores over the classes, so it needs at least two of them")
    return Segmentor(backbone, MaskDecoder(backbone.channels[-1], nclass, layers), align_corners=False)

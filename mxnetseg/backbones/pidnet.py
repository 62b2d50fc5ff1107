"""The three branches of PIDNet (Xu et al., CVPR 2023, arXiv 2206.02066): detail, context and boundaries.

Named after a controller's terms: P keeps detail at stride 8, I integrates context down to stride 64, D
derives boundaries. Attention lets P take from I where they agree; D decides, pixel by pixel, which of the
two the output follows. PIDNet-L is deeper, pools as DDRNet does and fuses by a whole convolution.
"""

from __future__ import annotations

from typing import Dict

import numpy as np
from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import BACKBONES, Backbone
from mxnetseg.backbones.branch_names import FRESH_PIDNET, UNUSED, without_stem_biases
from mxnetseg.backbones.branch_names import PIDNET as AUTHORS_PIDNET
from mxnetseg.backbones.naming import CLASSIFIER, PIDNET, ImageNetNames
from mxnetseg.nn.dappm import WindowPooling
from mxnetseg.nn.layers import ConvUnit
from mxnetseg.nn.preact import PreActUnit
from mxnetseg.nn.residual import BasicUnit, BottleneckUnit, residual_stage
from mxnetseg.nn.resize import resize_like


class AgreementFusion(HybridBlock):
    """`(p, i)` of the same channels to a mixture at p's size: i as far as embeddings of both agree."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.embed_p = ConvUnit(channels, inner, 1, act=None)
        self.embed_i = ConvUnit(channels, inner, 1, act=None)

    def hybrid_forward(self, F, p, i):
        embedded = resize_like(F, self.embed_i(i), p, align_corners=False)
        share = F.sigmoid(F.sum(self.embed_p(p) * embedded, axis=1, keepdims=True))
        i = resize_like(F, i, p, align_corners=False)
        return F.broadcast_mul(i, share) + F.broadcast_mul(p, 1 - share)


class BoundaryFusion(HybridBlock):
    """`(p, i, d)` to one map: p near boundaries, i away from them."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.blend_p = ConvUnit(channels, out, 1, act=None)
        self.blend_i = ConvUnit(channels, out, 1, act=None)

    def hybrid_forward(self, F, p, i, d):
        share = F.sigmoid(d)
        return self.blend_p((1 - share) * i + p) + self.blend_i(i + share * p)


class WholeBoundaryFusion(HybridBlock):
    """`(p, i, d)` to one map: p near boundaries, i away from them, blended by a 3x3 convolution."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.blend = PreActUnit(channels, out)

    def hybrid_forward(self, F, p, i, d):
        share = F.sigmoid(d)
        return self.blend(share * p + (1 - share) * i)


class PIDNet(Backbone):
    """Stem at stride 4; stem at 8; P after its first fusion; the fused map, both at 8.

    `boundary=True` puts D's map before its last block (stride 8) in the stem's place, for a boundary head.
    `large` is PIDNet-L.
    """

    imagenet = ImageNetNames(PIDNET, (*CLASSIFIER, *UNUSED), FRESH_PIDNET, [AUTHORS_PIDNET])

    def __init__(self, width: int, boundary: bool, large: bool = False) -> None:
        w = width
        # Blocks of the stem's stages and P's first two; of I's first two.
        stem, deep = (3, 4) if large else (2, 3)
        super().__init__(
            channels=(2 * w if boundary else w, 2 * w, 2 * w, 4 * w), strides=(8 if boundary else 4, 8, 8, 8)
        )
        self._boundary = boundary
        self.stem = nn.HybridSequential()
        # Zero input channels: the image's are inferred when the backbone is created.
        self.stem.add(
            ConvUnit(0, w, strides=2),
            ConvUnit(w, w, strides=2),
            residual_stage(BasicUnit, w, w, stem, rectify_last=True),
        )
        self.stem_down = residual_stage(BasicUnit, w, 2 * w, stem, strides=2, rectify_last=True)
        self.i_branch, self.p_branch, self.d_branch = (nn.HybridSequential() for _ in range(3))
        self.i_branch.add(
            residual_stage(BasicUnit, 2 * w, 4 * w, deep, strides=2),
            residual_stage(BasicUnit, 4 * w, 8 * w, deep, strides=2),
            _bottlenecks(8 * w, 8 * w, 2, strides=2),
        )
        self.p_branch.add(
            residual_stage(BasicUnit, 2 * w, 2 * w, stem),
            residual_stage(BasicUnit, 2 * w, 2 * w, stem),
            _bottlenecks(2 * w, 2 * w, 1),
        )
        if large:
            first, second = (residual_stage(BasicUnit, 2 * w, 2 * w, 1) for _ in range(2))
        else:
            first, second = residual_stage(BasicUnit, 2 * w, w, 1), _bottlenecks(w, w, 1)
        self.d_branch.add(first, second, _bottlenecks(2 * w, 2 * w, 1))
        self.compress, self.agree, self.derive = (nn.HybridSequential() for _ in range(3))
        self.compress.add(ConvUnit(4 * w, 2 * w, 1, act=None), ConvUnit(8 * w, 2 * w, 1, act=None))
        self.agree.add(AgreementFusion(2 * w, w), AgreementFusion(2 * w, w))
        self.derive.add(ConvUnit(4 * w, 2 * w if large else w, act=None), ConvUnit(8 * w, 2 * w, act=None))
        self.pooling = WindowPooling(16 * w, 112 if large else 96, 4 * w, cascade=large)
        self.fuse = (WholeBoundaryFusion if large else BoundaryFusion)(4 * w, 4 * w)

    def rearrange(self, tensors: Dict[str, np.ndarray]) -> Dict[str, np.ndarray]:
        return without_stem_biases(tensors)

    def hybrid_forward(self, F, x):
        c1 = self.stem(x)
        c2 = self.stem_down(c1)
        p = i = d = c2
        first = None
        for stage in range(2):
            i = F.relu(self.i_branch[stage](i))
            p = self.agree[stage](self.p_branch[stage](p), self.compress[stage](i))
            d = self.d_branch[stage](d)
            d = d + resize_like(F, self.derive[stage](i), d, align_corners=False)
            first = p if first is None else first
            boundary = d
            p, d = F.relu(p), F.relu(d)
        p, d = self.p_branch[2](p), self.d_branch[2](d)
        i = resize_like(F, self.pooling(self.i_branch[2](i)), p, align_corners=False)
        return boundary if self._boundary else c1, c2, first, self.fuse(p, i, d)


def _bottlenecks(in_channels, channels, blocks, strides=1):
    """Bottlenecks none of which ends in a ReLU."""
    stage = nn.HybridSequential()
    for index in range(blocks):
        stage.add(BottleneckUnit(in_channels, channels, strides if index == 0 else 1, rectify=False))
        in_channels = channels * BottleneckUnit.expansion
    return stage


@BACKBONES.register("pidnet_s", output_strides=(8,))
def pidnet_s(boundary: bool = False) -> PIDNet:
    """`boundary`: c1 is the boundary branch's map instead of the stem's."""
    return PIDNet(32, boundary)


@BACKBONES.register("pidnet_m", output_strides=(8,))
def pidnet_m(boundary: bool = False) -> PIDNet:
    """`boundary`: c1 is the boundary branch's map instead of the stem's."""
    return PIDNet(64, boundary)


@BACKBONES.register("pidnet_l", output_strides=(8,))
def pidnet_l(boundary: bool = False) -> PIDNet:
    """`boundary`: c1 is the boundary branch's map instead of the stem's."""
    return PIDNet(64, boundary, large=True)

"""FaPN: Feature-aligned Pyramid Network for Dense Image Prediction (Huang et al., ICCV 2021,
arXiv 2108.07058).

A feature pyramid with two changes: lateral connections select channels before they reduce them, and the
enlarged coarse map is aligned to the lateral by a modulated deformable convolution whose offsets come
from both.

Forms: `paper`, as the authors publish it but without PointRend at test time (its point head can be trained
beside, `points`): no norms in the pyramid, a convolution on
what each level gives, all levels summed as in Semantic FPN (whose branches have batch norms here and group
norms there), resizing without aligned corners. `mxnetseg`: the finest level alone is classified; the
selection has a batch norm before its sigmoid and a ReLU at its end, and the deformable convolution reads the
offset features beside the coarse map.
"""

from __future__ import annotations

from typing import Literal, Sequence

import mxnet as mx
from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.errors import ConfigError
from mxnetseg.models.base import MODELS, Aux, Head, Segmentor, aux_on_c3
from mxnetseg.models.semanticfpn import SemanticFPNHead
from mxnetseg.nn.initial import draw
from mxnetseg.nn.layers import ConvUnit, Dropped, FCNHead
from mxnetseg.nn.points import PointHead
from mxnetseg.nn.pool import adaptive_avg_pool
from mxnetseg.nn.resize import resize_like
from mxnetseg.nn.warp import pixel_grid, sample

Variant = Literal["paper", "mxnetseg"]
FORMS = {"paper": {}, "mxnetseg": {"variant": "mxnetseg", "aux": True, "dropped": "elements"}}
# What the authors draw the pyramid's convolutions by.
AUTHORS = mx.init.Xavier("uniform", "in", 3)


class FeatureSelection(HybridBlock):
    """`(N, in, H, W)` to `(N, channels, H, W)`: channels weighed by the pooled map, then reduced."""

    def __init__(self, in_channels: int, channels: int, variant: Variant) -> None:
        super().__init__()
        self._variant = variant
        if variant == "paper":
            self.score = nn.Conv2D(in_channels, 1, use_bias=False, in_channels=in_channels)
        else:
            self.score = ConvUnit(in_channels, in_channels, 1, act=None)
        self.reduce = nn.Conv2D(channels, 1, use_bias=False, in_channels=in_channels)

    def hybrid_forward(self, F, x):
        score = F.sigmoid(self.score(adaptive_avg_pool(F, x, 1)))
        x = self.reduce(F.broadcast_mul(x, score) + x)
        return F.relu(x) if self._variant == "mxnetseg" else x


class ModulatedDeformableConv(HybridBlock):
    """`(map, guide)` to `(N, channels, H, W)`: a 3x3 convolution (DCNv2, arXiv 1811.11168) of the map.

    A convolution of the guide, zero at first, gives for each of `groups` groups and nine taps an offset
    (y then x, in pixels) and a weight (`peak` times a sigmoid). Each tap is a warp of the map and all of them
    go through one 1x1 convolution: MXNet's own operator has no gradient on the CPU and cannot be exported.
    """

    def __init__(
        self, in_channels: int, guide_channels: int, channels: int, groups: int = 8, peak: float = 2.0
    ) -> None:
        super().__init__()
        self._peak = peak
        self._groups, self._of_group = groups, in_channels // groups
        self._channels = channels
        self.offset = nn.Conv2D(
            3 * 9 * groups, 3, padding=1, in_channels=guide_channels, weight_initializer="zeros"
        )
        self.weight = self.params.get("weight", shape=(channels, in_channels, 3, 3))
        self.bias = self.params.get("bias", shape=(channels,), init="zeros")

    def hybrid_forward(self, F, x, guide, weight, bias):
        shifts = self.offset(guide)
        offsets = F.slice_axis(shifts, axis=1, begin=0, end=2 * 9 * self._groups)
        masks = self._peak * F.sigmoid(F.slice_axis(shifts, axis=1, begin=2 * 9 * self._groups, end=None))
        # Groups become images of their own: (N * groups, channels of one of them, H, W).
        x = F.reshape(x, (-1, self._of_group, 0, 0))
        offsets = F.split(F.reshape(offsets, (-1, 2 * 9, 0, 0)), num_outputs=2 * 9, axis=1)
        masks = F.split(F.reshape(masks, (-1, 9, 0, 0)), num_outputs=9, axis=1)
        taps = []
        for tap in range(9):
            dy, dx = offsets[2 * tap] + (tap // 3 - 1), offsets[2 * tap + 1] + (tap % 3 - 1)
            grid = pixel_grid(F, F.concat(dx, dy, dim=1))
            taps.append(F.broadcast_mul(sample(F, x, grid), masks[tap]))
        # Stacked, as the gradient of oneDNN's concatenation fails for parts of few channels.
        columns = F.reshape(F.stack(*taps, axis=1), (0, -3, 0, 0))
        columns = F.reshape(columns, (-1, 9 * self._groups * self._of_group, 0, 0))
        # (out, in, 3, 3) in the order of the columns: group, tap, channel of the group.
        weight = F.transpose(F.reshape(weight, (0, -4, self._groups, -1, -3)), (0, 1, 3, 2))
        return F.Convolution(
            columns, F.reshape(weight, (0, -1, 1, 1)), bias, kernel=(1, 1), num_filter=self._channels
        )


class FeatureAlignment(HybridBlock):
    """`(high, low)` to their sum at low's size, high aligned to the selected low."""

    def __init__(self, low_channels: int, width: int, variant: Variant) -> None:
        super().__init__()
        self._variant = variant
        self.select = FeatureSelection(low_channels, width, variant)
        if variant == "paper":
            self.guide = nn.Conv2D(width, 1, use_bias=False, in_channels=2 * width)
            self.align = ModulatedDeformableConv(width, width, width, peak=1.0)
        else:
            self.guide = ConvUnit(2 * width, width, 1)
            self.align = ModulatedDeformableConv(2 * width, 2 * width, width)

    def hybrid_forward(self, F, high, low):
        low = self.select(low)
        high = resize_like(F, high, low, align_corners=self._variant == "mxnetseg")
        if self._variant == "paper":
            aligned = self.align(high, self.guide(F.concat(low, 2 * high, dim=1)))
        else:
            joined = F.concat(high, self.guide(F.concat(low, high, dim=1)), dim=1)
            aligned = self.align(joined, joined)
        return F.relu(aligned) + low


class AlignedPyramid(HybridBlock):
    """Four levels to four of `width` channels, fine to coarse: a convolution on each but the coarsest."""

    def __init__(self, channels: Sequence[int], width: int) -> None:
        super().__init__()
        *finer, deepest = channels
        self.reduce = nn.Conv2D(width, 1, in_channels=deepest)
        self.aligns, self.outs = nn.HybridSequential(), nn.HybridSequential()
        for n in reversed(finer):
            self.aligns.add(FeatureAlignment(n, width, "paper"))
            self.outs.add(nn.Conv2D(width, 3, padding=1, in_channels=width))
        draw(self, AUTHORS)

    def hybrid_forward(self, F, c1, c2, c3, c4):
        x = self.reduce(c4)
        maps = [x]
        for align, out, low in zip(self.aligns, self.outs, (c3, c2, c1)):
            x = align(x, low)
            maps.insert(0, out(x))
        return maps


class FinestLevelHead(Head):
    """MXNetSeg's: top-down path from c4 to c1, classifier at c1's size."""

    def __init__(self, channels: Sequence[int], nclass: int, width: int, dropped: Dropped) -> None:
        super().__init__()
        *finer, deepest = channels
        self.reduce = ConvUnit(deepest, width, 1)
        self.aligns = nn.HybridSequential()
        for n in reversed(finer):
            self.aligns.add(FeatureAlignment(n, width, "mxnetseg"))
        self.classifier = FCNHead(width, nclass, width, dropped=dropped)

    def hybrid_forward(self, F, c1, c2, c3, c4):
        x = self.reduce(c4)
        for align, low in zip(self.aligns, (c3, c2, c1)):
            x = align(x, low)
        return self.classifier(x)


@MODELS.register(
    "fapn",
    forms=FORMS,
    paper="FaPN: Feature-aligned Pyramid Network for Dense Image Prediction",
    venue="ICCV 2021",
    year=2021,
    link="https://arxiv.org/abs/2108.07058",
    backbone="resnet50_v1s",
    output_stride=32,
    scores=[
        ("Cityscapes val", "resnet50, with PointRend", 80.0, "the authors"),
        ("Cityscapes val", "resnet101, with PointRend", 80.1, "the authors"),
    ],
)
def fapn(
    nclass: int,
    backbone: Backbone,
    aux: bool = False,
    width: int = 256,
    branch_width: int = 128,
    variant: Variant = "paper",
    dropped: Dropped = "channels",
    points: int = 0,
) -> Segmentor:
    """`width`: channels of the pyramid, a multiple of 8. `branch_width`: of the paper's summed maps.
    `variant`: see above. `aux`: a plain head on c3. `dropped`: what dropout drops (paper: none).
    `points`: with the paper's variant, an auxiliary head, trained on so many points of each image where the
    logits are in doubt, as PointRend's is; the authors' recipe has 2048."""
    if width % 8:
        raise ConfigError(f"fapn width must be a multiple of 8, the groups of its convolutions, not {width}")
    if variant == "paper":
        pyramid = AlignedPyramid(backbone.channels, width)
        head = SemanticFPNHead(pyramid, backbone.strides, nclass, width, branch_width, 0.0, False)
    else:
        head = FinestLevelHead(backbone.channels, nclass, width, dropped)
    heads = aux_on_c3(backbone, nclass, dropped=dropped) if aux else []
    if points and (variant != "paper" or nclass < 2):
        raise ConfigError("fapn points need the paper's variant and two classes or more")
    if points:
        heads.append(Aux(PointHead(nclass, width, points), "head", 1, "points"))
    return Segmentor(backbone, head, heads, align_corners=variant == "mxnetseg")

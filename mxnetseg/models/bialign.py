"""BiAlignNet: Fast and Accurate Scene Parsing via Bi-direction Alignment Networks (Wu et al., ICIP 2021,
arXiv 2105.11651).

BiSeNet's two paths, spatial and context, aligned to each other before they are joined: one flow warps the
pooled context to the detail, another the detail to the context, each held back by a gate that the map to be
warped computes. The classifier writes 8 x 8 pixels at a time.
"""

from __future__ import annotations

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Aux, Head, Neck, Segmentor
from mxnetseg.nn.initial import FAN_IN_LINEAR, draw, draw_as_pytorch
from mxnetseg.nn.layers import ConvUnit, FCNHead, dropout_layer
from mxnetseg.nn.narrow import NarrowConv2D
from mxnetseg.nn.ppm import PyramidPooling
from mxnetseg.nn.resize import resize_like
from mxnetseg.nn.twopath import ShuffleHead, SpatialPath
from mxnetseg.nn.warp import flow_grid, sample

FORMS = {"paper": {}, "sfsegnets": {"sample_corners": False}}


class SpatialBesideContext(Neck):
    """Image and pyramid to (spatial map at stride 8, c4)."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.spatial_path = SpatialPath(width, channels)
        draw(self.spatial_path, FAN_IN_LINEAR)

    def hybrid_forward(self, F, image, c1, c2, c3, c4):
        return self.spatial_path(image), c4


class GatedFlowAlign(HybridBlock):
    """`(spatial, context)` of `channels` to one of them warped at the spatial size.

    `moves` names the one that is warped, `context` or `spatial`; its gate scales the flow.
    """

    def __init__(self, channels: int, moves: str, sample_corners: bool) -> None:
        super().__init__()
        self._moves_context = moves == "context"
        self._sample_corners = sample_corners
        reduced = channels // 2
        self.reduce_context = nn.Conv2D(reduced, 1, use_bias=False, in_channels=channels)
        self.reduce_spatial = nn.Conv2D(reduced, 1, use_bias=False, in_channels=channels)
        self.flow = NarrowConv2D(2, 3, 2 * reduced, padding=1)
        self.gate = nn.Conv2D(2, 1, in_channels=channels, activation="sigmoid")
        draw_as_pytorch(self)

    def hybrid_forward(self, F, spatial, context):
        moving = context if self._moves_context else spatial
        fine = self.reduce_spatial(spatial)
        coarse = resize_like(F, self.reduce_context(context), fine)
        flow = self.flow(F.concat(coarse, fine, dim=1))
        flow = flow * resize_like(F, self.gate(moving), flow)
        return sample(F, moving, flow_grid(F, flow, flow), self._sample_corners)


class BiAlignHead(Head):
    """Spatial map and c4 to (logits at full size, the spatial map warped to the context)."""

    def __init__(self, width: int, deepest: int, nclass: int, sample_corners: bool) -> None:
        super().__init__()
        self.ppm = PyramidPooling(deepest, width, act=None, input_first=False)
        self.ppm_fuse = ConvUnit(self.ppm.out_channels, width, 1)
        self.drop = dropout_layer(0.1)
        self.align_context = GatedFlowAlign(width, "context", sample_corners)
        self.align_spatial = GatedFlowAlign(width, "spatial", sample_corners)
        self.classifier = ShuffleHead(2 * width, nclass, 2 * width, 8)
        draw(self.classifier.classifier, FAN_IN_LINEAR)
        draw_as_pytorch(self)

    def hybrid_forward(self, F, spatial, c4):
        context = self.drop(self.ppm_fuse(self.ppm(c4)))
        aligned = self.align_spatial(spatial, context)
        return self.classifier(F.concat(self.align_context(spatial, context), aligned, dim=1)), aligned


@MODELS.register(
    "bialign",
    forms=FORMS,
    paper="Fast and Accurate Scene Parsing via Bi-direction Alignment Networks",
    venue="ICIP 2021",
    year=2021,
    link="https://arxiv.org/abs/2105.11651",
    backbone="dfnetv2",
    output_stride=32,
    backbone_options={"widening": True},
    scores=[
        ("Cityscapes val", "dfnetv2", 78.7, "the authors"),
        ("Cityscapes val", "backbone not named in the abstract, 30 FPS", 80.1, "the paper"),
        ("Cityscapes test", "backbone not named in the abstract, 30 FPS", 78.5, "the paper"),
    ],
)
def bialign(
    nclass: int,
    backbone: Backbone,
    aux: bool = False,
    width: int = 128,
    sample_corners: bool = True,
    boundary: bool = False,
) -> Segmentor:
    """`width`: channels of both paths. `aux`: bare classifiers on the backbone's c3 and c2. `sample_corners`:
    False samples by edges a grid that was made by corner centres, as the authors' code does on newer
    PyTorch releases. `boundary`: with `aux`, a third auxiliary output: the edges that the warped spatial
    map shows, which the authors train with."""
    neck = SpatialBesideContext(width // 2, width)
    head = BiAlignHead(width, backbone.channels[3], nclass, sample_corners)
    heads = []
    if aux:
        for i in (2, 1):
            channels = backbone.channels[i]
            heads.append(Aux(FCNHead(channels, nclass, channels, units=0, dropout=0.0), "backbone", i))
    if aux and boundary:
        shown = ShuffleHead(width, 1, width // 2, 8)
        draw(shown.classifier, FAN_IN_LINEAR)
        draw_as_pytorch(shown)
        heads.append(Aux(shown, "head", 1, "boundary"))
    return Segmentor(backbone, head, heads, neck=neck)

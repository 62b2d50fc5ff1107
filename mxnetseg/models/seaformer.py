"""SeaFormer: Squeeze-enhanced Axial Transformer for Mobile Semantic Segmentation (Wan et al., ICLR 2023,
arXiv 2301.13156).

The work is in its backbone (`backbones/seaformer.py`). The light head weighs the map at stride 8 by a gate
from each coarser map with attention, one after the other, and classifies.
"""

from __future__ import annotations

from typing import Dict, Sequence, Tuple

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.errors import ConfigError
from mxnetseg.models.base import MODELS, Head, Segmentor
from mxnetseg.nn.layers import ConvUnit, classifier, dropout_layer, hard_sigmoid
from mxnetseg.nn.resize import resize_like

# Widths after each gate, of as many of the coarsest maps.
WIDTHS: Dict[str, Tuple[int, ...]] = {
    "seaformer_tiny": (64, 96),
    "seaformer_small": (96, 128),
    "seaformer_base": (128, 160),
    "seaformer_large": (128, 160, 192),
}


class Gated(HybridBlock):
    """`(fine, coarse)` to `(N, channels, H, W)` at the size of the fine map."""

    def __init__(self, fine: int, coarse: int, channels: int) -> None:
        super().__init__()
        self.local = ConvUnit(fine, channels, 1, act=None)
        self.gate = ConvUnit(coarse, channels, 1, act=None)

    def hybrid_forward(self, F, x, coarse):
        gate = hard_sigmoid(F, self.gate(coarse))
        return self.local(x) * resize_like(F, gate, x, align_corners=False)


class SeaFormerHead(Head):
    """Logits at c1's size."""

    def __init__(self, channels: Sequence[int], nclass: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.fusions = nn.HybridSequential()
        before = channels[0]
        for coarse, width in zip(channels[-len(widths) :], widths):
            self.fusions.add(Gated(before, coarse, width))
            before = width
        self.fuse = ConvUnit(before, before, 1, groups=before)
        self.drop = dropout_layer(0.1)
        self.classifier = classifier(before, nclass)

    def hybrid_forward(self, F, c1, *coarser):
        x = c1
        for coarse, fusion in zip(coarser[-len(self.fusions) :], self.fusions):
            x = fusion(x, coarse)
        return self.classifier(self.drop(self.fuse(x)))


@MODELS.register(
    "seaformer",
    paper="SeaFormer: Squeeze-enhanced Axial Transformer for Mobile Semantic Segmentation",
    venue="ICLR 2023",
    year=2023,
    link="https://arxiv.org/abs/2301.13156",
    backbone="seaformer_tiny",
    output_stride=32,
    scores=[
        ("ADE20K val", "seaformer_tiny, 512x512, 160k, batch 16", 35.0, "the authors"),
        ("ADE20K val", "seaformer_small, 512x512, 160k, batch 16", 38.9, "the authors"),
        ("ADE20K val", "seaformer_base, 512x512, 160k, batch 16", 41.2, "the authors"),
        ("ADE20K val", "seaformer_large, 512x512, 160k, batch 16", 43.0, "the authors"),
        ("Cityscapes val", "seaformer_small, 1024x1024, 160k, batch 8", 76.4, "the authors"),
        ("Cityscapes val", "seaformer_base, 1024x1024, 160k, batch 8", 77.7, "the authors"),
    ],
)
def seaformer(nclass: int, backbone: Backbone) -> Segmentor:
    if backbone.registered_name not in WIDTHS:
        raise ConfigError(
            f"model 'seaformer' has no widths for backbone {backbone.registered_name!r}; "
            f"{', '.join(WIDTHS)} are its own"
        )
    head = SeaFormerHead(backbone.channels, nclass, WIDTHS[backbone.registered_name])
    return Segmentor(backbone, head, align_corners=False)

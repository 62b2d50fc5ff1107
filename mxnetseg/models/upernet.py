"""UPerNet: Unified Perceptual Parsing for Scene Understanding (Xiao et al., ECCV 2018, arXiv 1807.10221).

A feature pyramid on top of pyramid pooling: the pooled deepest map goes down through lateral units, every
level is smoothed, and all are joined at stride 4. segmentation_models.pytorch normalizes the backbone's maps
over their channels first.
"""

from __future__ import annotations

from typing import Optional, Sequence

from mxnet.gluon import nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Head, Segmentor, aux_on_c3
from mxnetseg.nn.layers import ConvUnit, classifier, dropout_layer
from mxnetseg.nn.ppm import PyramidPooling
from mxnetseg.nn.resize import resize_like

FORMS = {
    "paper": {},
    "mmseg": {"backbone": "resnet101_v1c", "align_corners": False, "cut": False},
    "smp": {
        "backbone": "resnet34",
        "aux": False,
        "width": 256,
        "input_norm": True,
        "dropout": 0.0,
        "align_corners": False,
        "end_corners": True,
        "drawn": "smp",
    },
}


class UPerHead(Head):
    """Four levels to logits at the size of c1. `width`: channels of every level of the pyramid, `input_norm`:
    whether the levels pass a layer norm over channels, `dropout`: rate under the classifier."""

    def __init__(
        self,
        channels: Sequence[int],
        nclass: int,
        width: int,
        align_corners: bool,
        input_norm: bool = False,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self._align_corners = align_corners
        self.input_norms = nn.HybridSequential()
        for n in channels if input_norm else ():
            self.input_norms.add(nn.LayerNorm(axis=1, epsilon=1e-6, in_channels=n))
        *finer, deepest = channels
        self.ppm = PyramidPooling(deepest, width, align_corners=align_corners)
        self.ppm_fuse = ConvUnit(self.ppm.out_channels, width)
        self.laterals, self.smooths = nn.HybridSequential(), nn.HybridSequential()
        for n in finer:
            self.laterals.add(ConvUnit(n, width, 1))
            self.smooths.add(ConvUnit(width, width))
        self.fuse = ConvUnit(width * len(channels), width)
        self.drop = dropout_layer(dropout)
        self.classifier = classifier(width, nclass)

    def hybrid_forward(self, F, *features):
        if len(self.input_norms):
            features = [norm(x) for norm, x in zip(self.input_norms, features)]
        *finer, deepest = features
        maps = [lateral(x) for lateral, x in zip(self.laterals, finer)]
        maps.append(self.ppm_fuse(self.ppm(deepest)))
        for i in reversed(range(len(finer))):
            maps[i] = maps[i] + resize_like(F, maps[i + 1], maps[i], self._align_corners)
        maps = [smooth(x) for smooth, x in zip(self.smooths, maps)] + maps[-1:]
        joined = maps[:1] + [resize_like(F, x, maps[0], self._align_corners) for x in maps[1:]]
        return self.classifier(self.drop(self.fuse(F.concat(*joined, dim=1))))


@MODELS.register(
    "upernet",
    forms=FORMS,
    paper="Unified Perceptual Parsing for Scene Understanding",
    venue="ECCV 2018",
    year=2018,
    link="https://arxiv.org/abs/1807.10221",
    backbone="resnet101",
    output_stride=32,
    scores=[
        ("Cityscapes val", "resnet101, 512x1024, 80k", 79.4, "mmsegmentation"),
        ("Cityscapes val", "resnet50, 512x1024, 80k", 78.19, "mmsegmentation"),
        ("ADE20K val", "swin_tiny, 512x512, 160k", 44.41, "mmsegmentation"),
        ("ADE20K val", "swin_small, 512x512, 160k", 47.72, "mmsegmentation"),
        ("ADE20K val", "swin_base, 512x512, 160k", 47.99, "mmsegmentation"),
        ("ADE20K val", "twins_pcpvt_small, 512x512, 160k", 46.04, "mmsegmentation"),
        ("ADE20K val", "twins_svt_small, 512x512, 160k", 46.08, "mmsegmentation"),
        ("ADE20K val", "convnext_tiny, 512x512, 160k", 46.11, "mmsegmentation"),
        ("ADE20K val", "convnext_small, 512x512, 160k", 48.56, "mmsegmentation"),
        ("ADE20K val", "convnext_base, 512x512, 160k", 48.71, "mmsegmentation"),
    ],
)
def upernet(
    nclass: int,
    backbone: Backbone,
    aux: bool = True,
    width: int = 512,
    aux_width: Optional[int] = 256,
    input_norm: bool = False,
    dropout: float = 0.1,
    align_corners: bool = True,
    aux_level: int = 2,
    end_corners: Optional[bool] = None,
    cut: bool = True,
) -> Segmentor:
    """`width`: channels of the pyramid. The auxiliary head reads the map at `aux_level`, from 0.
    `input_norm`: see the module. `dropout`: rate under the classifier. `end_corners`: whether the resizing
    to the image aligns corners; None: as the others do. `cut`: logits are cut to images whose sides are no
    multiples of a transformer's patch; mmsegmentation squeezes the padding into them."""
    head = UPerHead(backbone.channels, nclass, width, align_corners, input_norm, dropout)
    return Segmentor(
        backbone,
        head,
        aux_on_c3(backbone, nclass, aux_width, level=aux_level) if aux else (),
        align_corners=align_corners if end_corners is None else end_corners,
        patch=None if cut else 1,
    )

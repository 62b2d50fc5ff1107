"""SwiftNet with a resolution pyramid: In Defense of Pre-trained ImageNet Architectures for Real-time
Semantic Segmentation of Road-driving Images (Orsic et al., CVPR 2019, arXiv 1903.08469).

One backbone sees the image and smaller versions of it. Maps of equal resolution, whichever scale they
come from, meet on one rung of a ladder that climbs from the coarsest to stride 4.

Variants: `authors`, three scales made by bicubic interpolation, batch norms of their own for each, maps
before their last ReLU, projected by a convolution for each level and summed; `mxnetseg`, two
scales with common norms, maps of a rung concatenated and projected together.
"""

from __future__ import annotations

from typing import Sequence

from mxnet.gluon import nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.backbones.multiscale import MultiScale
from mxnetseg.backbones.standardize import Standardize
from mxnetseg.models.base import MODELS, Aux, Head, Segmentor, head_width
from mxnetseg.models.swiftnet import AUTHORS_STATISTICS, Variant
from mxnetseg.nn.initial import draw_as_pytorch
from mxnetseg.nn.layers import ConvUnit, Dropped, FCNHead
from mxnetseg.nn.preact import PreActUnit
from mxnetseg.nn.resize import resize_like

FORMS = {
    "paper": {},
    # Their checkpoints.
    "authors": {"own_statistics": True},
    "mxnetseg": {
        "variant": "mxnetseg",
        "aux": True,
        "backbone_options": {"rectified": True},
        "dropped": "elements",
    },
}


class ResolutionPyramidHead(Head):
    """Four maps of each of `scales` sizes of the image to logits at the size of the first map.

    `levels[r]` lists what meets on rung r, coarsest first: (index of the map, index of its level), the map
    of the largest scale last.
    """

    def __init__(
        self,
        channels: Sequence[int],
        nclass: int,
        width: int,
        scales: int,
        variant: Variant,
        dropped: Dropped,
    ) -> None:
        super().__init__()
        levels = len(channels)
        self._concat = variant == "mxnetseg"
        self._align_corners = variant == "mxnetseg"
        self._rungs = [
            [
                (scale * levels + rung - scale, rung - scale)
                for scale in reversed(range(scales))
                if 0 <= rung - scale < levels
            ]
            for rung in reversed(range(levels + scales - 1))
        ]
        self.projections, self.blends = nn.HybridSequential(), nn.HybridSequential()
        if self._concat:
            for rung in self._rungs:
                self.projections.add(ConvUnit(sum(channels[level] for _, level in rung), width, 1))
        else:
            for n in channels:
                self.projections.add(nn.Conv2D(width, 1, use_bias=False, in_channels=n))
        unit = ConvUnit if self._concat else PreActUnit
        for _ in self._rungs[1:]:
            self.blends.add(unit(width, width))
        if self._concat:
            self.classifier = FCNHead(width, nclass, width, dropped=dropped)
        else:
            self.classifier = PreActUnit(width, nclass, 1, bias=True)
            draw_as_pytorch(self.classifier)

    def hybrid_forward(self, F, *maps):
        x = self._project(F, 0, maps)
        for index, blend in enumerate(self.blends, start=1):
            skip = self._project(F, index, maps)
            x = blend(resize_like(F, x, skip, self._align_corners) + skip)
        return self.classifier(x)

    def _project(self, F, index, maps):
        """The combined maps of a rung, at the size of the largest scale's map.

        Sizes agree already unless the image's sides are no multiples of the coarsest stride.
        """
        rung = self._rungs[index]
        parts = [maps[k] for k, _ in rung]
        if not self._concat:
            parts = [self.projections[level](x) for x, (_, level) in zip(parts, rung)]
        parts = [resize_like(F, x, parts[-1], self._align_corners) for x in parts[:-1]] + parts[-1:]
        if self._concat:
            return self.projections[index](F.concat(*parts, dim=1))
        return sum(parts[1:], parts[0])


@MODELS.register(
    "swiftnetpr",
    forms=FORMS,
    paper="In Defense of Pre-trained ImageNet Architectures for Real-time Semantic Segmentation of"
    " Road-driving Images",
    venue="CVPR 2019",
    year=2019,
    link="https://arxiv.org/abs/1903.08469",
    backbone="resnet18",
    output_stride=32,
    backbone_options={"rectified": False},
    scores=[],
)
def swiftnetpr(
    nclass: int,
    backbone: Backbone,
    aux: bool = False,
    width: int = 128,
    variant: Variant = "authors",
    own_statistics: bool = False,
    dropped: Dropped = "channels",
) -> Segmentor:
    """`width`: channels of the ladder. `variant`: see above. `own_statistics`: the network normalizes
    0..255 images itself, as the authors' checkpoints do. `aux`: a pointwise head on the image's c3.
    `dropped`: what dropout drops, which only the auxiliary head and MXNetSeg's have."""
    authors = variant == "authors"
    factors = (0.5, 0.25) if authors else (0.5,)
    head = ResolutionPyramidHead(backbone.channels, nclass, width, 1 + len(factors), variant, dropped)
    c3 = backbone.channels[2]
    plain = FCNHead(c3, nclass, head_width(256, c3), kernel=1, dropped=dropped)
    supervised = [Aux(plain, "backbone", 2)] if aux else ()
    backbone = MultiScale(backbone, factors, bicubic=authors, separate_norms=authors)
    if own_statistics:
        backbone = Standardize(backbone, *AUTHORS_STATISTICS)
    return Segmentor(backbone, head, supervised, align_corners=not authors)

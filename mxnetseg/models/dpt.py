"""DPT: Vision Transformers for Dense Prediction (Ranftl et al., ICCV 2021, arXiv 2103.13413).

The maps of four blocks, each with the class token beside every patch, are brought to strides 4, 8, 16 and 32
(`Reassemble`) and fused from deep to shallow by residual units with a doubling after each.

Forms differ in the layers around that: mmsegmentation classifies at half the size of the image, the others
double the logits once more; segmentation_models.pytorch has a unit on the deepest map too; Hugging Face's
ViT has no batch norm in its residual units. Logits are cut to images whose sides are no multiples of a patch;
the forms squeeze the padding into them (`cut=False`).
"""

from __future__ import annotations

from typing import Literal, Optional, Sequence, Tuple

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.errors import ConfigError
from mxnetseg.models.base import MODELS, Aux, Head, Segmentor
from mxnetseg.nn.initial import draw_as_pytorch
from mxnetseg.nn.layers import GELU, ConvUnit, Dropped, classifier, dropout_layer
from mxnetseg.nn.resize import resize_by, resize_like

FORMS = {
    "paper": {},
    "mmseg": {
        "doubled": False,
        "cut": False,
        "aux": False,
        "dropped": "channels",
        "start": "mmseg",
        "backbone": "vit_base",
        "backbone_options": {
            "patch_bias": False,
            "epsilon": 1e-5,
            "resizing": "bicubic",
            "grid": [14, 14],
        },
    },
    "hf": {
        "residual_norm": False,
        "cut": False,
        "backbone": "vit_base",
        "backbone_options": {"epsilon": 1e-12},
    },
    "smp": {
        "deepest_unit": True,
        "levels": [256, 512, 1024, 1024],
        "cut": False,
        "aux": False,
        "backbone": "vit_base",
        "backbone_options": {"resizing": "bicubic_antialias", "grid": [14, 14]},
    },
}
Start = Literal["authors", "mmseg"]


class Reassemble(HybridBlock):
    """A map `(N, in, h, w)` to `(N, width, f h, f w)`, f = 4, 2, 1 or 1/2 at `place` 0 to 3.

    `token`: channels of a patch, where the map has the class token beside it. `channels`: after projection.
    """

    def __init__(self, in_channels: int, token: int, channels: int, width: int, place: int) -> None:
        super().__init__()
        self.readout = nn.Conv2D(token, 1, in_channels=in_channels) if token < in_channels else None
        self.act = GELU()
        self.project = nn.Conv2D(channels, 1, in_channels=token)
        self.resize = None
        if place < 2:
            factor = 4 >> place
            self.resize = nn.Conv2DTranspose(channels, factor, factor, in_channels=channels)
        elif place == 3:
            self.resize = nn.Conv2D(channels, 3, 2, 1, in_channels=channels)
        self.smooth = nn.Conv2D(width, 3, padding=1, use_bias=False, in_channels=channels)

    def hybrid_forward(self, F, x):
        if self.readout is not None:
            x = self.act(self.readout(x))
        x = self.project(x)
        return self.smooth(x if self.resize is None else self.resize(x))


class ResidualUnit(HybridBlock):
    """Twice ReLU, 3x3 convolution and, with `norm`, batch norm; plus the input."""

    def __init__(self, width: int, norm: bool) -> None:
        super().__init__()
        self.convs, self.norms = nn.HybridSequential(), nn.HybridSequential()
        for _ in range(2):
            self.convs.add(nn.Conv2D(width, 3, padding=1, use_bias=not norm, in_channels=width))
            self.norms.add(nn.BatchNorm(in_channels=width) if norm else nn.HybridSequential())

    def hybrid_forward(self, F, x):
        y = x
        for conv, norm in zip(self.convs, self.norms):
            y = norm(conv(F.relu(y)))
        return x + y


class DPTHead(Head):
    """Four maps of one size to logits, and the last fused map, which the auxiliary head reads.

    `token`: channels of a patch in those maps; `levels`: channels after projection, `width`: of the fusion.
    `deepest_unit`: the deepest map goes through a unit of its own before the first fusion.
    """

    def __init__(
        self,
        channels: Sequence[int],
        token: int,
        nclass: int,
        levels: Sequence[int],
        width: int,
        residual_norm: bool,
        deepest_unit: bool,
        doubled: bool,
        dropped: Dropped,
    ) -> None:
        super().__init__()
        self.reassemble, self.skips, self.units, self.projects = (nn.HybridSequential() for _ in range(4))
        for place, (n, level) in enumerate(zip(channels, levels)):
            self.reassemble.add(Reassemble(n, token, level, width, place))
            # Fusions run from the deepest map on.
            wanted = place > 0 or deepest_unit
            self.skips.add(ResidualUnit(width, residual_norm) if wanted else nn.HybridSequential())
            self.units.add(ResidualUnit(width, residual_norm))
            self.projects.add(nn.Conv2D(width, 1, in_channels=width))
        self.predict = Predictor(width, nclass, doubled, dropped)

    def hybrid_forward(self, F, *taps):
        maps = [reassemble(tap) for reassemble, tap in zip(self.reassemble, taps)]
        fused = None
        for skip, unit, project, x in zip(self.skips, self.units, self.projects, reversed(maps)):
            if fused is None:
                fused = skip(x)
            else:
                # Twice an odd side halved is a pixel more than the side.
                fused = fused + skip(resize_like(F, x, fused, align_corners=False))
            fused = project(resize_by(F, unit(fused), 2))
        return self.predict(fused), fused


class Predictor(HybridBlock):
    """A 3x3 unit, dropout, the classifier; `doubled` logits are twice as large as the map."""

    def __init__(self, width: int, nclass: int, doubled: bool, dropped: Dropped) -> None:
        super().__init__()
        self._doubled = doubled
        self.unit = ConvUnit(width, width)
        self.drop = dropout_layer(0.1, dropped)
        self.classifier = classifier(width, nclass)

    def hybrid_forward(self, F, x):
        x = self.classifier(self.drop(self.unit(x)))
        return resize_by(F, x, 2) if self._doubled else x


@MODELS.register(
    "dpt",
    forms=FORMS,
    paper="Vision Transformers for Dense Prediction",
    venue="ICCV 2021",
    year=2021,
    link="https://arxiv.org/abs/2103.13413",
    backbone="vit_large",
    output_stride=16,
    one_stride=True,
    backbone_options={"readout": True},
    scores=[
        ("ADE20K val", "vit_large", 47.63, "paper"),
        ("ADE20K val", "vit_base, 512x512, 160k", 46.97, "mmsegmentation"),
    ],
)
def dpt(
    nclass: int,
    backbone: Backbone,
    aux: bool = True,
    levels: Optional[Tuple[int, ...]] = None,
    width: int = 256,
    residual_norm: bool = True,
    deepest_unit: bool = False,
    doubled: bool = True,
    cut: bool = True,
    dropped: Dropped = "elements",
    start: Start = "authors",
) -> Segmentor:
    """`levels`: channels of the four maps after projection; None: an eighth, a quarter, half and all of a
    token's, and those of the paper for ViT-Large and wider. `width`: of the fusion. `residual_norm`,
    `deepest_unit`, `doubled`, `cut`: see above. `aux`: a second head on the last fused map. `dropped`: what
    dropout drops. `start`: whose initial weights."""
    if len(set(backbone.strides)) > 1:
        raise ConfigError("dpt needs a backbone whose maps all have one stride, such as vit_large")
    token = getattr(backbone, "token_channels", backbone.channels[0])
    usual = (256, 512, 1024, 1024) if token >= 1024 else (token // 8, token // 4, token // 2, token)
    levels = tuple(levels or usual)
    if len(levels) != 4:
        raise ConfigError(f"levels must be four numbers of channels, not {list(levels)}")
    head = DPTHead(
        backbone.channels, token, nclass, levels, width, residual_norm, deepest_unit, doubled, dropped
    )
    second = Predictor(width, nclass, False, dropped)
    if start == "authors":
        draw_as_pytorch(head, second)
    else:
        # mmsegmentation's convolutions, but not what resizes and the layers that read the class token.
        for one in head.reassemble:
            draw_as_pytorch(*(part for part in (one.readout, one.resize) if part is not None))
    supervised = [Aux(second, "head", 1)] if aux else []
    return Segmentor(backbone, head, supervised, align_corners=False, patch=backbone.patch if cut else 1)

"""LR-ASPP, the segmentation head of "Searching for MobileNetV3" (Howard et al., ICCV 2019, arXiv 1905.02244).

One gate for each channel, from averages of the deepest map, weighs a 1x1 unit of it; classifiers of this and
of a map at stride 8 are added. torchvision builds that, with averages over the whole map. mmsegmentation's
decoder (`windows`) averages over windows of 49 pixels every 16 rows and 20 columns, as the paper does, so
that images need at least 385 pixels a side, and joins maps at strides 4 and 2 before it classifies.
"""

from __future__ import annotations

from typing import Literal, Sequence

from mxnet.gluon import nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.errors import ConfigError
from mxnetseg.models.base import MODELS, Head, Segmentor
from mxnetseg.nn.initial import draw_as_pytorch
from mxnetseg.nn.layers import ConvUnit, classifier, dropout_layer
from mxnetseg.nn.norm import tune_norm
from mxnetseg.nn.pool import adaptive_avg_pool
from mxnetseg.nn.resize import resize_like

# The side of the windows, and their steps along rows and columns.
WINDOW, STEPS = 49, (16, 20)
TENSORFLOW = {"dilated": "with", "closing": True, "epsilon": 1e-3}
FORMS = {
    "paper": {"backbone_options": {**TENSORFLOW, "momentum": 0.99}},
    "torchvision": {"backbone_options": {**TENSORFLOW, "momentum": 0.99, "taps": "first"}},
    "mmseg": {
        "output_stride": 8,
        "variant": "windows",
        "epsilon": 1e-3,
        "c0": True,
        "backbone_options": {**TENSORFLOW, "padding": "same"},
    },
}


class LRASPPHead(Head):
    """Logits at the size of c2: classifiers of it and of the gated c4, added."""

    def __init__(self, channels: Sequence[int], nclass: int, width: int) -> None:
        super().__init__()
        self.unit = ConvUnit(channels[3], width, 1)
        self.gate = nn.Conv2D(width, 1, use_bias=False, in_channels=channels[3])
        self.low_classifier = classifier(channels[1], nclass)
        self.classifier = classifier(width, nclass)
        draw_as_pytorch(self)

    def hybrid_forward(self, F, c1, c2, c3, c4):
        gate = F.sigmoid(self.gate(adaptive_avg_pool(F, c4, 1)))
        deep = F.broadcast_mul(self.unit(c4), gate)
        deep = resize_like(F, deep, c2, align_corners=False)
        return self.low_classifier(c2) + self.classifier(deep)


class WindowedLRASPPHead(Head):
    """Logits at the size of the first of five maps, at stride 2."""

    def __init__(self, channels: Sequence[int], nclass: int, width: int, epsilon: float) -> None:
        super().__init__()
        self.unit = ConvUnit(channels[-1], width, 1)
        self.gate = nn.Conv2D(width, 1, use_bias=False, in_channels=channels[-1])
        self.mix = nn.Conv2D(width, 1, in_channels=width)
        self.laterals, self.joins = nn.HybridSequential(), nn.HybridSequential()
        for in_channels, own in zip(channels[:2], (32, 64)):
            self.laterals.add(nn.Conv2D(own, 1, use_bias=False, in_channels=in_channels))
            self.joins.add(ConvUnit(width + own, width, 1))
        self.drop = dropout_layer(0.1)
        self.classifier = classifier(width, nclass)
        draw_as_pytorch(self.mix, self.laterals)
        tune_norm(self, epsilon=epsilon)

    def hybrid_forward(self, F, c0, c1, c2, c3, c4):
        means = F.Pooling(c4, kernel=(WINDOW, WINDOW), stride=STEPS, pool_type="avg")
        gate = resize_like(F, F.sigmoid(self.gate(means)), c4, align_corners=False)
        x = self.mix(self.unit(c4) * gate)
        for like, lateral, join in zip((c1, c0), reversed(self.laterals), reversed(self.joins)):
            x = resize_like(F, x, like, align_corners=False)
            x = join(F.concat(x, lateral(like), dim=1))
        return self.classifier(self.drop(x))


@MODELS.register(
    "lraspp",
    forms=FORMS,
    paper="Searching for MobileNetV3",
    venue="ICCV 2019",
    year=2019,
    link="https://arxiv.org/abs/1905.02244",
    backbone="mobilenetv3_large",
    output_stride=16,
    scores=[
        ("Cityscapes val", "mobilenetv3_large, 512x1024, 320k", 69.54, "mmsegmentation"),
        ("Cityscapes val", "mobilenetv3_small, 512x1024, 320k", 64.11, "mmsegmentation"),
    ],
)
def lraspp(
    nclass: int,
    backbone: Backbone,
    width: int = 128,
    variant: Literal["paper", "windows"] = "paper",
    epsilon: float = 1e-5,
) -> Segmentor:
    """`width`: channels of the gated unit. `variant`: see above; `windows` needs a backbone that gives
    c0. `epsilon`: of its batch norms."""
    if variant == "paper":
        head = LRASPPHead(backbone.channels, nclass, width)
    else:
        if not backbone.gives_c0:
            raise ConfigError(
                "model 'lraspp': its variant 'windows' reads a map at stride 2 too, which backbone "
                f"{backbone.registered_name!r} was not asked for or does not have; form mmseg asks"
            )
        head = WindowedLRASPPHead(backbone.channels, nclass, width, epsilon)
        # The deepest map holds one window.
        backbone.trace_size = max(backbone.trace_size, WINDOW * backbone.strides[-1])
    return Segmentor(backbone, head, align_corners=False)

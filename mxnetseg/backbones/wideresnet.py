"""Wide ResNet-38 (Wu et al., Wider or Deeper, Pattern Recognition 2019, arXiv 1611.10080) on GluonCV's
pre-activation network (its A2 form: the first two stages are entered by max pooling)."""

from __future__ import annotations

from typing import Sequence

from gluoncv.model_zoo import wideresnet
from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import BACKBONES, Backbone
from mxnetseg.backbones.naming import CLASSIFIER, ImageNetNames
from mxnetseg.backbones.published_names import WIDERESNET
from mxnetseg.errors import ConfigError
from mxnetseg.nn.surgery import layers, set_dilation, set_stride, settings

MODULES = ("mod1", "pool2", "mod2", "pool3", "mod3", "mod4", "mod5", "mod6", "mod7")


class WideResNet(Backbone):
    """GluonCV's WiderResNetA2 without its last norm and classifier; children keep GluonCV's names.

    `finest`: stride of c1. 4 is the pyramid every head expects; 2 gives the map before it, which GluonCV's
    DeepLabv3+ decodes at. Maps are raw sums of residual blocks: no norm or ReLU closes them.
    """

    imagenet = ImageNetNames(unused=(*CLASSIFIER, r"^bn_out\."), layouts=[WIDERESNET])

    def __init__(self, structure: Sequence[int], output_stride: int, finest: int) -> None:
        if finest not in (2, 4):
            raise ConfigError(f"wideresnet finest must be 2 or 4, not {finest!r}")
        strides = [min(s, output_stride) for s in (4, 8, 16, 32)]
        super().__init__(
            channels=(128 if finest == 2 else 256, 512, 1024, 4096), strides=[finest, *strides[1:]]
        )
        self._finest = finest
        self.c0_channels = 128 if finest == 4 else 0
        whole = wideresnet.WiderResNetA2(structure, dilation=True)
        for name in MODULES:
            setattr(self, name, getattr(whole, name))
        # GluonCV dilates for output stride 8 or not at all; parameters depend on neither.
        if output_stride > 8:
            _enter_with_stride(self.mod5[0])
        if output_stride > 16:
            _enter_with_stride(self.mod6[0])
        for stage in (self.mod5, self.mod6, self.mod7):
            _divide_dilation(stage, output_stride // 8)

    def hybrid_forward(self, F, x):
        half = self.mod2(self.pool2(self.mod1(x)))
        quarter = self.mod3(self.pool3(half))
        c2 = self.mod4(quarter)
        c3 = self.mod5(c2)
        c4 = self.mod7(self.mod6(c3))
        return (half, c2, c3, c4) if self._finest == 2 else self._levels(half, quarter, c2, c3, c4)


def _enter_with_stride(block: HybridBlock) -> None:
    """Stride 2 at the block's first convolution and at its shortcut."""
    set_stride(block.convs[0], 2)
    set_stride(block.proj_conv, 2)


def _divide_dilation(stage: HybridBlock, factor: int) -> None:
    for conv in layers(stage, nn.Conv2D):
        if settings(conv)["kernel"] == (3, 3):
            set_dilation(conv, max(1, settings(conv)["dilate"][0] // factor))


@BACKBONES.register("wideresnet38", output_strides=(8, 16, 32))
def wideresnet38(output_stride: int = 32, finest: int = 4) -> WideResNet:
    return WideResNet([3, 3, 6, 3, 1, 1], output_stride, finest)

"""MobileNetV2 (Sandler et al., CVPR 2018, arXiv 1801.04381), V3 (Howard et al., ICCV 2019, arXiv 1905.02244).

GluonCV's networks cut after the last block of each stride. What varies:

* output stride 8, 16 or 32: depthwise convolutions are dilated instead. `dilated` says which: those `after`
  the one that loses its stride, that one `with` them, or the `first` of each width (mmsegmentation's V2);
* `closing`: the 1x1 convolution at the end (1280 channels in V2, 960 or 576 in V3) is in the deepest map;
* `taps`: maps are taken after the `last` block of each stride, or after the `first` (torchvision's networks),
  but for the deepest;
* `padding`: `even` on all sides, or TensorFlow's `same`, with which the originals were trained;
* `epsilon` and `momentum` of the batch norms (TensorFlow's are 1e-3 and 0.99).
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Literal, NamedTuple, Sequence

from gluoncv.model_zoo import mobilenet, mobilenetv3
from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import BACKBONES, Backbone
from mxnetseg.backbones.naming import MOBILENETV2, ImageNetNames, mobilenetv3_names
from mxnetseg.backbones.published_names import MOBILENETV2_LAYOUTS, timm_mobilenetv3
from mxnetseg.backbones.slicing import cut, hold_stride
from mxnetseg.nn.norm import tune_norm
from mxnetseg.nn.same import pad_as_tensorflow
from mxnetseg.nn.surgery import layers, set_dilation

Dilated = Literal["after", "with", "first"]
Padding = Literal["even", "same"]
Taps = Literal["last", "first"]


class Cut(NamedTuple):
    """Where GluonCV's `features` are cut: `half`, children up to the last at stride 2; `ends`, of each level;
    channels of all five; `first`, those after the first block at stride 16; `closing`, those of the 1x1
    convolution at the end."""

    half: int
    ends: Sequence[int]
    channels: Sequence[int]
    first: int
    closing: int


class MobileNet(Backbone):
    """The `features` of a GluonCV MobileNet in four levels, `layer1` with the stem."""

    def __init__(
        self,
        features: HybridBlock,
        cuts: Cut,
        imagenet: ImageNetNames,
        output_stride: int,
        dilated: Dilated,
        closing: bool,
        taps: Taps,
        padding: Padding,
        epsilon: float,
        momentum: float,
    ) -> None:
        channels, ends = list(cuts.channels), list(cuts.ends)
        if closing:
            ends[-1] += 3  # convolution, norm, activation
            channels[-1] = cuts.closing
        if taps == "first":
            channels[3] = cuts.first
        super().__init__(channels[1:], [min(s, output_stride) for s in (4, 8, 16, 32)])
        self.c0_channels = channels[0]
        self.imagenet = imagenet
        tapped = ends if taps == "last" else [begin + 1 for begin in (cuts.half, *ends[:2])] + ends[3:]
        self._taps = [cuts.half, *tapped]
        starts = (0, *ends[:-1])
        cut(self, features, {f"layer{i + 1}": span for i, span in enumerate(zip(starts, ends))})
        hold_stride(layers(self, nn.Conv2D), 1, output_stride, "after" if dilated == "after" else "with")
        if dilated == "first":
            for block in layers(self, mobilenet.LinearBottleneck):
                if block.use_shortcut:
                    set_dilation(block.out[3], 1)
        if padding == "same":
            pad_as_tensorflow(self)
        tune_norm(self, momentum, epsilon)

    def hybrid_forward(self, F, x):
        maps = []
        chain = itertools.chain(self.layer1, self.layer2, self.layer3, self.layer4)
        for count, block in enumerate(chain, 1):
            x = block(x)
            if count in self._taps:
                maps.append(x)
        return self._levels(*maps)


def _register_v2(multiplier):
    name = f"mobilenetv2_{multiplier}"
    channels = [int(n * multiplier) for n in (16, 24, 32, 96, 320)]
    cuts = Cut(4, (6, 9, 16, 20), channels, int(64 * multiplier), 1280)
    # The convolution at the end is mmsegmentation's conv2; the norm behind it timm's bn2.
    unused = (*MOBILENETV2.unused, r"^(conv2|bn2)\.")
    names = replace(MOBILENETV2, unused=unused, layouts=MOBILENETV2_LAYOUTS)

    @BACKBONES.register(name, output_strides=(8, 16, 32))
    def build(
        output_stride: int = 32,
        dilated: Dilated = "after",
        closing: bool = False,
        taps: Taps = "last",
        padding: Padding = "even",
        epsilon: float = 1e-5,
        momentum: float = 0.9,
    ) -> MobileNet:
        features = mobilenet.MobileNetV2(multiplier).features
        rest = (output_stride, dilated, closing, taps, padding, epsilon, momentum)
        return MobileNet(features, cuts, names, *rest)


def _register_v3(size, cuts, stages):
    name = f"mobilenetv3_{size}"
    names = mobilenetv3_names(cuts.ends)
    closing = rf"^blocks\.{len(stages) - 1}\.0\.(conv|bn1)\."
    layouts = [timm_mobilenetv3(stages, names.rules)]
    names = replace(names, unused=(*names.unused, closing), layouts=layouts)

    @BACKBONES.register(name, output_strides=(8, 16, 32))
    def build(
        output_stride: int = 32,
        dilated: Literal["after", "with"] = "after",
        closing: bool = False,
        taps: Taps = "last",
        padding: Padding = "even",
        epsilon: float = 1e-5,
        momentum: float = 0.9,
    ) -> MobileNet:
        features = mobilenetv3.get_mobilenet_v3(size).features
        rest = (output_stride, dilated, closing, taps, padding, epsilon, momentum)
        return MobileNet(features, cuts, names, *rest)


for _multiplier in (1.0, 0.75, 0.5, 0.25):
    _register_v2(_multiplier)
_register_v3("large", Cut(4, (6, 9, 15, 18), (16, 24, 40, 112, 160), 80, 960), (1, 2, 3, 4, 2, 3, 1))
_register_v3("small", Cut(3, (4, 6, 11, 14), (16, 16, 24, 48, 96), 40, 576), (1, 2, 3, 2, 3, 1))

"""EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks (Tan and Le, ICML 2019,
arXiv 1905.11946): b0 to b7.

Inverted residual blocks with squeeze and excitation, in seven stages of which the second, third, fifth and
seventh end the four levels; c0 is the stem's map. Wider and deeper versions have the same stages. Published
implementations pad strided convolutions differently, which moves what they see by a pixel:

* `even`: alike on both sides; torchvision, whose epsilon and momentum are taken where none is given, and
  timm's `efficientnet_b0`;
* `same`: as TensorFlow, so the authors and timm's `tf_efficientnet_b0`, with an epsilon of 1e-3;
* `nominal`: fixed to what `same` would be at the resolution that a version is named for
  (segmentation_models.pytorch, after Luke Melas-Kyriazi).

Output strides 16 and 8 turn the last strides into dilation, from the convolution on that loses its stride.
"""

from __future__ import annotations

import math
from typing import Any, List, Literal, NamedTuple, Optional, Tuple

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import BACKBONES, Backbone
from mxnetseg.backbones.naming import efficientnet_names
from mxnetseg.nn.initial import FAN_OUT, draw, draw_as_pytorch
from mxnetseg.nn.norm import tune_norm
from mxnetseg.nn.same import SameConv2D

Padding = Literal["same", "even", "nominal"]
Tap = Literal["last", "first"]


class Stage(NamedTuple):
    """Blocks of one width: how many, kernel, stride, expansion, channels; of b0."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
# Stages that end c1, c2, c3 and c4.
ENDS = (2, 3, 5, 7)
# Version -> factor of the widths, of the numbers of blocks, and the resolution it is named for.
SCALES = {
    "b0": (1.0, 1.0, 224),
    "b1": (1.0, 1.1, 240),
    "b2": (1.1, 1.2, 260),
    "b3": (1.2, 1.4, 300),
    "b4": (1.4, 1.8, 380),
    "b5": (1.6, 2.2, 456),
    "b6": (1.8, 2.6, 528),
    "b7": (2.0, 3.1, 600),
}


def _width(channels: int, factor: float) -> int:
    """A multiple of eight near `factor` times as many, no more than a tenth below."""
    wanted = channels * factor
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * wanted else rounded + 8


class PaddedConv(nn.Conv2D):
    """A convolution whose map is padded by `before` pixels above and on the left, by `after` on the other
    sides."""

    def __init__(self, *args: Any, before: int, after: int, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        # Where the padding is uneven, a pixel more changes nothing of even sides and rounds odd ones up.
        after += (before + after) % 2
        self._widths = (0, 0, 0, 0, before, after, before, after)

    def hybrid_forward(self, F, x, weight, bias=None):
        padded = F.pad(x, mode="constant", pad_width=self._widths, constant_value=0)
        return super().hybrid_forward(F, padded, weight, bias)


class Padder:
    """Makes the convolutions that halve sides, in running order: `conv(channels, kernel, stride, ...)`.

    Strides beyond `output_stride` become dilation. `resolution`: side of the image that `nominal` padding is
    for.
    """

    def __init__(self, padding: Padding, resolution: int, output_stride: int) -> None:
        self._padding, self._side, self._output_stride = padding, resolution, output_stride
        self._stride = self._rate = 1

    def conv(self, channels: int, kernel: int, stride: int, in_channels: int, groups: int = 1) -> nn.Conv2D:
        facts = dict(use_bias=False, in_channels=in_channels, groups=groups)
        if stride > 1 and self._stride >= self._output_stride:
            self._rate *= stride
            stride = 1
        if stride == 1:
            pad = kernel // 2 * self._rate
            return nn.Conv2D(channels, kernel, 1, pad, self._rate, **facts)
        self._stride *= stride
        if self._padding == "even":
            return nn.Conv2D(channels, kernel, stride, kernel // 2, **facts)
        if self._padding == "same":
            return SameConv2D(channels, kernel, stride, kernel // 2, **facts)
        before, after = self._nominal(kernel, stride)
        return PaddedConv(channels, kernel, stride, before=before, after=after, **facts)

    def _nominal(self, kernel: int, stride: int) -> Tuple[int, int]:
        """TensorFlow's padding of a map of the side that is reached, the odd pixel after it."""
        halved = -(-self._side // stride)
        missing = max((halved - 1) * stride + kernel - self._side, 0)
        self._side = halved
        return missing // 2, missing - missing // 2


class MBConv(HybridBlock):
    """Expansion, depthwise convolution, squeeze and excitation, projection; the input is added where it fits.

    `skip`: chance that a sample passes the block by in training.
    """

    def __init__(self, in_channels: int, stage: Stage, stride: int, padder: Padder, skip: float) -> None:
        super().__init__()
        inner, channels = in_channels * stage.expansion, stage.channels
        squeezed = max(1, in_channels // 4)
        self._expands = stage.expansion > 1
        if self._expands:
            self.expand_conv = nn.Conv2D(inner, 1, use_bias=False, in_channels=in_channels)
            self.bn0 = nn.BatchNorm(in_channels=inner)
        self.depthwise_conv = padder.conv(inner, stage.kernel, stride, inner, groups=inner)
        self.bn1 = nn.BatchNorm(in_channels=inner)
        self.se_reduce = nn.Conv2D(squeezed, 1, in_channels=inner)
        self.se_expand = nn.Conv2D(inner, 1, in_channels=squeezed)
        self.project_conv = nn.Conv2D(channels, 1, use_bias=False, in_channels=inner)
        self.bn2 = nn.BatchNorm(in_channels=channels)
        adds = stride == 1 and in_channels == channels
        self.skip = nn.Dropout(skip, axes=(1, 2, 3)) if adds else None

    def hybrid_forward(self, F, x):
        y = _swish(F, self.bn0(self.expand_conv(x))) if self._expands else x
        y = _swish(F, self.bn1(self.depthwise_conv(y)))
        means = F.Pooling(y, kernel=(1, 1), global_pool=True, pool_type="avg")
        y = F.broadcast_mul(y, F.sigmoid(self.se_expand(_swish(F, self.se_reduce(means)))))
        y = self.bn2(self.project_conv(y))
        return y if self.skip is None else x + self.skip(y)


def _swish(F, x):
    return x * F.sigmoid(x)


class EfficientNet(Backbone):
    """`blocks` are numbered through all stages. `c3`: whether the first or the last block of the fifth stage
    gives it (segmentation_models.pytorch takes the first in b0). `epsilon`, `momentum`: of the batch norms;
    `skip`: chance that a sample passes the last block by in training, which grows linearly from 0 at the
    first."""

    def __init__(
        self,
        version: str,
        output_stride: int,
        padding: Padding,
        c3: Tap,
        epsilon: float,
        momentum: float,
        skip: float,
    ) -> None:
        widths, depths, resolution = SCALES[version]
        stages = [
            one._replace(blocks=math.ceil(depths * one.blocks), channels=_width(one.channels, widths))
            for one in STAGES
        ]
        super().__init__(
            [stages[end - 1].channels for end in ENDS], [min(s, output_stride) for s in (4, 8, 16, 32)]
        )
        self.imagenet = efficientnet_names([one.blocks for one in stages])
        padder = Padder(padding, resolution, output_stride)
        before = self.c0_channels = _width(32, widths)
        # Zero input channels: the image's are inferred when the backbone is created.
        self.conv_stem = padder.conv(before, 3, 2, 0)
        self.bn0 = nn.BatchNorm(in_channels=before)
        self.blocks = nn.HybridSequential()
        total = sum(one.blocks for one in stages)
        self._ends: List[int] = []
        for number, stage in enumerate(stages, 1):
            for index in range(stage.blocks):
                own = skip * len(self.blocks) / total
                self.blocks.add(MBConv(before, stage, 1 if index else stage.stride, padder, own))
                before = stage.channels
            if number in ENDS:
                first = number == 5 and c3 == "first"
                self._ends.append(len(self.blocks) - (stage.blocks - 1 if first else 0))
        if padding == "nominal":
            draw_as_pytorch(self)
        else:
            draw(self, FAN_OUT)
        tune_norm(self, momentum, epsilon)

    def hybrid_forward(self, F, x):
        c0 = x = _swish(F, self.bn0(self.conv_stem(x)))
        maps = []
        for count, block in enumerate(self.blocks, 1):
            x = block(x)
            if count in self._ends:
                maps.append(x)
        return self._levels(c0, *maps)


def _register(version: str) -> None:
    @BACKBONES.register(f"efficientnet_{version}", output_strides=(8, 16, 32))
    def build(
        output_stride: int = 32,
        padding: Padding = "even",
        c3: Tap = "last",
        epsilon: Optional[float] = None,
        momentum: Optional[float] = None,
        skip: float = 0.2,
    ) -> EfficientNet:
        torchvision = (1e-3, 0.99) if version in ("b5", "b6", "b7") else (1e-5, 0.9)
        epsilon = torchvision[0] if epsilon is None else epsilon
        momentum = torchvision[1] if momentum is None else momentum
        return EfficientNet(version, output_stride, padding, c3, epsilon, momentum, skip)


for _version in SCALES:
    _register(_version)

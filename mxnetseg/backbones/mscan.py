"""MSCAN, the encoder of SegNeXt (Guo et al., NeurIPS 2022, arXiv 2209.08575): attention by convolution.

Four stages, strides 4, 8, 16, 32. A block weighs each position of a map by depthwise convolutions of several
sizes: 5 x 5, and pairs of strips of 7, 11 and 21.
"""

from __future__ import annotations

from typing import Sequence, Tuple, Union

import mxnet as mx
from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import BACKBONES, Backbone
from mxnetseg.backbones.hierarchical_names import MSCAN_NAMES
from mxnetseg.backbones.naming import ImageNetNames
from mxnetseg.nn.initial import FAN_OUT
from mxnetseg.nn.layers import GELU, ConvUnit
from mxnetseg.nn.tokens import rising
from mxnetseg.nn.windows import to_first, to_last

# Width and blocks of each stage, stochastic depth that was published with it.
SIZES = {
    "tiny": ((32, 64, 160, 256), (3, 3, 5, 2), 0.1),
    "small": ((64, 128, 320, 512), (2, 2, 4, 2), 0.1),
    "base": ((64, 128, 320, 512), (3, 3, 12, 3), 0.1),
    "large": ((64, 128, 320, 512), (3, 5, 27, 3), 0.3),
}
RATIOS = (8, 8, 4, 4)
STRIPS = (7, 11, 21)


def _pointwise(channels: int, in_channels: int) -> nn.Conv2D:
    return nn.Conv2D(channels, 1, in_channels=in_channels, weight_initializer=FAN_OUT)


def _depthwise(channels: int, kernel: Union[int, Tuple[int, int]]) -> nn.Conv2D:
    rows, columns = (kernel, kernel) if isinstance(kernel, int) else kernel
    return nn.Conv2D(
        channels,
        (rows, columns),
        padding=(rows // 2, columns // 2),
        groups=channels,
        in_channels=channels,
        # Each filter counts its own weights.
        weight_initializer=mx.init.Normal((2 / (rows * columns)) ** 0.5),
    )


class Gate(HybridBlock):
    """`(N, C, H, W)` weighed by what convolutions of several sizes make of it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.near = _depthwise(width, 5)
        self.across, self.down = nn.HybridSequential(), nn.HybridSequential()
        for length in STRIPS:
            self.across.add(_depthwise(width, (1, length)))
            self.down.add(_depthwise(width, (length, 1)))
        self.mix = _pointwise(width, width)

    def hybrid_forward(self, F, x):
        near = self.near(x)
        far = [down(across(near)) for across, down in zip(self.across, self.down)]
        return self.mix(near + sum(far[1:], far[0])) * x


class Attention(HybridBlock):
    """The gate between two 1x1 convolutions, added to what came in."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.before = _pointwise(width, width)
        self.act = GELU()
        self.gate = Gate(width)
        self.after = _pointwise(width, width)

    def hybrid_forward(self, F, x):
        return self.after(self.gate(self.act(self.before(x)))) + x


class MSCABlock(HybridBlock):
    """Pre-norm block of maps. `skip`: chance that a sample passes a residual branch by while training."""

    def __init__(self, width: int, hidden: int, skip: float) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm(in_channels=width)
        self.attn = Attention(width)
        self.norm2 = nn.BatchNorm(in_channels=width)
        self.fc1 = _pointwise(hidden, width)
        self.depthwise = _depthwise(hidden, 3)
        self.act = GELU()
        self.fc2 = _pointwise(width, hidden)
        at_first = mx.init.Constant(0.01)
        self.scale1 = self.params.get("scale1", shape=(width,), init=at_first)
        self.scale2 = self.params.get("scale2", shape=(width,), init=at_first)
        self.skip = nn.Dropout(skip, axes=(1, 2, 3))

    def hybrid_forward(self, F, x, scale1, scale2):
        y = self.attn(self.norm1(x))
        x = x + self.skip(F.broadcast_mul(y, F.reshape(scale1, (1, -1, 1, 1))))
        y = self.fc2(self.act(self.depthwise(self.fc1(self.norm2(x)))))
        return x + self.skip(F.broadcast_mul(y, F.reshape(scale2, (1, -1, 1, 1))))


class Stage(HybridBlock):
    """Strided units (two in the first stage, with a GELU in between), blocks, a layer norm."""

    def __init__(self, before: int, width: int, hidden: int, skips: Sequence[float], first: bool) -> None:
        super().__init__()
        self.units = nn.HybridSequential()
        if first:
            self.units.add(ConvUnit(before, width // 2, 3, 2, bias=True, act=None), GELU())
            before = width // 2
        self.units.add(ConvUnit(before, width, 3, 2, bias=True, act=None))
        self.blocks = nn.HybridSequential()
        for skip in skips:
            self.blocks.add(MSCABlock(width, hidden, skip))
        self.norm = nn.LayerNorm(in_channels=width)

    def hybrid_forward(self, F, x):
        return to_first(F, self.norm(to_last(F, self.blocks(self.units(x)))))


class MSCAN(Backbone):
    """`skip`: stochastic depth of the last block; it grows linearly from 0 at the first."""

    imagenet = ImageNetNames(MSCAN_NAMES)

    def __init__(self, widths: Sequence[int], depths: Sequence[int], skip: float) -> None:
        super().__init__(widths, (4, 8, 16, 32))
        self.stages = nn.HybridSequential()
        rates, before = iter(rising(skip, sum(depths))), 0
        for level, (width, depth) in enumerate(zip(widths, depths)):
            skips = [next(rates) for _ in range(depth)]
            self.stages.add(Stage(before, width, RATIOS[level] * width, skips, level == 0))
            before = width

    def hybrid_forward(self, F, x):
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return tuple(maps)


def _register(size):
    @BACKBONES.register(f"mscan_{size}", output_strides=(32,))
    def build(skip: float = SIZES[size][2]) -> MSCAN:
        return MSCAN(*SIZES[size][:2], skip)


for _size in SIZES:
    _register(_size)

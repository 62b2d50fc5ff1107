"""ConvNeXt: A ConvNet for the 2020s (Liu et al., CVPR 2022, arXiv 2201.03545), and ConvNeXt V2 (Woo et al.,
CVPR 2023, arXiv 2301.00808).

Four stages of blocks of one depthwise 7x7 convolution and two linear layers, strides 4, 8, 16, 32. A block
learns how much each channel of it counts (`gamma`); V2 lets channels compete instead, inside the block. Each
map gets a layer norm of its own. No convolution between stages is padded: a last odd row or column is lost,
so that sides are divided by 4 and then by 2 and rounded down.
"""

from __future__ import annotations

from typing import Dict, Optional, Sequence

import mxnet as mx
from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import BACKBONES, Backbone
from mxnetseg.backbones.hierarchical_names import CONVNEXT
from mxnetseg.backbones.naming import ImageNetNames
from mxnetseg.nn.layers import GELU
from mxnetseg.nn.tokens import NARROW, rising, token_dense
from mxnetseg.nn.windows import to_first, to_last

# Width of the first stage (doubled from stage to stage), blocks of each.
SIZES = {
    "tiny": (96, (3, 3, 9, 3)),
    "small": (96, (3, 3, 27, 3)),
    "base": (128, (3, 3, 27, 3)),
    "large": (192, (3, 3, 27, 3)),
    "xlarge": (256, (3, 3, 27, 3)),
}
SIZES_V2 = {
    "atto": (40, (2, 2, 6, 2)),
    "femto": (48, (2, 2, 6, 2)),
    "pico": (64, (2, 2, 6, 2)),
    "nano": (80, (2, 2, 8, 2)),
    "tiny": (96, (3, 3, 9, 3)),
    "base": (128, (3, 3, 27, 3)),
    "large": (192, (3, 3, 27, 3)),
    "huge": (352, (3, 3, 27, 3)),
}
EPSILON = 1e-6


class ResponseNorm(HybridBlock):
    """Global response normalization of `(N, H, W, C)`: channels scaled by their length over the whole map,
    relative to the mean of all channels' lengths; starts as the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = self.params.get("gamma", shape=(width,), init="zeros")
        self.beta = self.params.get("beta", shape=(width,), init="zeros")

    def hybrid_forward(self, F, x, gamma, beta):
        length = F.sqrt(F.sum(F.square(x), axis=(1, 2), keepdims=True) + 1e-12)
        share = F.broadcast_div(length, F.mean(length, axis=3, keepdims=True) + EPSILON)
        scaled = F.broadcast_mul(F.broadcast_mul(x, share), F.reshape(gamma, (1, 1, 1, -1)))
        return F.broadcast_add(scaled, F.reshape(beta, (1, 1, 1, -1))) + x


class ConvNeXtBlock(HybridBlock):
    """Residual block of maps `(N, C, H, W)`. `layer_scale`: what its channels count for at first; None gives
    it a response norm instead (V2). `skip`: chance that a sample passes it by while training."""

    def __init__(self, width: int, layer_scale: Optional[float], skip: float) -> None:
        super().__init__()
        self.depthwise = nn.Conv2D(
            width, 7, padding=3, groups=width, in_channels=width, weight_initializer=NARROW
        )
        self.norm = nn.LayerNorm(epsilon=EPSILON, in_channels=width)
        self.fc1 = token_dense(4 * width, width)
        self.act = GELU()
        self.response = ResponseNorm(4 * width) if layer_scale is None else None
        self.fc2 = token_dense(width, 4 * width)
        if layer_scale is not None:
            self.gamma = self.params.get("gamma", shape=(width,), init=mx.init.Constant(layer_scale))
        self.skip = nn.Dropout(skip, axes=(1, 2, 3))

    def hybrid_forward(self, F, x, gamma=None):
        y = self.act(self.fc1(self.norm(to_last(F, self.depthwise(x)))))
        y = self.fc2(y if self.response is None else self.response(y))
        y = y if gamma is None else F.broadcast_mul(y, F.reshape(gamma, (1, 1, 1, -1)))
        return x + self.skip(to_first(F, y))


class Stage(HybridBlock):
    """A layer norm and a convolution that halves the map (not in the first stage), then blocks."""

    def __init__(
        self,
        before: Optional[int],
        width: int,
        skips: Sequence[float],
        layer_scale: Optional[float],
    ) -> None:
        super().__init__()
        self.norm = self.down = None
        if before is not None:
            self.norm = nn.LayerNorm(epsilon=EPSILON, in_channels=before)
            self.down = nn.Conv2D(width, 2, 2, in_channels=before, weight_initializer=NARROW)
        self.blocks = nn.HybridSequential()
        for skip in skips:
            self.blocks.add(ConvNeXtBlock(width, layer_scale, skip))

    def hybrid_forward(self, F, x):
        if self.down is not None:
            x = self.down(to_first(F, self.norm(to_last(F, x))))
        return self.blocks(x)


class ConvNeXt(Backbone):
    """`skip`: stochastic depth of the last block, growing linearly from 0 at the first. `layer_scale`: see
    `ConvNeXtBlock`."""

    # ImageNet's classifiers norm what they pool of the last map only.
    imagenet = ImageNetNames(CONVNEXT, fresh=(r"^norms\.",))
    rounds_down = True
    leaves_out = 3

    def __init__(
        self, width: int, depths: Sequence[int], skip: float, layer_scale: Optional[float] = None
    ) -> None:
        super().__init__([width * 2**level for level in range(4)], (4, 8, 16, 32))
        self.stem = nn.Conv2D(width, 4, 4, weight_initializer=NARROW)
        self.stem_norm = nn.LayerNorm(epsilon=EPSILON, in_channels=width)
        self.stages, self.norms = nn.HybridSequential(), nn.HybridSequential()
        rates = iter(rising(skip, sum(depths)))
        for level, (channels, depth) in enumerate(zip(self.channels, depths)):
            before = self.channels[level - 1] if level else None
            self.stages.add(Stage(before, channels, [next(rates) for _ in range(depth)], layer_scale))
            self.norms.add(nn.LayerNorm(epsilon=EPSILON, in_channels=channels))

    def decay_depths(self) -> Dict[str, int]:
        """What makes maps smaller is 0 and the blocks of stages count from 1, as the authors train; norms of
        maps are left out."""
        depths = dict.fromkeys((*self.stem.collect_params(), *self.stem_norm.collect_params()), 0)
        for number, stage in enumerate(self.stages, 1):
            inner = stage.blocks.collect_params()
            depths.update({name: number if name in inner else 0 for name in stage.collect_params()})
        return depths

    def hybrid_forward(self, F, x):
        x = to_first(F, self.stem_norm(to_last(F, self.stem(x))))
        maps = []
        for stage, norm in zip(self.stages, self.norms):
            x = stage(x)
            maps.append(to_first(F, norm(to_last(F, x))))
        return tuple(maps)


def _register(size):
    @BACKBONES.register(f"convnext_{size}", output_strides=(32,))
    def build(skip: float = 0.4, layer_scale: float = 1e-6) -> ConvNeXt:
        return ConvNeXt(*SIZES[size], skip, layer_scale)


def _register_v2(size):
    @BACKBONES.register(f"convnextv2_{size}", output_strides=(32,))
    def build(skip: float = 0.1) -> ConvNeXt:
        return ConvNeXt(*SIZES_V2[size], skip)


for _size in SIZES:
    _register(_size)
for _size in SIZES_V2:
    _register_v2(_size)

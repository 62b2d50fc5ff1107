"""PoolFormer: MetaFormer Is Actually What You Need for Vision (Yu et al., CVPR 2022, arXiv 2111.11418).

A transformer's blocks with a 3x3 average in the place of attention. Four stages, strides 4, 8, 16, 32; every
norm takes all channels and positions of an image together, and each map gets one of its own.
"""

from __future__ import annotations

from typing import Sequence

import mxnet as mx
from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import BACKBONES, Backbone
from mxnetseg.backbones.hierarchical_names import POOLFORMER
from mxnetseg.backbones.naming import ImageNetNames
from mxnetseg.nn.initial import draw_as_pytorch
from mxnetseg.nn.layers import GELU
from mxnetseg.nn.norm import ChannelGroupNorm
from mxnetseg.nn.tokens import rising

# Width and blocks of each stage, what a block's branches count for at first.
SIZES = {
    "s12": ((64, 128, 320, 512), (2, 2, 6, 2), 1e-5),
    "s24": ((64, 128, 320, 512), (4, 4, 12, 4), 1e-5),
    "s36": ((64, 128, 320, 512), (6, 6, 18, 6), 1e-6),
    "m36": ((96, 192, 384, 768), (6, 6, 18, 6), 1e-6),
    "m48": ((96, 192, 384, 768), (8, 8, 24, 8), 1e-6),
}


class PointwiseMLP(HybridBlock):
    """Two 1x1 convolutions with an exact GELU in between."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2D(hidden, 1, in_channels=width)
        self.act = GELU()
        self.fc2 = nn.Conv2D(width, 1, in_channels=hidden)

    def hybrid_forward(self, F, x):
        return self.fc2(self.act(self.fc1(x)))


class PoolBlock(HybridBlock):
    """Pre-norm block of maps. `skip`: chance that a sample passes a residual branch by while training."""

    def __init__(self, width: int, layer_scale: float, skip: float) -> None:
        super().__init__()
        self.norm1 = ChannelGroupNorm(width, 1, 1e-5)
        self.norm2 = ChannelGroupNorm(width, 1, 1e-5)
        self.mlp = PointwiseMLP(width, 4 * width)
        at_first = mx.init.Constant(layer_scale)
        self.scale1 = self.params.get("scale1", shape=(width,), init=at_first)
        self.scale2 = self.params.get("scale2", shape=(width,), init=at_first)
        self.skip = nn.Dropout(skip, axes=(1, 2, 3))

    def hybrid_forward(self, F, x, scale1, scale2):
        y = self.norm1(x)
        # At borders the average is of what there is.
        mean = F.Pooling(
            y, kernel=(3, 3), stride=(1, 1), pad=(1, 1), pool_type="avg", count_include_pad=False
        )
        x = x + self.skip(F.broadcast_mul(mean - y, F.reshape(scale1, (1, -1, 1, 1))))
        return x + self.skip(F.broadcast_mul(self.mlp(self.norm2(x)), F.reshape(scale2, (1, -1, 1, 1))))


class Stage(HybridBlock):
    """Overlapping patches, then blocks: a map to one of half (first: a quarter of) its size."""

    def __init__(
        self, before: int, width: int, patch: Sequence[int], layer_scale: float, skips: Sequence[float]
    ) -> None:
        super().__init__()
        self.patch = nn.Conv2D(width, *patch, in_channels=before)
        self.blocks = nn.HybridSequential()
        for skip in skips:
            self.blocks.add(PoolBlock(width, layer_scale, skip))

    def hybrid_forward(self, F, x):
        return self.blocks(self.patch(x))


class PoolFormer(Backbone):
    """`skip`: stochastic depth of the last block; it grows linearly from 0 at the first. `frozen_patches`:
    the first patches stay as they are, as mmsegmentation trains it."""

    # ImageNet's classifiers norm the last map only, and by a layer of their own.
    imagenet = ImageNetNames(POOLFORMER, fresh=(r"^norms\.",))

    def __init__(
        self,
        widths: Sequence[int],
        depths: Sequence[int],
        layer_scale: float,
        skip: float,
        frozen_patches: bool,
    ) -> None:
        super().__init__(widths, (4, 8, 16, 32))
        self.stages, self.norms = nn.HybridSequential(), nn.HybridSequential()
        rates, before = iter(rising(skip, sum(depths))), 0
        for level, (width, depth) in enumerate(zip(widths, depths)):
            # Side, stride, padding.
            patch = (3, 2, 1) if level else (7, 4, 2)
            self.stages.add(Stage(before, width, patch, layer_scale, [next(rates) for _ in range(depth)]))
            self.norms.add(ChannelGroupNorm(width, 1, 1e-5))
            before = width
        draw_as_pytorch(self.stages)
        if frozen_patches:
            self.stages[0].patch.collect_params().setattr("grad_req", "null")

    def hybrid_forward(self, F, x):
        maps = []
        for stage, norm in zip(self.stages, self.norms):
            x = stage(x)
            maps.append(norm(x))
        return tuple(maps)


def _register(size):
    @BACKBONES.register(f"poolformer_{size}", output_strides=(32,))
    def build(skip: float = 0.0, frozen_patches: bool = False) -> PoolFormer:
        return PoolFormer(*SIZES[size], skip, frozen_patches)


for _size in SIZES:
    _register(_size)

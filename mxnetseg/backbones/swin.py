"""Swin transformers (Liu et al., ICCV 2021, arXiv 2103.14030): attention in windows that shift.

Four stages, strides 4, 8, 16, 32. Attention stays inside windows of 7 x 7 tokens; every second block moves
the windows by half their side, so that what was apart meets. Each map gets a layer norm of its own. Any
image fits: it is filled up to whole patches, maps to whole windows and to even sides, with zeros at the
bottom and at the right. Tokens that are filled up take part in attention, as in all published code.
"""

from __future__ import annotations

from typing import Dict, Sequence

import numpy as np
from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import BACKBONES, Backbone
from mxnetseg.backbones.hierarchical_names import SWIN, swin_tensors
from mxnetseg.backbones.naming import CLASSIFIER, ImageNetNames
from mxnetseg.nn.initial import draw_as_pytorch
from mxnetseg.nn.tokens import TokenMLP, rising, token_dense
from mxnetseg.nn.windows import (
    WindowAttention,
    apart,
    fill_windows,
    regions,
    relative_places,
    roll,
    to_first,
    to_last,
    whole_windows,
)

# Width of the first stage, blocks of each, heads of the first (doubled from stage to stage, as the widths).
SIZES = {
    "tiny": (96, (2, 2, 6, 2), 3),
    "small": (96, (2, 2, 18, 2), 3),
    "base": (128, (2, 2, 18, 2), 4),
    "large": (192, (2, 2, 18, 2), 6),
}
PATCH = 4


class SwinBlock(HybridBlock):
    """Pre-norm block of maps `(N, H, W, C)`; `shift`: pixels that its windows are moved by. `skip`: chance
    that a sample passes a residual branch by while training."""

    def __init__(self, width: int, heads: int, window: int, shift: int, skip: float) -> None:
        super().__init__()
        self._window, self._shift = window, shift
        self.norm1 = nn.LayerNorm(in_channels=width)
        self.attn = WindowAttention(width, heads, window, positions=True)
        self.norm2 = nn.LayerNorm(in_channels=width)
        self.mlp = TokenMLP(width, 4 * width)
        self.skip = nn.Dropout(skip, axes=(1, 2, 3))

    def hybrid_forward(self, F, x, whole, places, mask):
        y = fill_windows(F, self.norm1(x), whole, self._window)
        if self._shift:
            y = roll(F, self.attn(roll(F, y, self._shift), mask, places), -self._shift)
        else:
            y = self.attn(y, None, places)
        x = x + self.skip(F.slice_like(y, x, axes=(1, 2)))
        return x + self.skip(self.mlp(self.norm2(x)))


class PatchMerging(HybridBlock):
    """`(N, H, W, C)` to `(N, ceil(H / 2), ceil(W / 2), 2 C)`: four neighbours side by side, reduced.

    Their order is the authors': by columns, then by rows.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(in_channels=4 * width)
        self.reduce = token_dense(2 * width, 4 * width, bias=False)

    def hybrid_forward(self, F, x):
        even = fill_windows(F, x, whole_windows(F, x, 2), 2)
        parts = F.transpose(F.reshape(even, (0, -4, -1, 2, -4, -1, 2, 0)), (0, 1, 3, 4, 2, 5))
        return self.reduce(self.norm(F.reshape(F.reshape(parts, (0, 0, 0, -3, 0)), (0, 0, 0, -3))))


class Stage(HybridBlock):
    """Blocks in pairs, plain and shifted, behind a merging of patches (not in the first stage)."""

    def __init__(self, width: int, heads: int, window: int, skips: Sequence[float], merge: bool) -> None:
        super().__init__()
        self._window = window
        self.merge = PatchMerging(width // 2) if merge else None
        self.blocks = nn.HybridSequential()
        for index, skip in enumerate(skips):
            shift = window // 2 if index % 2 else 0
            self.blocks.add(SwinBlock(width, heads, window, shift, skip))

    def hybrid_forward(self, F, x):
        x = x if self.merge is None else self.merge(x)
        whole = whole_windows(F, x, self._window)
        places = relative_places(F, whole, self._window)
        # After rolling, the last windows hold pixels of opposite borders: they do not attend to each other.
        mask = apart(F, regions(F, whole, self._window, self._window // 2), self._window, 100.0)
        for block in self.blocks:
            x = block(x, whole, places, mask)
        return x


class Swin(Backbone):
    """`window`: side of the windows, tokens. `skip`: stochastic depth of the last block; it grows linearly
    from 0 at the first."""

    # ImageNet's classifiers norm the last map only, and by a layer of their own.
    imagenet = ImageNetNames(SWIN, (*CLASSIFIER, r"^swin\.layernorm\."), fresh=(r"^norms\.",))

    def __init__(self, width: int, depths: Sequence[int], heads: int, window: int, skip: float) -> None:
        super().__init__([width * 2**level for level in range(4)], (4, 8, 16, 32))
        self.patch_embed = nn.Conv2D(width, PATCH, PATCH)
        draw_as_pytorch(self.patch_embed)
        self.patch_norm = nn.LayerNorm(in_channels=width)
        self.stages, self.norms = nn.HybridSequential(), nn.HybridSequential()
        rates = iter(rising(skip, sum(depths)))
        for level, depth in enumerate(depths):
            skips = [next(rates) for _ in range(depth)]
            self.stages.add(Stage(self.channels[level], heads * 2**level, window, skips, level > 0))
            self.norms.add(nn.LayerNorm(in_channels=self.channels[level]))

    def rearrange(self, tensors: Dict[str, np.ndarray]) -> Dict[str, np.ndarray]:
        return swin_tensors(tensors)

    def hybrid_forward(self, F, x):
        widths = (0, 0, 0, 0, 0, PATCH - 1, 0, PATCH - 1)
        x = self.patch_embed(F.pad(x, mode="constant", constant_value=0, pad_width=widths))
        x = self.patch_norm(to_last(F, x))
        maps = []
        for stage, norm in zip(self.stages, self.norms):
            x = stage(x)
            maps.append(to_first(F, norm(x)))
        return tuple(maps)


def _register(size):
    @BACKBONES.register(f"swin_{size}", output_strides=(32,))
    def build(window: int = 7, skip: float = 0.3) -> Swin:
        net = Swin(*SIZES[size], window, skip)
        if window != 7:  # tables of places, and so the files, are of one window
            net.imagenet_name = f"swin_{size}_window{window}"
        return net


for _size in SIZES:
    _register(_size)

"""ViT: An Image is Worth 16x16 Words (Dosovitskiy et al., ICLR 2021, arXiv 2010.11929), patches of 16 pixels.

Not a pyramid: its four maps are the outputs of four blocks, all at stride 16. Images whose sides are no
multiples of 16 are padded with zeros at the right and the bottom. The position embedding is kept on the
grid it was learned on (`grid`, rows and columns of patches) and resized with unaligned corners to the
grid of each image, bilinearly or, as in Segmenter, bicubically.
"""

from __future__ import annotations

from typing import Dict, Literal, Optional, Sequence, Tuple

import mxnet as mx
import numpy as np
from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import BACKBONES, Backbone
from mxnetseg.backbones.naming import VIT, ImageNetNames, grid_of
from mxnetseg.errors import ConfigError
from mxnetseg.nn.initial import FAN_IN, XAVIER
from mxnetseg.nn.resize import resize_bicubic_like, resize_like, resize_to
from mxnetseg.nn.tokens import NARROW, to_map, to_tokens, token_dense

PATCH = 16
# Width, blocks, attention heads.
SIZES = {"tiny": (192, 12, 3), "small": (384, 12, 6), "base": (768, 12, 12), "large": (1024, 24, 16)}


class Attention(HybridBlock):
    """Multi-head self-attention of tokens `(N, L, C)`. `dropout`: of its weights and of what it gives."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self._heads = heads
        self._scale = (width // heads) ** -0.5
        self.qkv = token_dense(3 * width, width, weights=XAVIER)
        self.proj = token_dense(width, width)
        self.drop = nn.Dropout(dropout)

    def hybrid_forward(self, F, x):
        # (N, L, 3 C) to queries, keys and values of (N * heads, L, C / heads).
        parts = F.reshape(self.qkv(x), (0, 0, -4, 3 * self._heads, -1))
        parts = F.split(F.transpose(parts, (0, 2, 1, 3)), num_outputs=3, axis=1)
        query, key, value = (F.reshape(part, (-3, 0, 0)) for part in parts)
        affinity = self.drop(F.softmax(F.batch_dot(query * self._scale, key, transpose_b=True), axis=-1))
        read = F.reshape(F.batch_dot(affinity, value), (-4, -1, self._heads, 0, 0))
        return self.drop(self.proj(F.reshape(F.transpose(read, (0, 2, 1, 3)), (0, 0, -3))))


class MLP(HybridBlock):
    """Two dense layers with an exact GELU in between; dropout after either."""

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        hardly = mx.init.Normal(1e-6)
        self.fc1 = token_dense(hidden, width, biases=hardly)
        self.act = nn.GELU()
        self.fc2 = token_dense(width, hidden, biases=hardly)
        self.drop = nn.Dropout(dropout)

    def hybrid_forward(self, F, x):
        return self.drop(self.fc2(self.drop(self.act(self.fc1(x)))))


class Block(HybridBlock):
    """Pre-norm transformer block. `skip`: chance that a sample passes a residual branch by in training;
    `skip_attention`: either branch, or the dense layers alone."""

    def __init__(
        self,
        width: int,
        heads: int,
        epsilon: float = 1e-6,
        dropout: float = 0.0,
        skip: float = 0.0,
        skip_attention: bool = True,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(epsilon=epsilon, in_channels=width)
        self.attn = Attention(width, heads, dropout)
        self.norm2 = nn.LayerNorm(epsilon=epsilon, in_channels=width)
        self.mlp = MLP(width, 4 * width, dropout)
        self.skip = nn.Dropout(skip, axes=(1, 2))
        self._skip_attention = skip_attention

    def hybrid_forward(self, F, x):
        read = self.attn(self.norm1(x))
        x = x + (self.skip(read) if self._skip_attention else read)
        return x + self.skip(self.mlp(self.norm2(x)))


class ViT(Backbone):
    """`(N, 3, H, W)` to the outputs of four blocks, `(N, width, ceil(H / 16), ceil(W / 16))`.

    `taps`: their indices from 0, by default the ends of the four quarters. `class_token`: a token of its own
    takes part in attention (and is left out of the maps). `patch_bias`: bias of the patch projection.
    `final_norm`: layer norm on what the last block gives; maps are not normalized otherwise. `resizing`:
    how the position embedding is resized. `skip`: stochastic depth of the last block, growing linearly from 0
    at the first; `skip_attention`: of attention too.
    """

    patch = PATCH
    imagenet = ImageNetNames(VIT)

    def __init__(
        self,
        width: int,
        depth: int,
        heads: int,
        grid: Tuple[int, int],
        class_token: bool,
        patch_bias: bool,
        taps: Optional[Sequence[int]],
        final_norm: bool,
        resizing: Literal["bilinear", "bicubic"],
        skip: float,
        skip_attention: bool,
    ) -> None:
        super().__init__(channels=(width,) * 4, strides=(PATCH,) * 4)
        self.depth = depth
        self._resizing = resizing
        self.tap(taps or [depth * quarter // 4 - 1 for quarter in (1, 2, 3, 4)])
        self.patch_embed = nn.Conv2D(width, PATCH, PATCH, use_bias=patch_bias, weight_initializer=FAN_IN)
        self.pos_embed = self.params.get("pos_embed", shape=(1, width, *grid), init=NARROW)
        self._class_token = class_token
        if class_token:
            self.cls_token = self.params.get("cls_token", shape=(1, 1, width), init=NARROW)
            self.cls_pos = self.params.get("cls_pos", shape=(1, 1, width), init=NARROW)
        self.blocks = nn.HybridSequential()
        for index in range(depth):
            rate = skip * index / (depth - 1)
            self.blocks.add(Block(width, heads, skip=rate, skip_attention=skip_attention))
        self.norm = nn.LayerNorm(epsilon=1e-6, in_channels=width) if final_norm else None

    def parameter_depths(self) -> Dict[str, int]:
        """{Gluon's name of a parameter: number of its block, from 1}; 0 for patches, positions and tokens."""
        depths = dict.fromkeys(self.collect_params(), 0)
        for number, block in enumerate(self.blocks, 1):
            depths.update(dict.fromkeys(block.collect_params(), number))
        if self.norm is not None:
            depths.update(dict.fromkeys(self.norm.collect_params(), self.depth))
        return depths

    def rearrange(self, tensors: Dict[str, np.ndarray]) -> Dict[str, np.ndarray]:
        """The position embedding of a file, `(1, tokens, C)`, as a map on this network's grid."""
        tensors = dict(tensors)
        table = tensors.pop("pos_embed", None)
        if table is None or np.ndim(table) == 4:
            return tensors if table is None else {**tensors, "pos_embed": table}
        first = tensors.pop("cls_token", None)
        if first is not None:
            position, table = np.asarray(table)[:, :1], np.asarray(table)[:, 1:]
            if self._class_token:
                tensors.update(cls_token=first, cls_pos=position)
        rows, columns = grid_of(table.shape[1])
        on_file = mx.nd.array(np.transpose(table, (0, 2, 1)).reshape(1, -1, rows, columns))
        here = resize_to(mx.nd, on_file, self.pos_embed.shape[2:], align_corners=False)
        return {**tensors, "pos_embed": here.asnumpy()}

    def tap(self, indices: Sequence[int]) -> None:
        """Choose the four blocks whose outputs are the maps, shallow to deep."""
        indices = tuple(int(i) for i in indices)
        rising = len(indices) == 4 and list(indices) == sorted(indices)
        if not (rising and indices[0] >= 0 and indices[-1] < self.depth):
            raise ConfigError(f"taps must be four rising block indices below {self.depth}, not {indices}")
        self._taps = indices

    def hybrid_forward(self, F, x, pos_embed, cls_token=None, cls_pos=None):
        x = F.pad(x, mode="constant", constant_value=0, pad_width=(0, 0, 0, 0, 0, PATCH - 1, 0, PATCH - 1))
        patches = self.patch_embed(x)
        if self._resizing == "bicubic":
            positions = resize_bicubic_like(F, pos_embed, patches)
        else:
            positions = resize_like(F, pos_embed, patches, align_corners=False)
        patches = F.broadcast_add(patches, positions)
        tokens = to_tokens(F, patches)
        if self._class_token:
            first = F.broadcast_like(cls_token + cls_pos, tokens, lhs_axes=(0,), rhs_axes=(0,))
            tokens = F.concat(first, tokens, dim=1)
        maps = []
        for index, block in enumerate(self.blocks):
            tokens = block(tokens)
            if self.norm is not None and index == self.depth - 1:
                tokens = self.norm(tokens)
            maps += [self._as_map(F, tokens, patches)] * self._taps.count(index)
        return tuple(maps)

    def _as_map(self, F, tokens, patches):
        if self._class_token:
            tokens = F.slice_axis(tokens, axis=1, begin=1, end=None)
        return to_map(F, tokens, patches)


def _register(size):
    name = f"vit_{size}"

    @BACKBONES.register(name, output_strides=(PATCH,), pyramid=False)
    def build(
        grid: Tuple[int, int] = (24, 24),
        class_token: bool = True,
        patch_bias: bool = True,
        taps: Optional[Sequence[int]] = None,
        final_norm: bool = False,
        resizing: Literal["bilinear", "bicubic"] = "bilinear",
        skip: float = 0.0,
        skip_attention: bool = True,
    ) -> ViT:
        return ViT(
            *SIZES[size],
            tuple(grid),
            class_token,
            patch_bias,
            taps,
            final_norm,
            resizing,
            skip,
            skip_attention,
        )


for _size in SIZES:
    _register(_size)

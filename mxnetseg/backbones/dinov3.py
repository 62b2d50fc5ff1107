"""DINOv3 (Simeoni et al., 2025, arXiv 2508.10104): ViT with patches of 16 pixels, rotary positions, a class
token and four registers, layer scale and, in two sizes, SwiGLU.

There is no table of positions: the angles of a patch grow with its centre, from -1 to 1 along both sides of
the image whatever its size. All maps go through the final layer norm.
"""

from __future__ import annotations

import math
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

from mxnetseg.backbones.base import BACKBONES, Backbone
from mxnetseg.backbones.naming import ImageNetNames
from mxnetseg.backbones.pyramid import Kind, with_pyramid
from mxnetseg.backbones.token_names import TOKENS, UNUSED, of_file
from mxnetseg.backbones.tokens import TokenBackbone, front_token, skips
from mxnetseg.nn.grid import side, steps
from mxnetseg.nn.tensor import Ops, Tensor
from mxnetseg.nn.tokens import NARROW
from mxnetseg.nn.transformer import MLP, Block, RotaryAttention, SwiGLU

PATCH = 16
REGISTERS = 4
# The slowest angle turns so many times slower than the fastest.
BASE = 100.0
# Width, blocks, attention heads, hidden channels, whether those are gated.
SIZES = {
    "small": (384, 12, 6, 1536, False),
    "small_plus": (384, 12, 6, 1536, True),
    "base": (768, 12, 12, 3072, False),
    "large": (1024, 24, 16, 4096, False),
    "huge_plus": (1280, 32, 20, 5120, True),
}


class DINOv3(TokenBackbone):
    """DINOv3. `norm`: maps go through the final layer norm. `layer_scale`: what its factors start at
    (training from scratch began at 1e-5). The others: see `TokenBackbone`."""

    imagenet = ImageNetNames(TOKENS, UNUSED)
    places_for_attention = True

    def __init__(
        self,
        width: int,
        depth: int,
        heads: int,
        hidden: int,
        gated: bool,
        taps: Optional[Sequence[int]],
        norm: bool,
        skip: float,
        layer_scale: float,
        readout: bool,
    ) -> None:
        front = 1 + REGISTERS
        super().__init__(
            width, depth, PATCH, front, taps, "all" if norm else "none", 1e-5, readout, patch_weights=NARROW
        )
        self._planes = width // heads // 4
        self.cls_token = front_token(self, "cls_token", 1, width)
        self.registers = front_token(self, "registers", REGISTERS, width)
        for rate in skips(skip, depth)[: self.built]:
            attention = RotaryAttention(width, heads, biases="no_key", weights=NARROW)
            mlp = SwiGLU(width, hidden) if gated else MLP(width, hidden)
            self.blocks.add(Block(attention, mlp, width, 1e-5, rate, layer_scale=layer_scale))

    def rearrange(self, tensors: Dict[str, np.ndarray]) -> Dict[str, np.ndarray]:
        """Projections joined; the authors' biases of keys, which a mask takes out, are left."""
        return of_file(tensors, self.built, keys_have_bias=False)

    def embed(
        self, F: Ops, patches: Tensor, cls_token: Tensor, registers: Tensor
    ) -> Tuple[List[Tensor], Tensor]:
        return [cls_token, registers], patches

    def places(self, F: Ops, patches: Tensor) -> Tuple[Tensor, Tensor]:
        rows, columns = (self._angles(F, patches, axis) for axis in (2, 3))
        # (rows, columns, planes) of either axis, one behind the other, and the same for the other half.
        rows, columns = F.expand_dims(rows, axis=1), F.expand_dims(columns, axis=0)
        rows, columns = (
            F.broadcast_add(rows, F.zeros_like(columns)),
            F.broadcast_add(columns, F.zeros_like(rows)),
        )
        angles = F.reshape(F.concat(rows, columns, rows, columns, dim=2), (-3, 0))
        # Tokens in front are not turned.
        still = F.broadcast_mul(
            F.reshape(steps(F, patches, 1 + REGISTERS) * 0, (-1, 1)),
            F.slice_axis(angles, axis=0, begin=0, end=1),
        )
        angles = F.concat(still, angles, dim=0)
        return F.cos(angles), F.sin(angles)

    def _angles(self, F, patches, axis):
        """`(side, planes)`: the angle of every row or column of patches in every plane."""
        centres = F.contrib.arange_like(patches, axis=axis) + 0.5
        centres = F.broadcast_div(centres, side(F, patches, axis)) * 2 - 1
        rates = F.exp(steps(F, patches, self._planes) * (-math.log(BASE) / self._planes)) * (2 * math.pi)
        return F.broadcast_mul(F.reshape(centres, (-1, 1)), F.reshape(rates, (1, -1)))


def _register(size):
    @BACKBONES.register(f"dinov3_{size}", output_strides=(PATCH,), pyramid=False)
    def build(
        taps: Optional[Sequence[int]] = None,
        norm: bool = True,
        skip: float = 0.0,
        layer_scale: float = 1.0,
        readout: bool = False,
        pyramid: Optional[Kind] = None,
    ) -> Backbone:
        net = DINOv3(*SIZES[size], taps, norm, skip, layer_scale, readout)
        return with_pyramid(net, pyramid)


for _size in SIZES:
    _register(_size)

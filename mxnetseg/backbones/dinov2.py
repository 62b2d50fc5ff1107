"""DINOv2: Learning Robust Visual Features without Supervision (Oquab et al., TMLR 2024, arXiv 2304.07193),
and its registers (Darcet et al., ICLR 2024, arXiv 2309.16588).

ViT with patches of 14 pixels, layer scale and, in the largest, SwiGLU in place of the MLP. All maps go
through the final layer norm. Positions were learned for 518 x 518 pixels and are resized bicubically; with
registers the published files are resized with antialiasing, which `resizing` says.
"""

from __future__ import annotations

from typing import Optional, Sequence, Tuple

import mxnet as mx

from mxnetseg.backbones.base import BACKBONES, Backbone
from mxnetseg.backbones.pyramid import Kind, with_pyramid
from mxnetseg.backbones.tokens import skips
from mxnetseg.backbones.vit import AbsolutePositions, Resizing
from mxnetseg.nn.tokens import NARROW
from mxnetseg.nn.transformer import MLP, Attention, Block, SwiGLU

PATCH = 14
# Width, blocks, attention heads.
SIZES = {"small": (384, 12, 6), "base": (768, 12, 12), "large": (1024, 24, 16), "giant": (1536, 40, 24)}
# Hidden channels of the gated layers of the giant one: two thirds of four times its width.
GATED = {"giant": 4096}


class DINOv2(AbsolutePositions):
    """DINOv2. `patch`: side of the patches. `registers`: tokens for the network's own use, 4 where there are
    some. `norm`: maps go through the final layer norm. `layer_scale`: what its factors start at (training
    from scratch began at 1e-5). `class_position`: the class token has an embedding of its place. `gated`:
    hidden channels of SwiGLU, None for the MLP. The others: see `TokenBackbone`."""

    def __init__(
        self,
        width: int,
        depth: int,
        heads: int,
        patch: int,
        grid: Tuple[int, int],
        registers: int,
        taps: Optional[Sequence[int]],
        norm: bool,
        resizing: Resizing,
        skip: float,
        layer_scale: float,
        class_position: bool,
        readout: bool,
        gated: Optional[int],
    ) -> None:
        super().__init__(
            width,
            depth,
            patch,
            grid,
            True,
            resizing,
            taps,
            "all" if norm else "none",
            1e-6,
            readout,
            registers=registers,
            class_position=class_position,
            class_start=mx.init.Normal(1e-6),
        )
        for rate in skips(skip, depth)[: self.built]:
            mlp = SwiGLU(width, gated) if gated else MLP(width, 4 * width)
            attention = Attention(width, heads, weights=NARROW)
            self.blocks.add(Block(attention, mlp, width, skip=rate, layer_scale=layer_scale))


def _register(size):
    @BACKBONES.register(f"dinov2_{size}", output_strides=(PATCH,), pyramid=False)
    def build(
        grid: Tuple[int, int] = (37, 37),
        patch: int = PATCH,
        registers: int = 0,
        taps: Optional[Sequence[int]] = None,
        norm: bool = True,
        resizing: Resizing = "bicubic",
        skip: float = 0.0,
        layer_scale: float = 1.0,
        class_position: bool = True,
        readout: bool = False,
        pyramid: Optional[Kind] = None,
    ) -> Backbone:
        net = DINOv2(
            *SIZES[size],
            patch,
            tuple(grid),
            registers,
            taps,
            norm,
            resizing,
            skip,
            layer_scale,
            class_position,
            readout,
            GATED.get(size),
        )
        return with_pyramid(net, pyramid)


for _size in SIZES:
    _register(_size)

"""Pyramid vision transformers, version 2 (Wang et al., Computational Visual Media 2022, arXiv 2106.13797).

What mix transformers were made from: overlapping patches, attention to a smaller map, a depthwise convolution
in each feed-forward block, which is twice as wide in the first two stages.
"""

from __future__ import annotations

from mxnetseg.backbones.base import BACKBONES
from mxnetseg.backbones.mit import MiT, MixBlock
from mxnetseg.nn.surgery import layers
from mxnetseg.nn.tokens import NARROW

# Width of the first stage, blocks of each, widths of feed-forward blocks relative to their tokens'.
SIZES = {
    "b0": (32, (2, 2, 2, 2), (8, 8, 4, 4)),
    "b1": (64, (2, 2, 2, 2), (8, 8, 4, 4)),
    "b2": (64, (3, 4, 6, 3), (8, 8, 4, 4)),
    "b3": (64, (3, 4, 18, 3), (8, 8, 4, 4)),
    "b4": (64, (3, 8, 27, 3), (8, 8, 4, 4)),
    "b5": (64, (3, 6, 40, 3), (4, 4, 4, 4)),
}


def _register(size):
    @BACKBONES.register(f"pvtv2_{size}", output_strides=(32,))
    def build(skip: float = 0.1, epsilon: float = 1e-6, inner_epsilon: float = 1e-5) -> MiT:
        """`epsilon`, `inner_epsilon`: see `MiT`; timm's are both 1e-6."""
        width, depths, ratios = SIZES[size]
        net = MiT(width, depths, skip, epsilon, inner_epsilon, ratios)
        # Its linear layers are drawn alike, those between depthwise convolutions too.
        for block in layers(net, MixBlock):
            for layer in (block.attn.q, block.attn.kv, block.mlp.fc1, block.mlp.fc2):
                layer.weight.init = NARROW
        return net


for _size in SIZES:
    _register(_size)

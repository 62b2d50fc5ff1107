"""BEiT: BERT Pre-Training of Image Transformers (Bao et al., ICLR 2022, arXiv 2106.08254), patches of 16
pixels; data2vec (Baevski et al., ICML 2022, arXiv 2202.03555) trains the same network.

No embedding of places: every block adds a learned number for the offset between two patches to their score.
The tables are for `grid` patches and resized bilinearly to other grids (published code fixes the size of the
image instead). Keys have no bias, and both branches of a block have a layer scale.
"""

from __future__ import annotations

from typing import Dict, List, Optional, Sequence, Tuple

import mxnet as mx
import numpy as np

from mxnetseg.backbones.base import BACKBONES, Backbone
from mxnetseg.backbones.naming import ImageNetNames
from mxnetseg.backbones.pyramid import Kind, with_pyramid
from mxnetseg.backbones.token_names import TOKENS, UNUSED, of_file
from mxnetseg.backbones.tokens import TokenBackbone, front_token, skips
from mxnetseg.nn.grid import side
from mxnetseg.nn.resize import resize_to
from mxnetseg.nn.tensor import Ops, Tensor
from mxnetseg.nn.tokens import NARROW
from mxnetseg.nn.transformer import MLP, Block, RelativeAttention

PATCH = 16
# Width, blocks, attention heads, what layer scale starts at.
SIZES = {"base": (768, 12, 12, 0.1), "large": (1024, 24, 16, 1e-5)}


class BEiT(TokenBackbone):
    """BEiT. `grid`: rows and columns of patches that the tables are for. `epsilon`: of layer norms.
    `skip`: stochastic depth of the last block, growing linearly from 0 at the first. The others: see
    `TokenBackbone`."""

    imagenet = ImageNetNames(TOKENS, UNUSED)
    places_for_attention = True

    def __init__(
        self,
        width: int,
        depth: int,
        heads: int,
        layer_scale: float,
        grid: Tuple[int, int],
        taps: Optional[Sequence[int]],
        epsilon: float,
        skip: float,
        readout: bool,
    ) -> None:
        super().__init__(width, depth, PATCH, 1, taps, "none", epsilon, readout, patch_weights=NARROW)
        self.cls_token = front_token(self, "cls_token", 1, width)
        for number, rate in enumerate(skips(skip, depth)[: self.built], 1):
            # The layers that close a branch are drawn the narrower the deeper they lie.
            last = mx.init.Normal(0.02 / (2 * number) ** 0.5)
            attention = RelativeAttention(width, heads, grid, biases="no_key", weights=NARROW, last=last)
            mlp = MLP(width, 4 * width, last=last)
            self.blocks.add(Block(attention, mlp, width, epsilon, rate, layer_scale=layer_scale))

    def rearrange(self, tensors: Dict[str, np.ndarray]) -> Dict[str, np.ndarray]:
        """Tables of a file as maps of offsets, resized to this network's grid."""
        tensors = of_file(tensors, self.built, keys_have_bias=False)
        size = self.blocks[0].attn.offsets.shape[2:]
        return {
            name: resize_to(mx.nd, mx.nd.array(tensor), size, align_corners=False).asnumpy()
            if name.endswith(".offsets")
            else tensor
            for name, tensor in tensors.items()
        }

    def embed(self, F: Ops, patches: Tensor, cls_token: Tensor) -> Tuple[List[Tensor], Tensor]:
        return [cls_token], patches

    def places(self, F: Ops, patches: Tensor) -> Tuple[Tensor, Tensor]:
        one = F.slice_axis(patches, axis=1, begin=0, end=1)
        like = F.BlockGrad(F.UpSampling(one, scale=2, sample_type="nearest"))
        for axis in (2, 3):
            like = F.slice_axis(like, axis=axis, begin=0, end=-1)
        width = F.reshape(side(F, patches, 3), (1, 1))
        # Row and column of every patch, counted through the image: (h * w).
        down = F.reshape(F.contrib.arange_like(patches, axis=2), (-1, 1))
        across = F.reshape(F.contrib.arange_like(patches, axis=3), (1, -1))
        rows = F.reshape(F.broadcast_add(down, F.zeros_like(across)), (-1,))
        columns = F.reshape(F.broadcast_add(F.zeros_like(down), across), (-1,))
        vertical = F.broadcast_add(_offsets(F, rows), F.reshape(F.max(rows), (1, 1)))
        horizontal = F.broadcast_add(_offsets(F, columns), F.reshape(F.max(columns), (1, 1)))
        return F.broadcast_add(F.broadcast_mul(vertical, 2 * width - 1), horizontal), like


def _offsets(F, numbers):
    return F.broadcast_sub(F.reshape(numbers, (-1, 1)), F.reshape(numbers, (1, -1)))


def _register(size):
    @BACKBONES.register(f"beit_{size}", output_strides=(PATCH,), pyramid=False)
    def build(
        grid: Tuple[int, int] = (14, 14),
        taps: Optional[Sequence[int]] = None,
        epsilon: float = 1e-6,
        skip: float = 0.0,
        readout: bool = False,
        pyramid: Optional[Kind] = None,
    ) -> Backbone:
        net = BEiT(*SIZES[size], tuple(grid), taps, epsilon, skip, readout)
        return with_pyramid(net, pyramid)


for _size in SIZES:
    _register(_size)

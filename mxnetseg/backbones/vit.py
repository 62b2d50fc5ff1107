"""ViT: An Image is Worth 16x16 Words (Dosovitskiy et al., ICLR 2021, arXiv 2010.11929), patches of 16 pixels.

Not a pyramid: its four maps are the outputs of four blocks, all at stride 16. The position embedding is kept
on the grid it was learned on (`grid`, rows and columns of patches) and resized with unaligned corners to the
grid of each image: bilinearly, bicubically (Segmenter, UPerNet and DPT of mmsegmentation) or bicubically
with antialiasing (timm).
"""

from __future__ import annotations

from typing import Any, Dict, List, Literal, Optional, Sequence, Tuple

import mxnet as mx
import numpy as np

from mxnetseg.backbones.base import BACKBONES, Backbone
from mxnetseg.backbones.naming import ImageNetNames, grid_of
from mxnetseg.backbones.published_names import TORCHVISION_VIT, vit_tensors
from mxnetseg.backbones.pyramid import Kind, with_pyramid
from mxnetseg.backbones.token_names import TOKENS, UNUSED, of_file
from mxnetseg.backbones.tokens import Normalized, TokenBackbone, front_token, skips
from mxnetseg.nn.resize import resize_bicubic_like, resize_like, resize_to
from mxnetseg.nn.tensor import Ops, Tensor
from mxnetseg.nn.tokens import NARROW
from mxnetseg.nn.transformer import plain_block

PATCH = 16
# Width, blocks, attention heads.
SIZES = {"tiny": (192, 12, 3), "small": (384, 12, 6), "base": (768, 12, 12), "large": (1024, 24, 16)}
Resizing = Literal["bilinear", "bicubic", "bicubic_antialias"]


class AbsolutePositions(TokenBackbone):
    """A `TokenBackbone` with a learned embedding of every place, added to the patches.

    `class_token`: a token of its own in front of the patches; `class_position`: it has an embedding of its
    place as well. `registers`: further tokens behind it. `resizing`: how the embedding is resized.
    """

    # The last norm of torchvision and of mmsegmentation.
    imagenet = ImageNetNames(TOKENS, (*UNUSED, r"^(encoder\.ln|ln1)\."), layouts=[TORCHVISION_VIT])

    def __init__(
        self,
        width: int,
        depth: int,
        patch: int,
        grid: Tuple[int, int],
        class_token: bool,
        resizing: Resizing,
        taps: Optional[Sequence[int]],
        normalized: Normalized,
        epsilon: float,
        readout: bool,
        patch_bias: bool = True,
        registers: int = 0,
        class_position: bool = True,
        class_start: Any = NARROW,
    ) -> None:
        front = class_token + registers
        super().__init__(width, depth, patch, front, taps, normalized, epsilon, readout, patch_bias)
        self._resizing = resizing
        self._class_token = class_token
        self._class_position = class_token and class_position
        self.pos_embed = self.params.get("pos_embed", shape=(1, width, *grid), init=NARROW)
        if class_token:
            self.cls_token = front_token(self, "cls_token", 1, width, class_start)
        if self._class_position:
            self.cls_pos = front_token(self, "cls_pos", 1, width)
        if registers:
            self.registers = front_token(self, "registers", registers, width, class_start)

    def rearrange(self, tensors: Dict[str, np.ndarray]) -> Dict[str, np.ndarray]:
        """The position embedding of a file, `(1, tokens, C)`, as a map on this network's grid, and its
        filters at the side of this network's patches."""
        tensors = of_file(vit_tensors(tensors), self.built)
        for name, weight in tensors.items():
            if "patch_embed" in name and np.ndim(weight) == 4 and weight.shape[2] != self.patch:
                tensors[name] = resized_patches(np.asarray(weight), self.patch)
        table = tensors.pop("pos_embed", tensors.pop("embeddings.position_embeddings", None))
        if table is None or np.ndim(table) == 4:
            return tensors if table is None else {**tensors, "pos_embed": table}
        first = tensors.pop("cls_token", tensors.pop("embeddings.cls_token", None))
        if first is not None:
            # Files without an embedding of the class token's place have one number fewer than a grid more.
            # DeiT's distilled networks have a second token, which nothing here takes part in.
            tokens = 1 + (tensors.pop("dist_token", None) is not None)
            position, table = np.asarray(table)[:, :1], np.asarray(table)[:, tokens:]
            if self._class_token:
                tensors.update(cls_token=first if self._class_position else first + position)
            if self._class_position:
                tensors.update(cls_pos=position)
        rows, columns = grid_of(table.shape[1])
        on_file = mx.nd.array(np.transpose(table, (0, 2, 1)).reshape(1, -1, rows, columns))
        here = resize_to(mx.nd, on_file, self.pos_embed.shape[2:], align_corners=False)
        return {**tensors, "pos_embed": here.asnumpy()}

    def embed(
        self,
        F: Ops,
        patches: Tensor,
        pos_embed: Tensor,
        cls_token: Optional[Tensor] = None,
        cls_pos: Optional[Tensor] = None,
        registers: Optional[Tensor] = None,
    ) -> Tuple[List[Tensor], Tensor]:
        if self._resizing == "bilinear":
            positions = resize_like(F, pos_embed, patches, align_corners=False)
        else:
            antialias = self._resizing == "bicubic_antialias"
            positions = resize_bicubic_like(F, pos_embed, patches, antialias)
        if cls_pos is not None:
            cls_token = cls_token + cls_pos
        front = [token for token in (cls_token, registers) if token is not None]
        return front, F.broadcast_add(patches, positions)


def resized_patches(weight: np.ndarray, side: int) -> np.ndarray:
    """Filters `(C, channels, s, s)` of patches for patches of another side: those that answer an enlarged
    patch as these answer the patch (FlexiViT, arXiv 2212.08013)."""
    old = weight.shape[2]
    pixels = mx.nd.reshape(mx.nd.eye(old * old), (1, old * old, old, old))
    enlarged = resize_bicubic_like(mx.nd, pixels, mx.nd.zeros((1, 1, side, side)), antialias=True)
    inverse = np.linalg.pinv(enlarged.asnumpy().reshape(old * old, side * side))
    flat = weight.reshape(*weight.shape[:2], -1) @ inverse.T
    return flat.reshape(*weight.shape[:2], side, side).astype(np.float32)


class ViT(AbsolutePositions):
    """ViT as mmsegmentation has it. `class_token`: see `AbsolutePositions`; `patch_bias`: bias of the patch
    projection. `final_norm`: layer norm on what the last block gives; maps are not normalized otherwise.
    `epsilon`: of layer norms. `skip`: stochastic depth of the last block, growing linearly from 0 at the
    first; `skip_attention`: of attention too. The others: see `TokenBackbone`."""

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
        resizing: Resizing,
        skip: float,
        skip_attention: bool,
        epsilon: float,
        readout: bool,
    ) -> None:
        normalized = "last" if final_norm else "none"
        super().__init__(
            width, depth, PATCH, grid, class_token, resizing, taps, normalized, epsilon, readout, patch_bias
        )
        for rate in skips(skip, depth)[: self.built]:
            self.blocks.add(plain_block(width, heads, epsilon, skip=rate, skip_attention=skip_attention))


def _register(size):
    name = f"vit_{size}"

    @BACKBONES.register(name, output_strides=(PATCH,), pyramid=False)
    def build(
        grid: Tuple[int, int] = (24, 24),
        class_token: bool = True,
        patch_bias: bool = True,
        taps: Optional[Sequence[int]] = None,
        final_norm: bool = False,
        resizing: Resizing = "bilinear",
        skip: float = 0.0,
        skip_attention: bool = True,
        epsilon: float = 1e-6,
        readout: bool = False,
        pyramid: Optional[Kind] = None,
    ) -> Backbone:
        net = ViT(
            *SIZES[size],
            tuple(grid),
            class_token,
            patch_bias,
            taps,
            final_norm,
            resizing,
            skip,
            skip_attention,
            epsilon,
            readout,
        )
        return with_pyramid(net, pyramid)


for _size in SIZES:
    _register(_size)

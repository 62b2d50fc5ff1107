"""What vision transformers share: patches, tokens in front of them, blocks, and the maps that are tapped."""

from __future__ import annotations

from typing import Any, Dict, List, Literal, Optional, Sequence, Tuple

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.errors import ConfigError
from mxnetseg.nn.initial import FAN_IN
from mxnetseg.nn.tensor import Ops, Tensor
from mxnetseg.nn.tokens import NARROW, to_map, to_tokens

Normalized = Literal["none", "last", "all"]


class TokenBackbone(Backbone):
    """`(N, 3, H, W)` to the outputs of four blocks, `(N, width, ceil(H / patch), ceil(W / patch))`.

    Images whose sides are no multiples of a patch are padded with zeros at the right and the bottom.
    `depth`: blocks of the published network; those behind the last one tapped are not built. `front`: tokens
    in front of the patches, which take part in attention and are left out of the maps. `taps`: indices of
    blocks from 0, by default the ends of the four quarters. `normalized`: which of the maps go through the
    final layer norm. `readout`: a map has twice the channels, the second half everywhere the class token, the
    first of those in front (DPT). Subclasses add their blocks to `self.blocks`, `built` of them.
    """

    # Whether attention is given places (`places`), so that other tokens cannot join.
    places_for_attention = False

    def __init__(
        self,
        width: int,
        depth: int,
        patch: int,
        front: int,
        taps: Optional[Sequence[int]],
        normalized: Normalized,
        epsilon: float,
        readout: bool,
        patch_bias: bool = True,
        patch_weights: Any = FAN_IN,
    ) -> None:
        super().__init__(channels=(width * (1 + readout),) * 4, strides=(patch,) * 4)
        if readout and not front:
            raise ConfigError("readout needs a class token")
        self.token_channels = width
        self.depth = self.built = depth
        self.patch = patch
        self.trace_size = patch * 10 if 64 % patch else 64
        self.front = front
        self._normalized = normalized
        self._run: Optional[int] = None
        self._readout = readout
        self.tap(taps or [depth * quarter // 4 - 1 for quarter in (1, 2, 3, 4)])
        self.built = self._taps[-1] + 1
        self.patch_embed = nn.Conv2D(
            width, patch, patch, use_bias=patch_bias, weight_initializer=patch_weights
        )
        self.blocks = nn.HybridSequential()
        used = normalized == "all" or (normalized == "last" and self.built == depth)
        self.norm = nn.LayerNorm(epsilon=epsilon, in_channels=width) if used else None

    def parameter_depths(self) -> Dict[str, int]:
        """{Gluon's name of a parameter: number of its block, from 1}; 0 for patches, positions and tokens."""
        depths = dict.fromkeys(self.collect_params(), 0)
        for number, block in enumerate(self.blocks, 1):
            depths.update(dict.fromkeys(block.collect_params(), number))
        if self.norm is not None:
            depths.update(dict.fromkeys(self.norm.collect_params(), len(self.blocks)))
        return depths

    def tap(self, indices: Sequence[int]) -> None:
        """Choose the four blocks whose outputs are the maps, shallow to deep."""
        indices = tuple(int(i) for i in indices)
        rising = len(indices) == 4 and list(indices) == sorted(indices)
        if not (rising and indices[0] >= 0 and indices[-1] < self.built):
            raise ConfigError(f"taps must be four rising block indices below {self.built}, not {indices}")
        self._taps = indices

    def stop_before_last(self, blocks: int) -> None:
        """From now on give the tokens `(N, L, C)` before the last `blocks`, and the map of the patches that
        they stand for, for a head that runs the rest."""
        self._run = len(self.blocks) - blocks
        self.channels, self.strides = self.channels[:2], self.strides[:2]

    def hybrid_forward(self, F, x, **learned):
        more = self.patch - 1
        x = F.pad(x, mode="constant", constant_value=0, pad_width=(0, 0, 0, 0, 0, more, 0, more))
        patches = self.patch_embed(x)
        front, placed = self.embed(F, patches, **learned)
        tokens = to_tokens(F, placed)
        front = [F.broadcast_like(token, tokens, lhs_axes=(0,), rhs_axes=(0,)) for token in front]
        tokens = F.concat(*front, tokens, dim=1) if front else tokens
        if self._run is not None:
            for block in list(self.blocks)[: self._run]:
                tokens = block(tokens)
            return tokens, patches
        return self.tapped(F, tokens, patches, self.places(F, patches))

    def embed(self, F: Ops, patches: Tensor, **learned: Tensor) -> Tuple[List[Tensor], Tensor]:
        """(tokens in front, each `(1, n, C)`; `patches` with what tells their positions)."""
        raise NotImplementedError

    def places(self, F: Ops, patches: Tensor) -> Sequence[Tensor]:
        """What attention is given about the places of the tokens of `patches`."""
        return ()

    def tapped(self, F: Ops, tokens: Tensor, patches: Tensor, places: Sequence[Tensor]) -> Tuple[Tensor, ...]:
        """The four maps, as large as `patches`."""
        maps = []
        for index, block in enumerate(self.blocks):
            tokens = block(tokens, *places)
            seen = tokens
            if self._normalized == "all" or (self._normalized == "last" and index == self.depth - 1):
                seen = self.norm(tokens) if index in self._taps else tokens
            maps += [self._as_map(F, seen, patches)] * self._taps.count(index)
        return tuple(maps)

    def _as_map(self, F, tokens, patches):
        rest = tokens
        if self.front:
            rest = F.slice_axis(tokens, axis=1, begin=self.front, end=None)
        if self._readout:
            first = F.slice_axis(tokens, axis=1, begin=0, end=1)
            rest = F.concat(rest, F.broadcast_like(first, rest, lhs_axes=(1,), rhs_axes=(1,)), dim=2)
        return to_map(F, rest, patches)


def skips(rate: float, depth: int) -> List[float]:
    """Stochastic depth of each block: growing linearly from 0 at the first to `rate` at the last."""
    return [rate * index / (depth - 1) for index in range(depth)]


def front_token(block: HybridBlock, name: str, count: int, width: int, start: Any = NARROW) -> Any:
    """A parameter of `block` for tokens in front of the patches, `(1, count, width)`."""
    return block.params.get(name, shape=(1, count, width), init=start)

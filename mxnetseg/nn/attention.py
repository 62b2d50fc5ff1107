"""Dot-product attention between the positions of feature maps, for maps of any size."""

from __future__ import annotations

from typing import Literal, Optional

from mxnetseg.nn.tensor import Ops, Tensor


def positions(F: Ops, x: Tensor) -> Tensor:
    """`(N, C, H, W)` to `(N, C, H*W)`."""
    return F.reshape(x, (0, 0, -1))


def attend(
    F: Ops,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    scale: Optional[float] = None,
    over: Literal["keys", "queries"] = "keys",
    mask: Optional[Tensor] = None,
) -> Tensor:
    """Weighted sums of `value`, one at every position of `query`: `(N, V, H, W)`.

    `query` `(N, C, H, W)`; `key` and `value` `(N, C, ...)`, `(N, V, ...)` over the same positions, as maps or
    flat. The weights are the softmax over keys of the dot products, multiplied by `scale` if given.
    `over="queries"` normalizes over the queries instead (AceCoooool's DANet). `mask` `(queries, keys)` is
    added to the scores: 0 where they may meet, a large negative number where not.
    """
    scores = F.batch_dot(positions(F, query), positions(F, key), transpose_a=True)
    if scale is not None:
        scores = scores * scale
    if mask is not None:
        scores = F.broadcast_add(scores, F.expand_dims(mask, axis=0))
    weights = F.softmax(scores, axis=-1 if over == "keys" else 1)
    summed = F.batch_dot(positions(F, value), weights, transpose_b=True)
    return like_map(F, summed, query)


def like_map(F: Ops, flat: Tensor, x: Tensor) -> Tensor:
    """`(N, V, H*W)` to `(N, V, H, W)`, the size of `x` `(N, C, H, W)`."""
    return F.reshape_like(flat, x, lhs_begin=2, lhs_end=3, rhs_begin=2, rhs_end=4)

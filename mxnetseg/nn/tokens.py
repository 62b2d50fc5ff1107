"""Maps as sequences of tokens, and back."""

from __future__ import annotations

from typing import List, Union

import mxnet as mx
from mxnet.gluon import HybridBlock, nn

from mxnetseg.nn.layers import GELU
from mxnetseg.nn.tensor import Ops, Tensor

# What transformers draw most of their weights by.
NARROW = mx.init.Normal(0.02)


def token_dense(
    units: int,
    in_units: int,
    bias: bool = True,
    weights: mx.init.Initializer = NARROW,
    biases: Union[str, mx.init.Initializer] = "zeros",
) -> nn.Dense:
    """A linear layer over the channels of tokens `(N, L, in_units)`."""
    return nn.Dense(
        units,
        flatten=False,
        use_bias=bias,
        in_units=in_units,
        weight_initializer=weights,
        bias_initializer=biases,
    )


def rising(last: float, count: int) -> List[float]:
    """`count` rates of stochastic depth, growing linearly from 0 to `last`."""
    return [last * index / max(count - 1, 1) for index in range(count)]


class TokenMLP(HybridBlock):
    """Two linear layers over the last axis, an exact GELU in between."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = token_dense(hidden, width)
        self.act = GELU()
        self.fc2 = token_dense(width, hidden)

    def hybrid_forward(self, F, x):
        return self.fc2(self.act(self.fc1(x)))


def to_tokens(F: Ops, x: Tensor) -> Tensor:
    """`(N, C, H, W)` to `(N, H * W, C)`."""
    return F.transpose(F.reshape(x, (0, 0, -1)), (0, 2, 1))


def to_map(F: Ops, tokens: Tensor, like: Tensor) -> Tensor:
    """`(N, H * W, C)` to `(N, C, H, W)`, H and W those of `like`.

    The transposition comes last: the gradient of a convolution comes in oneDNN's own layout, which
    reshaping cannot take.
    """
    rows = F.reshape_like(tokens, like, lhs_begin=1, lhs_end=2, rhs_begin=2, rhs_end=4)
    return F.transpose(rows, (0, 3, 1, 2))

"""The array namespace `F` of the losses over PyTorch: MXNet's names for what `mxnetseg.losses` computes.

Formulas are written once, for `mx.nd`, `mx.sym` and this. Arrays are `Array`, whose comparisons give numbers,
as MXNet's do.
"""

from __future__ import annotations

from typing import Sequence

import torch
from torch import Tensor

from mxnetseg.compute.torch import operators


class Array(Tensor):
    """A tensor whose comparisons are 1 and 0 of its own type, so that they can be added and multiplied."""

    def __eq__(self, other):
        return torch.eq(self, other).to(self.dtype)

    def __ne__(self, other):
        return torch.ne(self, other).to(self.dtype)

    def __gt__(self, other):
        return torch.gt(self, other).to(self.dtype)

    def __ge__(self, other):
        return torch.ge(self, other).to(self.dtype)

    def __lt__(self, other):
        return torch.lt(self, other).to(self.dtype)

    def __le__(self, other):
        return torch.le(self, other).to(self.dtype)

    __hash__ = Tensor.__hash__


def array(x: Tensor) -> Array:
    """The same tensor, with its history, as an `Array`."""
    return x.as_subclass(Array)


# The operators that networks have too.
BlockGrad = operators.block_gradient
Activation = operators.activation
BilinearSampler = operators.bilinear_sampler
Pooling = operators.pooling
abs = torch.abs
broadcast_add = torch.add
broadcast_sub = torch.sub
broadcast_mul = torch.mul
broadcast_div = torch.div
broadcast_maximum = torch.maximum
broadcast_minimum = torch.minimum
broadcast_equal = operators.equal
concat = operators.concat
exp = operators.exp
expand_dims = operators.expand_dims
floor = operators.floor
log_softmax = operators.log_softmax
max = operators.max_
maximum = operators.maximum
mean = operators.mean
min = operators.min_
ones_like = operators.ones_like
relu = operators.relu
reshape = operators.reshape
round = torch.round
sigmoid = torch.sigmoid
slice = operators.slice_
slice_axis = operators.slice_axis
slice_like = operators.slice_like
softmax = operators.softmax
split = operators.split
square = operators.square
squeeze = operators.squeeze
stack = operators.stack
sum = operators.sum_
take = operators.take
transpose = operators.transpose
where = operators.where
zeros_like = operators.zeros_like


class contrib:
    """MXNet keeps this one in a room of its own."""

    arange_like = staticmethod(operators.arange_like)


def broadcast_not_equal(x: Tensor, y: Tensor) -> Tensor:
    """1 where both differ."""
    return torch.ne(x, y).to(x.dtype)


def pick(x: Tensor, index: Tensor, axis: int = -1) -> Tensor:
    """The element along `axis` that `index` names."""
    return x.gather(axis, index.long().clamp(0, x.shape[axis] - 1).unsqueeze(axis)).squeeze(axis)


def pad(x: Tensor, mode: str, pad_width: Sequence[int], constant_value: float = 0.0) -> Tensor:
    """See `operators.pad`."""
    return operators.pad(x, mode, pad_width, constant_value)


def add_n(*arrays: Tensor) -> Tensor:
    """Their sum."""
    total = arrays[0]
    for one in arrays[1:]:
        total = total + one
    return total


def argsort(x: Tensor, is_ascend: bool = True, dtype: str = "float32") -> Tensor:
    """Places of the elements along the last axis in order of size."""
    return torch.argsort(x, dim=-1, descending=not is_ascend)


def cast(x: Tensor, dtype) -> Tensor:
    """`x` in another type, by name or PyTorch's own."""
    return x.to(getattr(torch, dtype) if isinstance(dtype, str) else dtype)


def cumsum(x: Tensor) -> Tensor:
    """Running sum of a vector."""
    return torch.cumsum(x, 0)


def reverse(x: Tensor, axis: int) -> Tensor:
    """`x` with an axis turned round."""
    return torch.flip(x, (axis,))


def repeat(x: Tensor, repeats: int, axis: int) -> Tensor:
    """Each element along `axis` so many times."""
    return x.repeat_interleave(repeats, axis)

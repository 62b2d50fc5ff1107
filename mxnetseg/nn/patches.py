"""Maps taken apart into the pixels of 2 x 2 patches: what attention between patches runs over (MobileViT,
arXiv 2110.02178)."""

from __future__ import annotations

from mxnetseg.nn.tensor import Ops, Tensor


def whole_patches(F: Ops, x: Tensor, more: bool) -> Tensor:
    """`(N, 1, H', W')` to measure by: the sides of the map `x` made even, one `more` or one less."""
    one = F.slice_axis(F.BlockGrad(x), axis=1, begin=0, end=1)
    return F.BlockGrad(F.UpSampling(_halved(F, one, more), scale=2, sample_type="nearest"))


def take_apart(F: Ops, x: Tensor) -> Tensor:
    """`(N, C, H, W)` of even sides to `(N, C, 4, patches)`."""
    parts = F.reshape(x, (0, 0, -4, -1, 2, -4, -1, 2))
    return F.reshape(F.transpose(parts, (0, 1, 3, 5, 2, 4)), (0, 0, -3, -3))


def put_together(F: Ops, parts: Tensor, whole: Tensor) -> Tensor:
    """The inverse: `(N, C, 4, patches)` to `(N, C, H, W)`, the sides of `whole`."""
    half = _halved(F, F.slice_axis(F.BlockGrad(whole), axis=1, begin=0, end=1), False)
    parts = F.reshape_like(parts, half, lhs_begin=3, lhs_end=4, rhs_begin=2, rhs_end=4)
    parts = F.transpose(F.reshape(parts, (0, 0, -4, 2, 2, 0, 0)), (0, 1, 4, 2, 5, 3))
    return F.reshape(parts, (0, 0, -3, -3))


def _halved(F, x, up):
    convention = "full" if up else "valid"
    return F.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type="max", pooling_convention=convention)

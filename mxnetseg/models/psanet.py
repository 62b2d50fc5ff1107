"""PSANet: Point-wise Spatial Attention Network for Scene Parsing (Zhao et al., ECCV 2018).

Each position predicts a weight for every relative offset. In one branch it collects from the others by those
weights, in the other it distributes to them. Both work at half the map's sides.

The authors halve and double with the corners aligned. In mmsegmentation (`variant="mmseg"`) halving depends
on both sides at once (two odd sides are subsampled with the corners kept, else pixels are averaged); here
each side is then halved by its own parity, which is the same unless one side is odd and the other even. It
also pads the 1x1 projection, so that the map grows by a border before it is resized.
"""

from __future__ import annotations

from typing import Literal, Optional, Sequence

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Head, Segmentor, aux_on_c3
from mxnetseg.nn.attention import like_map, positions
from mxnetseg.nn.grid import side
from mxnetseg.nn.initial import draw_as_pytorch
from mxnetseg.nn.layers import ConvUnit, classifier, dropout_layer
from mxnetseg.nn.resize import resize_like

FORMS = {
    "paper": {},
    "mmseg": {"backbone": "resnet101_v1c", "variant": "mmseg", "align_corners": False},
}
Variant = Literal["authors", "mmseg"]


class PointwiseAttention(HybridBlock):
    """`(N, in, H, W)` to `(N, width, H/2, W/2)`. `mask`: rows and columns of offsets, odd.

    `mode`: `collect` or `distribute`. Offsets outside the mask score 0, as published.
    """

    def __init__(
        self,
        in_channels: int,
        width: int,
        mask: int,
        mode: Literal["collect", "distribute"],
        variant: Variant = "authors",
    ) -> None:
        super().__init__()
        self._by_parity = variant == "mmseg"
        self._mask = mask
        self._over = 1 if mode == "collect" else 2
        self.reduce = ConvUnit(in_channels, width, 1)
        self.attention = nn.HybridSequential()
        self.attention.add(
            ConvUnit(width, width, 1),
            nn.Conv2D(mask * mask, 1, use_bias=False, in_channels=width),
        )
        draw_as_pytorch(self.attention[1])

    def hybrid_forward(self, F, x):
        x = self.reduce(x)
        x = _halve_by_parity(F, x) if self._by_parity else _halve(F, x)
        scores = _by_target(F, self.attention(x), self._mask)
        weights = F.softmax(scores, axis=self._over)
        # weights[n, j, i]: between the target j and the position i that scored it.
        if self._over == 1:
            out = F.batch_dot(positions(F, x), weights)
        else:
            out = F.batch_dot(positions(F, x), weights, transpose_b=True)
        return like_map(F, out, x)


def _by_target(F, scores, mask):
    """Scores `(N, mask*mask, H, W)` by relative offset, rearranged to `(N, H*W, H*W)` by target position."""
    count = F.cast(F.broadcast_mul(side(F, scores, 2), side(F, scores, 3)), "int32")
    (row, row_known), (column, column_known) = (_offsets(F, scores, axis, mask) for axis in (2, 3))
    # (H, H) and (W, W) to (H*W, H*W), targets in rows.
    known = _spread(F, F.broadcast_mul, row_known, column_known)
    channel = _spread(F, F.broadcast_add, row * mask, column)
    # Whole numbers throughout: the index passes what float32 counts exactly.
    own = F.expand_dims(F.cast(F.contrib.arange_like(positions(F, scores), axis=2), "int32"), axis=0)
    index = F.broadcast_add(F.broadcast_mul(channel, count), own)
    flat = F.reshape(scores, (0, -1))
    return F.broadcast_mul(F.take(flat, index, axis=1), F.expand_dims(known, axis=0))


def _offsets(F, x, axis, mask):
    """For the positions along an axis: `(targets, sources)` of offsets counted from 0, and which exist."""
    line = F.contrib.arange_like(x, axis=axis)
    offset = F.broadcast_sub(F.reshape(line, (-1, 1)), F.reshape(line, (1, -1))) + mask // 2
    known = (offset >= 0) * (offset < mask)
    return F.cast(F.clip(offset, 0, mask - 1), "int32"), known


def _spread(F, combine, rows, columns):
    """`(H, H)` and `(W, W)` to `(H*W, H*W)`: every pair of row entries with every pair of column entries."""
    rows = F.expand_dims(F.expand_dims(rows, axis=1), axis=3)
    columns = F.expand_dims(F.expand_dims(columns, axis=0), axis=2)
    return F.reshape(combine(rows, columns), (-3, -3))


def _halve(F, x):
    """Both sides halved, rounded up, with the corners aligned."""
    every_other = F.slice(x, begin=(None,) * 4, end=(None,) * 4, step=(1, 1, 2, 2))
    return resize_like(F, x, every_other)


def _halve_by_parity(F, x):
    """Both sides halved: pairs averaged along an even side, every other pixel kept along an odd one."""
    for axis in (2, 3):
        after = (0, 0, 0, 0, 0, 1, 0, 0) if axis == 2 else (0, 0, 0, 0, 0, 0, 0, 1)
        first = (None,) * axis + (0,)
        second = (None,) * axis + (1,)
        end, step = (None,) * (axis + 1), (1,) * axis + (2,)
        here = F.slice(x, begin=first, end=end, step=step)
        following = F.slice(F.pad(x, mode="edge", pad_width=after), begin=second, end=end, step=step)
        share = F.reshape((1 - _odd(F, x, axis)) / 2, (1, 1, 1, 1))
        x = here + F.broadcast_mul(following - here, share)
    return x


def _odd(F, x, axis):
    """1 for an odd side, else 0."""
    length = side(F, x, axis)
    return length - 2 * F.floor(length / 2)


class PSAHead(Head):
    """c4 joined with what its positions collect and distribute: `(N, c4, h, w)` to `(N, nclass, h, w)`."""

    def __init__(self, channels: Sequence[int], nclass: int, width: int, mask: int, variant: Variant) -> None:
        super().__init__()
        self._by_parity = variant == "mmseg"
        deepest = channels[-1]
        self.collect = PointwiseAttention(deepest, width, mask, "collect", variant)
        self.distribute = PointwiseAttention(deepest, width, mask, "distribute", variant)
        self.project = ConvUnit(2 * width, deepest, 1, padding=1 if variant == "mmseg" else 0)
        self.fuse = ConvUnit(2 * deepest, width)
        self.drop = dropout_layer(0.1)
        self.classifier = classifier(width, nclass)

    def hybrid_forward(self, F, c1, c2, c3, c4):
        context = self.project(F.concat(self.collect(c4), self.distribute(c4), dim=1))
        kept = resize_like(F, context, c4)
        if self._by_parity:
            corners = F.reshape(_odd(F, c4, 2) * _odd(F, c4, 3), (1, 1, 1, 1))
            averaged = resize_like(F, context, c4, align_corners=False)
            kept = averaged + F.broadcast_mul(kept - averaged, corners)
        return self.classifier(self.drop(self.fuse(F.concat(c4, kept, dim=1))))


@MODELS.register(
    "psanet",
    forms=FORMS,
    paper="PSANet: Point-wise Spatial Attention Network for Scene Parsing",
    venue="ECCV 2018",
    year=2018,
    link="https://openaccess.thecvf.com/content_ECCV_2018/html/"
    "Hengshuang_Zhao_PSANet_Point-wise_Spatial_ECCV_2018_paper.html",
    backbone="resnet101",
    output_stride=8,
    backbone_options=dict(stem="deep"),
    scores=[
        ("Cityscapes val", "resnet101, 512x1024, 80k", 79.31, "mmsegmentation"),
        ("Cityscapes val", "resnet50, 512x1024, 80k", 77.24, "mmsegmentation"),
        ("ADE20K val", "resnet101, 512x512, 160k", 43.74, "mmsegmentation"),
    ],
)
def psanet(
    nclass: int,
    backbone: Backbone,
    aux: bool = True,
    width: Optional[int] = None,
    mask: int = 97,
    aux_width: Optional[int] = None,
    variant: Variant = "authors",
    align_corners: bool = True,
) -> Segmentor:
    """`width`, `aux_width`: by default a quarter of c4 and c3. `mask`: offsets a side that positions score;
    97 covers the half-size map of an image of 769 pixels. `variant`: see the module."""
    head = PSAHead(backbone.channels, nclass, width or backbone.channels[-1] // 4, mask, variant)
    return Segmentor(
        backbone, head, aux_on_c3(backbone, nclass, aux_width) if aux else (), align_corners=align_corners
    )

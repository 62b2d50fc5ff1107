"""CCNet: Criss-Cross Attention for Semantic Segmentation (Huang et al., ICCV 2019, arXiv 1811.11721).

Each position attends to its row and its column; doing so twice with the same weights reaches every
position at a fraction of the cost of full attention.
"""

from __future__ import annotations

from typing import Optional, Sequence

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Head, Segmentor, aux_on_c3
from mxnetseg.nn.context_head import ContextHead
from mxnetseg.nn.initial import draw_as_pytorch

FORMS = {
    "paper": {"backbone_options": {"dilation": "uniform"}},
    "mmseg": {"backbone": "resnet101_v1c", "aux_width": None, "align_corners": False},
}


class CrissCross(HybridBlock):
    """`x + gamma * attended(x)` over row and column, `recurrence` times; gamma starts at 0.

    One softmax runs over the H positions of the column, without the position itself, and the W of the row.
    """

    def __init__(self, channels: int, recurrence: int) -> None:
        super().__init__()
        self._recurrence = recurrence
        self.query = nn.Conv2D(channels // 8, 1, in_channels=channels)
        self.key = nn.Conv2D(channels // 8, 1, in_channels=channels)
        self.value = nn.Conv2D(channels, 1, in_channels=channels)
        draw_as_pytorch(self.query, self.key, self.value)
        with self.name_scope():
            self.gamma = self.params.get("gamma", shape=(1,), init="zeros")

    def hybrid_forward(self, F, x, gamma):
        for _ in range(self._recurrence):
            query, key, value = self.query(x), self.key(x), self.value(x)
            along_column = _column_scores(F, query, key)
            along_row = _row_scores(F, query, key)
            # The joint softmax, without joining what has to be taken apart again.
            peak = F.BlockGrad(
                F.broadcast_maximum(
                    F.max(along_column, axis=3, keepdims=True), F.max(along_row, axis=3, keepdims=True)
                )
            )
            along_column = F.exp(F.broadcast_sub(along_column, peak))
            along_row = F.exp(F.broadcast_sub(along_row, peak))
            total = F.sum(along_column, axis=3, keepdims=True) + F.sum(along_row, axis=3, keepdims=True)
            summed = _sum_column(F, along_column, value) + _sum_row(F, along_row, value)
            attended = F.broadcast_div(summed, F.transpose(total, axes=(0, 3, 1, 2)))
            x = F.broadcast_mul(attended, F.reshape(gamma, (1, 1, 1, 1))) + x
        return x


def _lines(F, x, axes):
    """`(N, C, H, W)` as a batch of lines `(N*lines, positions, C)`; `axes` puts lines before positions."""
    return F.reshape(F.transpose(x, axes=axes), (-3, 0, 0))


ROWS, COLUMNS = (0, 2, 3, 1), (0, 3, 2, 1)


def _apart(F, x, like, axes):
    """`(N*lines, A, B)` as `(N, lines, A, B)`, `lines` being that axis of `like` after `axes`."""
    ordered = F.transpose(like, axes=axes)
    return F.reshape_like(x, ordered, lhs_begin=0, lhs_end=1, rhs_begin=0, rhs_end=2)


def _row_scores(F, query, key):
    """`(N, H, W, W)`: every position with those of its row."""
    scores = F.batch_dot(_lines(F, query, ROWS), _lines(F, key, ROWS), transpose_b=True)
    return _apart(F, scores, query, ROWS)


def _column_scores(F, query, key):
    """`(N, H, W, H)`: every position with the others of its column."""
    scores = F.batch_dot(_lines(F, query, COLUMNS), _lines(F, key, COLUMNS), transpose_b=True)
    row = F.contrib.arange_like(query, axis=2)
    itself = F.broadcast_equal(F.reshape(row, (-1, 1)), F.reshape(row, (1, -1)))
    scores = F.broadcast_sub(scores, F.expand_dims(itself, axis=0) * 1e30)
    return F.transpose(_apart(F, scores, query, COLUMNS), axes=(0, 2, 1, 3))


def _sum_row(F, weights, value):
    """`(N, C, H, W)` from weights `(N, H, W, W)`."""
    summed = F.batch_dot(F.reshape(weights, (-3, 0, 0)), _lines(F, value, ROWS))
    return F.transpose(_apart(F, summed, value, ROWS), axes=(0, 3, 1, 2))


def _sum_column(F, weights, value):
    """`(N, C, H, W)` from weights `(N, H, W, H)`."""
    by_column = F.reshape(F.transpose(weights, axes=(0, 2, 1, 3)), (-3, 0, 0))
    summed = F.batch_dot(by_column, _lines(F, value, COLUMNS))
    return F.transpose(_apart(F, summed, value, COLUMNS), axes=(0, 3, 2, 1))


class CCNetHead(Head):
    """Criss-cross attention between two units on c4: `(N, c4, h, w)` to `(N, nclass, h, w)`."""

    def __init__(self, channels: Sequence[int], nclass: int, width: int, recurrence: int) -> None:
        super().__init__()
        self.context = ContextHead(channels[-1], nclass, width, CrissCross(width, recurrence))

    def hybrid_forward(self, F, c1, c2, c3, c4):
        return self.context(c4)


@MODELS.register(
    "ccnet",
    forms=FORMS,
    paper="CCNet: Criss-Cross Attention for Semantic Segmentation",
    venue="ICCV 2019",
    year=2019,
    link="https://arxiv.org/abs/1811.11721",
    backbone="resnet101_v1s",
    output_stride=8,
    scores=[
        ("Cityscapes val", "resnet101, 769x769, 60k", 80.0, "the authors"),
        ("Cityscapes val", "resnet101, 512x1024, 80k", 78.87, "mmsegmentation"),
        ("Cityscapes val", "resnet50, 512x1024, 80k", 79.03, "mmsegmentation"),
        ("ADE20K val", "resnet101, 512x512, 160k", 43.71, "mmsegmentation"),
    ],
)
def ccnet(
    nclass: int,
    backbone: Backbone,
    aux: bool = True,
    width: Optional[int] = None,
    aux_width: Optional[int] = 512,
    recurrence: int = 2,
    align_corners: bool = True,
) -> Segmentor:
    """`width`, `aux_width`: channels of the head and of the auxiliary one, None is a quarter of c4 and of c3.
    `recurrence`: how often it attends."""
    width = width or backbone.channels[-1] // 4
    head = CCNetHead(backbone.channels, nclass, width, recurrence)
    return Segmentor(
        backbone, head, aux_on_c3(backbone, nclass, aux_width) if aux else (), align_corners=align_corners
    )

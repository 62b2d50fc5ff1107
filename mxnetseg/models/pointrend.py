"""PointRend: Image Segmentation as Rendering (Kirillov et al., CVPR 2020, arXiv 1912.08193).

The semantic pyramid's logits at stride 4, classified anew where they are least certain: twice they are
enlarged, and for the points whose two best classes are closest a few linear layers read the finest map of the
pyramid and the coarse logits. Training classifies random points of each image so, most of them uncertain.
"""

from __future__ import annotations

from typing import Sequence

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.errors import ConfigError
from mxnetseg.models.base import MODELS, Aux, Head, Segmentor
from mxnetseg.models.semanticfpn import PlainPyramid, SemanticFPNHead
from mxnetseg.nn.grid import side, steps
from mxnetseg.nn.initial import draw_as_pytorch
from mxnetseg.nn.layers import Identity, classifier
from mxnetseg.nn.norm import count_twice
from mxnetseg.nn.points import sample_points, uncertain_points
from mxnetseg.nn.resize import resize_by
from mxnetseg.nn.tensor import Ops, Tensor
from mxnetseg.nn.tokens import to_map, to_tokens

FORMS = {"paper": {}, "mmseg": {"backbone": "resnet50_v1c", "trained": 2048, "cascade": True}}
# Below any difference of logits.
CERTAIN = -1e30


class PointLayers(HybridBlock):
    """`(N, width + nclass, 1, P)`, features and coarse logits, to `(N, nclass, 1, P)`; every layer reads the
    coarse logits again."""

    def __init__(self, nclass: int, width: int, layers: int = 3) -> None:
        super().__init__()
        self._nclass = nclass
        self.layers = nn.HybridSequential()
        for _ in range(layers):
            self.layers.add(nn.Conv2D(width, 1, in_channels=width + nclass, activation="relu"))
        self.classifier = classifier(width + nclass, nclass)

    def hybrid_forward(self, F, x):
        coarse = F.slice_axis(x, axis=1, begin=-self._nclass, end=None)
        for layer in self.layers:
            x = F.concat(layer(x), coarse, dim=1)
        return self.classifier(x)


class TrainedPoints(HybridBlock):
    """`(N, width + nclass, H, W)` to `(N, nclass + 2, 1, count)`: logits of random points by the head's own
    `layers`, and their places."""

    def __init__(self, layers: PointLayers, nclass: int, count: int) -> None:
        super().__init__()
        # A call and not a child: the parameters are the head's.
        self._classified = lambda x: layers(x)
        self._nclass, self._count = nclass, count

    def hybrid_forward(self, F, x):
        coarse = F.slice_axis(x, axis=1, begin=-self._nclass, end=None)
        points = uncertain_points(F, coarse, self._count)
        return F.concat(self._classified(sample_points(F, x, points)), points, dim=1)


class PointRendHead(Head):
    """Refined logits at four times the sides of c1, coarse ones at its own, and what points are classified
    by."""

    def __init__(
        self,
        channels: Sequence[int],
        strides: Sequence[int],
        nclass: int,
        width: int,
        enlargements: int,
        count: int,
        cascade: bool,
    ) -> None:
        super().__init__()
        self._enlargements, self._count = enlargements, count
        self._nclass = nclass
        fpn = PlainPyramid(channels, width, smooth=True)
        self.coarse = SemanticFPNHead(fpn, strides, nclass, width, 128, 0.1, False)
        if cascade:
            count_twice(self.coarse)
        self.points = PointLayers(nclass, width)
        if cascade:
            # Its initialization does not reach heads that come as a list.
            draw_as_pytorch(self.coarse.classifier, self.points.classifier)

    def hybrid_forward(self, F, c1, c2, c3, c4):
        coarse, joined = self.coarse(c1, c2, c3, c4)
        read = F.concat(F.slice_axis(joined, axis=1, begin=self._nclass, end=None), coarse, dim=1)
        refined = coarse
        for _ in range(self._enlargements):
            refined = resize_by(F, refined, 2, align_corners=False)
            image, place, points = _least_certain(F, refined, self._count)
            found = self.points(sample_points(F, read, points))
            refined = _replaced(F, refined, image, place, found)
        return refined, coarse, read


def _least_certain(F: Ops, logits: Tensor, count: int) -> Sequence[Tensor]:
    """Of the `count` pixels of each image whose two best logits are closest (all of them where there are not
    so many): numbers of image and pixel `(N, count)`, and their centres `(N, 2, 1, count)` in [0, 1]."""
    logits = F.BlockGrad(logits)
    first, second = F.split(F.topk(logits, axis=1, k=2, ret_typ="value"), num_outputs=2, axis=1)
    apart = F.reshape(second - first, (0, -1))
    one = F.zeros_like(F.slice_axis(apart, axis=1, begin=0, end=1))
    rest = F.broadcast_add(one, F.reshape(steps(F, logits, count) * 0 + CERTAIN, (1, -1)))
    every = F.concat(apart, rest, dim=1)
    place = F.topk(every, axis=1, k=count, ret_typ="indices")
    # In the type that is computed in; the operator counts in float32.
    place = F.take(F.contrib.arange_like(every, axis=1), place)
    last = F.max(F.contrib.arange_like(apart, axis=1))
    place = F.broadcast_minimum(place, F.reshape(last, (1, 1)))
    width, height = (F.reshape(side(F, logits, axis), (1, 1)) for axis in (3, 2))
    row = F.floor(F.broadcast_div(place + 0.5, width))
    column = place - F.broadcast_mul(row, width)
    x, y = F.broadcast_div(column + 0.5, width), F.broadcast_div(row + 0.5, height)
    image = F.broadcast_add(F.reshape(F.contrib.arange_like(apart, axis=0), (-1, 1)), F.zeros_like(place))
    return image, place, F.BlockGrad(F.expand_dims(F.stack(x, y, axis=1), axis=2))


def _replaced(F: Ops, logits: Tensor, image: Tensor, place: Tensor, new: Tensor) -> Tensor:
    """`logits` `(N, C, H, W)` with those of the pixels `place` of each image, `new` `(N, C, 1, P)`."""
    tokens = to_tokens(F, logits)
    pixels = F.max(F.contrib.arange_like(tokens, axis=1)) + 1
    # Whole numbers: float32 counts to 16.7 million only.
    image, place, pixels = (F.cast(x, dtype="int32") for x in (image, place, F.reshape(pixels, (1, 1))))
    rows = F.reshape(F.broadcast_add(F.broadcast_mul(image, pixels), place), (-1,))
    flat, new = F.reshape(tokens, (-3, 0)), F.reshape(to_tokens(F, new), (-3, 0))
    # The operator wants more rows than it changes: a small map has fewer.
    longer = F.concat(flat, F.zeros_like(new), dim=0)
    flat = F.slice_like(F.contrib.index_copy(longer, rows, new), flat, axes=(0,))
    tokens = F.reshape_like(flat, tokens, lhs_begin=0, lhs_end=1, rhs_begin=0, rhs_end=2)
    return to_map(F, tokens, logits)


@MODELS.register(
    "pointrend",
    forms=FORMS,
    paper="PointRend: Image Segmentation as Rendering",
    venue="CVPR 2020",
    year=2020,
    link="https://arxiv.org/abs/1912.08193",
    backbone="resnet50",
    output_stride=32,
    scores=[
        ("Cityscapes val", "resnet50, 512x1024, 80k", 76.47, "mmsegmentation"),
        ("Cityscapes val", "resnet101, 512x1024, 80k", 78.30, "mmsegmentation"),
    ],
)
def pointrend(
    nclass: int,
    backbone: Backbone,
    aux: bool = True,
    width: int = 256,
    enlargements: int = 2,
    count: int = 8196,
    trained: int = 0,
    cascade: bool = False,
) -> Segmentor:
    """`width`: channels of the pyramid. `enlargements`: by 2, each with `count` points of an image classified
    anew. `aux`: the coarse logits and `trained` random points of each image, as the paper trains it; with 0
    the refined map is what trains the layers of points. `cascade`: running statistics of the coarse head
    move as where a step runs it twice, for its loss and for the points."""
    if nclass < 2:
        raise ConfigError("pointrend compares the two best classes of a pixel: it needs two or more")
    head = PointRendHead(backbone.channels, backbone.strides, nclass, width, enlargements, count, cascade)
    heads = [Aux(Identity(), "head", 1)]
    if trained:
        heads.append(Aux(TrainedPoints(head.points, nclass, trained), "head", 2, "points"))
    return Segmentor(backbone, head, heads if aux else (), align_corners=False)

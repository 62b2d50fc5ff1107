"""EncNet: Context Encoding for Semantic Segmentation (Zhang et al., CVPR 2018, arXiv 1803.08904).

The deepest map is encoded over a dictionary of codewords into one vector, which gates its channels and, in
training, also predicts which classes the image holds (the semantic encoding loss). `jpu` puts joint pyramid
upsampling (FastFCN, arXiv 1903.11816) under it, for a backbone at output stride 32.
"""

from __future__ import annotations

from typing import Optional, Sequence

import mxnet as mx
from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Aux, Head, Segmentor, aux_on_c3
from mxnetseg.nn.attention import positions
from mxnetseg.nn.initial import draw_as_pytorch
from mxnetseg.nn.jpu import JPUOrder, jpu_neck
from mxnetseg.nn.layers import ConvUnit, classifier, dropout_layer

FORMS = {
    "paper": {},
    "mmseg": {"backbone": "resnet101_v1c", "align_corners": False},
    "mmseg_jpu": {
        "backbone": "resnet50_v1c",
        "output_stride": 32,
        "backbone_options": {"dilation": "strided_contracted"},
        "jpu": "fine_first",
        "align_corners": False,
    },
}


class Encoding(HybridBlock):
    """`(N, C, H, W)` to `(N, codes, C)`: residuals to each codeword, summed with soft assignments.

    A position belongs to code k by the softmax of `scale[k]` times its squared distance to that codeword;
    scales start between -1 and 0, so that the nearest weighs most.
    """

    def __init__(self, channels: int, codes: int) -> None:
        super().__init__()
        bound = (channels * codes) ** -0.5
        with self.name_scope():
            self.codewords = self.params.get(
                "codewords", shape=(codes, channels), init=mx.init.Uniform(bound)
            )
            self.scale = self.params.get("scale", shape=(codes,), init=_Between(-1.0, 0.0))

    def hybrid_forward(self, F, x, codewords, scale):
        x = positions(F, x)
        # |x - c|^2 = |x|^2 + |c|^2 - 2 x.c, which needs no array of positions x codes x channels.
        length = F.expand_dims(F.sum(F.square(x), axis=1), axis=2)
        code_length = F.reshape(F.sum(F.square(codewords), axis=1), (1, 1, -1))
        product = F.dot(F.transpose(x, axes=(0, 2, 1)), codewords, transpose_b=True)
        distance = F.broadcast_add(length, code_length) - 2 * product
        weights = F.softmax(F.broadcast_mul(distance, F.reshape(scale, (1, 1, -1))), axis=2)
        gathered = F.batch_dot(weights, x, transpose_a=True, transpose_b=True)
        sums = F.expand_dims(F.sum(weights, axis=1), axis=2)
        return gathered - F.broadcast_mul(sums, F.expand_dims(codewords, axis=0))


@mx.init.register
class _Between(mx.init.Initializer):
    """Uniform between two bounds."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__(low=low, high=high)
        self._low, self._high = low, high

    def _init_weight(self, _, array):
        array[:] = mx.nd.random.uniform(self._low, self._high, array.shape)


class PresenceHead(HybridBlock):
    """The encoded vector `(N, C)` to a logit for each class, `(N, nclass, 1, 1)`: is it in the image?"""

    def __init__(self, in_channels: int, nclass: int) -> None:
        super().__init__()
        self.classifier = nn.Dense(nclass, in_units=in_channels)
        draw_as_pytorch(self.classifier)

    def hybrid_forward(self, F, x):
        return F.reshape(self.classifier(x), (0, 0, 1, 1))


class EncHead(Head):
    """c4 to logits, then the encoded vector `(N, width)`."""

    def __init__(
        self,
        channels: Sequence[int],
        nclass: int,
        width: Optional[int],
        codes: int,
        jpu: JPUOrder,
        align_corners: bool,
    ) -> None:
        super().__init__()
        self.jpu, deepest = jpu_neck(jpu, channels, align_corners)
        self.width = width = width or deepest // 4
        self.reduce = ConvUnit(deepest, width)
        self.project = ConvUnit(width, width, 1)
        self.encoding = Encoding(width, codes)
        self.norm = nn.BatchNorm(axis=1, in_channels=codes)
        self.gate = nn.Dense(width, in_units=width)
        self.drop = dropout_layer(0.1)
        self.classifier = classifier(width, nclass)
        draw_as_pytorch(self.gate)

    def hybrid_forward(self, F, c1, c2, c3, c4):
        if self.jpu is not None:
            c4 = self.jpu(c2, c3, c4)
        x = self.reduce(c4)
        codes = F.relu(self.norm(self.encoding(self.project(x))))
        encoded = F.mean(codes, axis=1)
        gate = F.reshape(F.sigmoid(self.gate(encoded)), (0, 0, 1, 1))
        x = F.relu(x + F.broadcast_mul(x, gate))
        return self.classifier(self.drop(x)), encoded


@MODELS.register(
    "encnet",
    forms=FORMS,
    paper="Context Encoding for Semantic Segmentation",
    venue="CVPR 2018",
    year=2018,
    link="https://arxiv.org/abs/1803.08904",
    backbone="resnet101_v1s",
    output_stride=8,
    scores=[
        ("Cityscapes val", "resnet101, 512x1024, 80k", 78.55, "mmsegmentation"),
        ("Cityscapes val", "resnet50, 512x1024, 80k", 77.94, "mmsegmentation"),
        ("Cityscapes val", "resnet50 with JPU, 512x1024, 80k", 77.97, "mmsegmentation"),
        ("ADE20K val", "resnet101, 512x512, 160k", 42.61, "mmsegmentation"),
    ],
)
def encnet(
    nclass: int,
    backbone: Backbone,
    aux: bool = True,
    width: Optional[int] = None,
    codes: int = 32,
    aux_width: Optional[int] = None,
    jpu: JPUOrder = False,
    align_corners: bool = True,
) -> Segmentor:
    """`width`, `aux_width`: by default a quarter of c4 and c3. `codes`: codewords. `aux`: the logits of
    presence, one value a class spread over the image, then a plain head on c3. `jpu`: see `jpu_neck`."""
    head = EncHead(backbone.channels, nclass, width, codes, jpu, align_corners)
    supervised = []
    if aux:
        presence = PresenceHead(head.width, nclass)
        supervised = [Aux(presence, "head", 1, "presence"), *aux_on_c3(backbone, nclass, aux_width)]
    return Segmentor(backbone, head, supervised, align_corners=align_corners)

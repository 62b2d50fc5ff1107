"""DANet: Dual Attention Network for Scene Segmentation (Fu et al., CVPR 2019, arXiv 1809.02983).

Two branches on the deepest map, one attending between positions, the other between channels; their sum is
classified, each alone is for supervision. Published implementations differ: mmsegmentation adds a head on c3
(`aux_c3`); the SFNet authors project each branch by a 1x1 convolution before the sum and supervise neither
(`project`); AceCoooool normalizes the position attention over queries instead of keys (`over`) and stands
on JPU (FastFCN, arXiv 1903.11816, for a backbone at output stride 32).
"""

from __future__ import annotations

from typing import Literal, Optional, Sequence

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Aux, Head, Segmentor, aux_on_c3
from mxnetseg.nn.attention import attend, like_map, positions
from mxnetseg.nn.initial import FAN_IN, draw, draw_as_pytorch
from mxnetseg.nn.jpu import JPUOrder, jpu_neck
from mxnetseg.nn.layers import ConvUnit, Dropped, FCNHead, classifier, dropout_layer

FORMS = {
    "paper": {},
    "mmseg": {"backbone": "resnet101_v1c", "aux_c3": True, "align_corners": False},
    "gluoncv": {"dropped": "elements"},
    "mxnetseg": {"dropped": "elements"},
    "ace_jpu": {
        "output_stride": 32,
        "aux": False,
        "over": "queries",
        "jpu": True,
        "dropped": "elements",
    },
    "sfsegnets": {
        "backbone": "resnet50_v1s",
        "backbone_options": {"dilation": "uniform"},
        "aux": False,
        "project": True,
    },
}


class PositionAttention(HybridBlock):
    """`x + gamma * attended(x)` over all positions, scores unscaled; gamma starts at 0."""

    def __init__(self, channels: int, over: str = "keys") -> None:
        super().__init__()
        self._over = over
        self.query = nn.Conv2D(channels // 8, 1, in_channels=channels)
        self.key = nn.Conv2D(channels // 8, 1, in_channels=channels)
        self.value = nn.Conv2D(channels, 1, in_channels=channels)
        with self.name_scope():
            self.gamma = self.params.get("gamma", shape=(1,), init="zeros")

    def hybrid_forward(self, F, x, gamma):
        attended = attend(F, self.query(x), self.key(x), self.value(x), over=self._over)
        return F.broadcast_mul(attended, F.reshape(gamma, (1, 1, 1, 1))) + x


class ChannelAttention(HybridBlock):
    """`x + gamma * attended(x)` over channels: the less two channels agree, the more they exchange, as in
    every published code."""

    def __init__(self) -> None:
        super().__init__()
        with self.name_scope():
            self.gamma = self.params.get("gamma", shape=(1,), init="zeros")

    def hybrid_forward(self, F, x, gamma):
        flat = positions(F, x)
        energy = F.batch_dot(flat, flat, transpose_b=True)
        opposed = F.broadcast_sub(F.max(energy, axis=-1, keepdims=True), energy)
        attended = like_map(F, F.batch_dot(F.softmax(opposed, axis=-1), flat), x)
        return F.broadcast_mul(attended, F.reshape(gamma, (1, 1, 1, 1))) + x


class DANetHead(Head):
    """c4 to the logits of the sum, then the maps of the position and the channel branch."""

    def __init__(
        self,
        channels: Sequence[int],
        nclass: int,
        width: Optional[int],
        over: str,
        project: bool,
        jpu: JPUOrder,
        dropped: Dropped,
        align_corners: bool,
    ) -> None:
        super().__init__()
        self.jpu, deepest = jpu_neck(jpu, channels, align_corners)
        self.width = width = width or deepest // 4
        self.position_in = ConvUnit(deepest, width)
        self.position = PositionAttention(width, over)
        self.position_out = nn.HybridSequential()
        self.channel_in = ConvUnit(deepest, width)
        self.channel = ChannelAttention()
        self.channel_out = nn.HybridSequential()
        for out in (self.position_out, self.channel_out):
            out.add(ConvUnit(width, width))
            if project:
                out.add(dropout_layer(0.1, dropped), nn.Conv2D(width, 1, in_channels=width))
        self.drop = dropout_layer(0.0 if project else 0.1, dropped)
        self.classifier = classifier(width, nclass)
        if project:
            draw(self, FAN_IN)
        else:
            draw_as_pytorch(self.position)

    def hybrid_forward(self, F, c1, c2, c3, c4):
        if self.jpu is not None:
            c4 = self.jpu(c2, c3, c4)
        position = self.position_out(self.position(self.position_in(c4)))
        channel = self.channel_out(self.channel(self.channel_in(c4)))
        return self.classifier(self.drop(position + channel)), position, channel


@MODELS.register(
    "danet",
    forms=FORMS,
    paper="Dual Attention Network for Scene Segmentation",
    venue="CVPR 2019",
    year=2019,
    link="https://arxiv.org/abs/1809.02983",
    backbone="resnet101_v1s",
    output_stride=8,
    scores=[
        ("Cityscapes val", "resnet101, 512x1024, 80k", 80.41, "mmsegmentation"),
        ("Cityscapes val", "resnet50, 512x1024, 80k", 79.34, "mmsegmentation"),
        ("ADE20K val", "resnet101, 512x512, 160k", 44.17, "mmsegmentation"),
    ],
)
def danet(
    nclass: int,
    backbone: Backbone,
    aux: bool = True,
    aux_c3: bool = False,
    width: Optional[int] = None,
    aux_width: Optional[int] = 256,
    over: Literal["keys", "queries"] = "keys",
    project: bool = False,
    jpu: JPUOrder = False,
    dropped: Dropped = "channels",
    align_corners: bool = True,
) -> Segmentor:
    """`aux`: classifiers on the position and the channel branch; with `aux_c3` one on c3 follows. `width`: of
    the branches, by default a quarter of the map they stand on. `over`, `project`: see the module.
    `jpu`: see `jpu_neck`. `dropped`: what dropout drops."""
    head = DANetHead(backbone.channels, nclass, width, over, project, jpu, dropped, align_corners)
    supervised = []
    if aux:
        for index in (1, 2):
            block = FCNHead(head.width, nclass, head.width, units=0, dropped=dropped)
            draw_as_pytorch(block)
            supervised.append(Aux(block, "head", index))
        if aux_c3:
            supervised += aux_on_c3(backbone, nclass, aux_width, dropped)
    return Segmentor(backbone, head, supervised, align_corners=align_corners)

"""SRNet: Towards Efficient Scene Understanding via Squeeze Reasoning (Li et al., TIP 2021, arXiv 2011.03308).

The map is squeezed to one number for each channel, the numbers are arranged as nodes of a small graph,
two 1-D convolutions reason over nodes and features, and the result scales the channels of the map. In
the authors' code nodes are read feature by feature but written back node by node
(`unpack="nodes"`); `unpack="features"` undoes the packing exactly.
"""

from __future__ import annotations

from typing import Literal

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Aux, Head, Segmentor
from mxnetseg.nn.initial import FAN_IN, draw, draw_as_pytorch
from mxnetseg.nn.layers import FCNHead
from mxnetseg.nn.norm import ChannelGroupNorm

FORMS = {"paper": {}, "sfsegnets": {"unpack": "nodes"}}
Unpack = Literal["nodes", "features"]


class SqueezeReasoning(HybridBlock):
    """`(N, channels, H, W)` to the same, over `inner` channels arranged as `nodes` nodes."""

    def __init__(self, channels: int, inner: int, nodes: int, unpack: Unpack) -> None:
        super().__init__()
        self._nodes = nodes
        self._by_feature = unpack == "features"
        self.values = nn.Conv2D(inner, 1, use_bias=False, in_channels=channels)
        self.queries = nn.Conv2D(inner, 1, use_bias=False, in_channels=channels)
        self.keys = nn.Conv2D(inner, 1, use_bias=False, in_channels=channels)
        self.adjacency = nn.Dense(nodes, use_bias=False, flatten=False, in_units=nodes)
        self.adjacency_bn = nn.BatchNorm(in_channels=nodes)
        self.mix = nn.Dense(inner // nodes, use_bias=False, flatten=False, in_units=inner // nodes)
        self.mix_bn = nn.BatchNorm(in_channels=inner // nodes)
        draw_as_pytorch(self.adjacency, self.mix)
        self.expand = nn.Conv2D(channels, 1, groups=inner, use_bias=False, in_channels=inner)
        self.norm = ChannelGroupNorm(channels, inner, 1e-5)

    def hybrid_forward(self, F, x):
        values = self.values(x)
        # A sum over pixels, not a mean: it grows with the image.
        squeezed = F.sum(self.queries(x) * self.keys(x), axis=(2, 3))
        # (N, features, nodes), then the other way round; each batch norm is over the middle axis.
        graph = F.reshape(squeezed, (0, -1, self._nodes))
        reasoned = F.transpose(self.adjacency(graph), (0, 2, 1))
        graph = F.relu(self.adjacency_bn(reasoned)) + F.transpose(graph, (0, 2, 1))
        features = F.relu(self.mix_bn(F.transpose(self.mix(graph), (0, 2, 1))))
        scales = features if self._by_feature else F.transpose(features, (0, 2, 1))
        scales = F.reshape(scales, (0, -1, 1, 1))
        return self.norm(self.expand(F.broadcast_mul(values, scales))) + x


class SRNetHead(Head):
    """c4 reduced, reasoned over and classified."""

    def __init__(self, in_channels: int, nclass: int, width: int, nodes: int, unpack: Unpack) -> None:
        super().__init__()
        self.reduce = nn.Conv2D(width, 1, in_channels=in_channels)
        self.reasoning = SqueezeReasoning(width, width // 2, nodes, unpack)
        self.classifier = FCNHead(width, nclass, width, unit_bias=True)

    def hybrid_forward(self, F, c1, c2, c3, c4):
        return self.classifier(self.reasoning(self.reduce(c4)))


@MODELS.register(
    "srnet",
    forms=FORMS,
    paper="Towards Efficient Scene Understanding via Squeeze Reasoning",
    venue="TIP 2021",
    year=2021,
    link="https://arxiv.org/abs/2011.03308",
    backbone="resnet50",
    output_stride=8,
    backbone_options={"stem": "deep", "dilation": "uniform"},
    scores=[("Cityscapes test", "resnet101", 82.2, "the paper")],
)
def srnet(
    nclass: int,
    backbone: Backbone,
    aux: bool = True,
    width: int = 512,
    nodes: int = 32,
    unpack: Unpack = "features",
) -> Segmentor:
    """`width`: channels of the reduced map; half of them are squeezed into `nodes` nodes. `unpack`: see the
    module. `aux`: a head on c3."""
    head = SRNetHead(backbone.channels[3], nclass, width, nodes, unpack)
    plain = FCNHead(backbone.channels[2], nclass, 256, unit_bias=True)
    for block in (head, plain):
        draw(block, FAN_IN)
    return Segmentor(backbone, head, [Aux(plain, "backbone", 2)] if aux else ())

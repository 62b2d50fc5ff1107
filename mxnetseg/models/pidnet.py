"""PIDNet: A Real-time Semantic Segmentation Network Inspired by PID Controllers (Xu et al., CVPR 2023,
arXiv 2206.02066).

The three branches are in `backbones/pidnet.py`; heads are DDRNet's. The auxiliary one reads the detail branch
after its first fusion. A second one, for boundaries, is built on request only (`boundary`): its output is no
map of classes and needs a loss of its own. mmsegmentation drops channels before the main classifier.
"""

from __future__ import annotations

from typing import Optional

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Aux, Segmentor
from mxnetseg.models.ddrnet import DDRNetHead
from mxnetseg.nn.preact import PreActHead

FORMS = {"paper": {}, "mmseg": {"boundary": 1, "dropout": 0.1, "backbone_options": {"boundary": True}}}


@MODELS.register(
    "pidnet",
    forms=FORMS,
    paper="PIDNet: A Real-time Semantic Segmentation Network Inspired by PID Controllers",
    venue="CVPR 2023",
    year=2023,
    link="https://arxiv.org/abs/2206.02066",
    backbone="pidnet_s",
    output_stride=8,
    scores=[
        ("Cityscapes val", "pidnet_s, 1024x1024, 120k", 78.74, "mmsegmentation"),
        ("Cityscapes val", "pidnet_m, 1024x1024, 120k", 80.22, "mmsegmentation"),
        ("Cityscapes val", "pidnet_l, 1024x1024, 120k", 80.89, "mmsegmentation"),
    ],
)
def pidnet(
    nclass: int,
    backbone: Backbone,
    aux: bool = True,
    width: Optional[int] = None,
    boundary: int = 0,
    dropout: float = 0.0,
    align_corners: bool = True,
) -> Segmentor:
    """`width`: channels of the heads' convolutions; None is 256 on pidnet_l, else 128. `aux`: a head on c3.
    `boundary`: channels of a boundary head on c1 (with the backbone's option of that name), 0 for none.
    `dropout`: before the main one."""
    width = width or (256 if backbone.registered_name == "pidnet_l" else 128)
    head = DDRNetHead(backbone.channels[3], nclass, width, dropout)
    heads = [Aux(PreActHead(backbone.channels[2], nclass, width), "backbone", 2)]
    if boundary:
        edges = PreActHead(backbone.channels[0], boundary, backbone.channels[0] // 2)
        heads.append(Aux(edges, "backbone", 0, "boundary"))
    return Segmentor(backbone, head, heads if aux else (), align_corners=align_corners)

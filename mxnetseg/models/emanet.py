"""EMANet: Expectation-Maximization Attention Networks (Li et al., ICCV 2019, arXiv 1907.13426).

A few bases describe the map: some rounds of assigning pixels softly to bases (E) and averaging pixels into
bases (M), then every pixel is rebuilt from the bases and added to what it was. The rounds start from bases
kept beside the weights, a moving average over training. No gradient passes through the rounds, hence none
reaches the 1x1 convolution before them: it stays as it was drawn.
"""

from __future__ import annotations

import mxnet as mx
from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Head, Segmentor, aux_on_c3
from mxnetseg.nn.initial import PytorchBias, draw_as_pytorch
from mxnetseg.nn.layers import ConvUnit, classifier, dropout_layer

FORMS = {
    "paper": {},
    "mmseg": {
        "backbone": "resnet101_v1c",
        "aux": True,
        "epsilon": 1e-12,
        "unit_mean": True,
        "concat_input": True,
        "align_corners": False,
    },
    "sfsegnets": {
        "backbone": "resnet50",
        "backbone_options": {"dilation": "uniform"},
        "moving": False,
    },
}


class EMAttention(HybridBlock):
    """`(N, channels, H, W)` rebuilt from `bases` vectors.

    `epsilon` guards both normalizations. With `moving` the bases follow training: the average of the batch's
    final bases, with `unit_mean` made unit vectors, enters them with weight `1 - momentum`. It rides on the
    running mean of a batch norm that adds zero to the output: the one state that MXNet moves in training (in
    the backward pass) and leaves alone in inference, hybridized or not. `spread` is its running variance,
    without meaning.
    """

    def __init__(
        self,
        channels: int,
        bases: int,
        rounds: int,
        epsilon: float,
        moving: bool,
        unit_mean: bool = False,
        momentum: float = 0.9,
    ) -> None:
        super().__init__()
        self._unit_mean = unit_mean
        self._channels, self._bases, self._rounds = channels, bases, rounds
        self._epsilon, self._moving, self._momentum = epsilon, moving, momentum
        size = channels * bases
        # Unit length is what counts: a normal draw of variance 1/channels has it on average.
        self.bases = self.params.get(
            "bases", shape=(size,), grad_req="null", init=mx.init.Normal(channels**-0.5)
        )
        if moving:
            self.spread = self.params.get("spread", shape=(size,), grad_req="null", init="ones")

    def hybrid_forward(self, F, x, bases, spread=None):
        pixels = F.reshape(x, (0, 0, -1))
        start = F.reshape(bases, (1, self._channels, self._bases))
        current = F.broadcast_like(start, pixels, lhs_axes=(0,), rhs_axes=(0,))
        for _ in range(self._rounds):
            shares = F.softmax(F.batch_dot(pixels, current, transpose_a=True), axis=2)
            weights = F.broadcast_div(shares, F.sum(shares, axis=1, keepdims=True) + self._epsilon)
            current = F.batch_dot(pixels, weights)
            length = F.sqrt(F.sum(F.square(current), axis=1, keepdims=True))
            current = F.broadcast_div(current, length + self._epsilon)
        # In this order: MXNet crashes in the backward pass of reshape_like below a BlockGrad.
        rebuilt = F.reshape_like(F.BlockGrad(F.batch_dot(current, shares, transpose_b=True)), x)
        if self._moving:
            rebuilt = F.broadcast_add(rebuilt, self._follow(F, x, current, bases, spread))
        return rebuilt

    def _follow(self, F, x, current, bases, spread):
        mean = F.mean(current, axis=0, keepdims=True)
        if self._unit_mean:
            length = F.sqrt(F.sum(F.square(mean), axis=1, keepdims=True))
            mean = F.broadcast_div(mean, length + self._epsilon)
        mean = F.BlockGrad(F.reshape(mean, (1, -1, 1, 1)))
        # A thread to the input without weight: without it there were no backward pass to run.
        mean = F.broadcast_add(mean, F.reshape(F.mean(x) * 0, (1, 1, 1, 1)))
        scale, shift = F.ones_like(bases), F.zeros_like(bases)
        out = F.BatchNorm(mean, scale, shift, bases, spread, momentum=self._momentum, fix_gamma=False)
        return F.reshape(F.mean(out) * 0, (1, 1, 1, 1))


class EMAUnit(HybridBlock):
    """Residual unit around the attention, `(N, channels, H, W)` to the same."""

    def __init__(
        self, channels: int, bases: int, rounds: int, epsilon: float, moving: bool, unit_mean: bool
    ) -> None:
        super().__init__()
        self.before = nn.Conv2D(channels, 1, in_channels=channels)
        # Beyond the reach of gradients; frozen, so that weight decay does not wear it away.
        for parameter in (self.before.weight, self.before.bias):
            parameter.grad_req = "null"
        if not moving:
            self.before.bias.init = PytorchBias(self.before.weight)
        self.attention = EMAttention(channels, bases, rounds, epsilon, moving, unit_mean)
        self.after = ConvUnit(channels, channels, 1, act=None)

    def hybrid_forward(self, F, x):
        y = F.relu(self.attention(self.before(x)))
        return F.relu(self.after(y) + x)


class EMANetHead(Head):
    """c4 reduced, rebuilt and classified; `concat_input` joins c4 itself to the last features."""

    def __init__(
        self,
        in_channels: int,
        nclass: int,
        width: int,
        bases: int,
        rounds: int,
        epsilon: float,
        moving: bool,
        unit_mean: bool,
        concat_input: bool,
    ) -> None:
        super().__init__()
        self.reduce = ConvUnit(in_channels, width)
        self.ema = EMAUnit(width, bases, rounds, epsilon, moving, unit_mean)
        self.smooth = ConvUnit(width, width // 2)
        self.join = ConvUnit(in_channels + width // 2, width // 2) if concat_input else None
        self.drop = dropout_layer(0.1)
        self.classifier = classifier(width // 2, nclass)
        if not moving:
            draw_as_pytorch(self.reduce, self.smooth, self.classifier)

    def hybrid_forward(self, F, c1, c2, c3, c4):
        x = self.smooth(self.ema(self.reduce(c4)))
        if self.join is not None:
            x = self.join(F.concat(c4, x, dim=1))
        return self.classifier(self.drop(x))


@MODELS.register(
    "emanet",
    forms=FORMS,
    paper="Expectation-Maximization Attention Networks for Semantic Segmentation",
    venue="ICCV 2019",
    year=2019,
    link="https://arxiv.org/abs/1907.13426",
    backbone="resnet101_v1s",
    output_stride=8,
    backbone_options={"stem": "deep"},
    scores=[
        ("Cityscapes val", "resnet50_v1c, 512x1024, 80k", 77.59, "mmsegmentation"),
        ("Cityscapes val", "resnet101_v1c, 512x1024, 80k", 79.1, "mmsegmentation"),
    ],
)
def emanet(
    nclass: int,
    backbone: Backbone,
    aux: bool = False,
    width: int = 512,
    bases: int = 64,
    rounds: int = 3,
    epsilon: float = 1e-6,
    moving: bool = True,
    unit_mean: bool = False,
    concat_input: bool = False,
    align_corners: bool = True,
) -> Segmentor:
    """`width`: channels that the attention works on. `bases`, `rounds`, `epsilon`, `moving`: see
    `EMAttention`; `moving=False` keeps the bases as they were drawn, as SFSegNets does; `unit_mean`
    moves them towards unit vectors (mmsegmentation). `concat_input`: see `EMANetHead`. `aux`: a plain head
    on c3 (mmsegmentation)."""
    attention = (bases, rounds, epsilon, moving, unit_mean)
    head = EMANetHead(backbone.channels[3], nclass, width, *attention, concat_input)
    return Segmentor(backbone, head, aux_on_c3(backbone, nclass) if aux else (), align_corners=align_corners)

"""A segmentation network of a few hundred parameters with the parts that every one has."""

from __future__ import annotations

import mxnet as mx
from mxnet.gluon import HybridBlock, nn

from mxnetseg.nn.norm import convert_norm
from mxnetseg.nn.resize import resize_like
from mxnetseg.nn.surgery import exchange


class TinyBackbone(nn.HybridSequential):
    """All of it is what pretraining gives."""

    @property
    def pretrainable(self):
        return self


class TinyNet(HybridBlock):
    """Backbone at stride 2, head, one auxiliary head; no dropout."""

    def __init__(self, nclass=4, aux=True, width=6):
        super().__init__()
        self.backbone = TinyBackbone()
        self.backbone.add(
            nn.Conv2D(width, 3, strides=2, padding=1, use_bias=False, in_channels=3),
            nn.BatchNorm(in_channels=width),
            nn.Activation("relu"),
        )
        self.head = nn.Conv2D(nclass, 3, padding=1, in_channels=width)
        self.aux_heads = nn.HybridSequential()
        self.predicts = ("pixels", "pixels") if aux else ("pixels",)
        if aux:
            self.aux_heads.add(nn.Conv2D(nclass, 1, in_channels=width))

    def hybrid_forward(self, F, x):
        features = self.backbone(x)
        maps = [self.head(features)] + [head(features) for head in self.aux_heads]
        return tuple(resize_like(F, y, x) for y in maps)

    def deploy(self):
        """The same parameters without the auxiliary head."""
        twin = type(self)(aux=False)
        exchange(twin, "backbone", self.backbone)
        exchange(twin, "head", self.head)
        return twin


def tiny(nclass=4, aux=True, contexts=None, seed=1, norm="bn", kind=TinyNet):
    """An initialized TinyNet; the same weights for the same seed."""
    net = convert_norm(kind(nclass, aux), norm, len(contexts or [1]))
    mx.random.seed(seed)
    net.initialize(mx.init.Normal(0.3), ctx=mx.cpu())
    if contexts:
        net.collect_params().reset_ctx(contexts)
    return net


def gradients(net):
    """Gradients of the first context by structural name."""
    named = net._collect_params_with_prefix()
    return {n: p.list_grad()[0].asnumpy() for n, p in named.items() if p.grad_req != "null"}

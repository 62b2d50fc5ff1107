"""HRNet (Wang et al., TPAMI 2020, arXiv 1908.07919): branches at four resolutions that keep exchanging.

GluonCV's network without its classifier, resized between branches by the size of what it is added to, or as
mmsegmentation does (`by_factor`): first by the power of two between their strides, then, where a side was
odd, to that size.
"""

from __future__ import annotations

from gluoncv.model_zoo import hrnet
from mxnet.gluon import HybridBlock

from mxnetseg.backbones.base import BACKBONES, Backbone
from mxnetseg.backbones.naming import HRNET, ImageNetNames
from mxnetseg.nn.initial import FAN_OUT, draw
from mxnetseg.nn.resize import resize_by, resize_like
from mxnetseg.nn.surgery import children, exchange


class Exchange(HybridBlock):
    """GluonCV's module of parallel branches, which end in sums of all of them, with another resizing."""

    def __init__(self, module: hrnet.HighResolutionModule) -> None:
        super().__init__()
        self.branches, self.fuse_layers = module.branches, module.fuse_layers

    def hybrid_forward(self, F, *maps):
        maps = [branch(x) for branch, x in zip(self.branches, maps)]
        return [F.relu(self._sum(F, maps, to)) for to in range(len(self.fuse_layers))]

    def _sum(self, F, maps, to):
        total = None
        for branch, x in enumerate(maps):
            if branch != to:
                x = self.fuse_layers[to][branch](x)
            if branch > to:
                factor = 2 ** (branch - to)
                x = resize_like(
                    F, resize_by(F, x, factor, align_corners=False), maps[to], align_corners=False
                )
            total = x if total is None else total + x
        return total


class HRNet(Backbone):
    """The four branches of the last stage, at strides 4, 8, 16, 32, `width` to 8 `width` channels."""

    parallel_branches = True
    imagenet = ImageNetNames(HRNET)

    def __init__(self, spec: str, by_factor: bool) -> None:
        layout = hrnet.HRNET_SPEC[spec]
        super().__init__(channels=layout[-1][3], strides=(4, 8, 16, 32))
        self.trunk = hrnet.HighResolutionBaseNet(layout, stage_interp_type="bilinear_like")
        draw(self, FAN_OUT)
        if by_factor:
            _exchange_all(self)

    def hybrid_forward(self, F, x):
        return tuple(self.trunk(x))


def _exchange_all(net):
    for name, child in children(net).items():
        if isinstance(child, hrnet.HighResolutionModule):
            exchange(net, name, Exchange(child))
        else:
            _exchange_all(child)


def _register(spec):
    name = f"hrnet_{spec}"

    @BACKBONES.register(name)
    def build(by_factor: bool = False) -> HRNet:
        return HRNet(spec, by_factor)


for _spec in ("w18_small_v1", "w18_small_v2", "w18", "w30", "w32", "w40", "w44", "w48", "w64"):
    _register(_spec)

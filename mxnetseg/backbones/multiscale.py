"""One backbone over several sizes of the image."""

from __future__ import annotations

import functools

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.nn.norm import exchange
from mxnetseg.nn.resize import halve_bicubic, resize_by


class MultiScale(Backbone):
    """`(N, 3, H, W)` to the maps of the image, then those of its smaller versions: four for each scale.

    `factors`: sizes relative to the image, each a half or a quarter, largest first. `bicubic` shrinks by
    bicubic interpolation instead of corner-aligned bilinear. `separate_norms` gives every scale its own batch
    norms but in shortcut projections (SwiftNet's pyramid); convolutions are always shared.
    """

    # Synchronized batch norm cannot run a layer twice in one pass (see `nn.norm`).
    runs_twice = True

    def __init__(self, net, factors=(0.5,), bicubic=False, separate_norms=False):
        super().__init__(net.channels, net.strides)
        self._factors = tuple(factors)
        self._bicubic = bicubic
        # The smallest version must still be an image that the backbone takes.
        net.trace_size = int(net.trace_size / min(self._factors))
        if separate_norms:
            _separate(net, 1 + len(self._factors))
            net.parameters_by_name = functools.partial(_with_equal_norms, net)
        self.net = net

    def hybrid_forward(self, F, x):
        maps = list(self._at_scale(0, x))
        for scale, factor in enumerate(self._factors, start=1):
            if self._bicubic:
                smaller = halve_bicubic(F, x, times=1 if factor == 0.5 else 2)
            else:
                smaller = resize_by(F, x, factor)
            maps += self._at_scale(scale, smaller)
        return tuple(maps)

    def _at_scale(self, scale, x):
        self.net.apply(lambda block: block.turn_to(scale) if isinstance(block, ScaleNorm) else None)
        return self.net(x)


class ScaleNorm(HybridBlock):
    """A batch norm for each scale; `scale` says whose turn it is while the network is run or traced."""

    def __init__(self, norm, scales):
        super().__init__()
        self.scale = 0
        settings = norm._kwargs
        for i in range(scales):
            twin = (
                norm
                if i == 0
                else nn.BatchNorm(
                    momentum=settings["momentum"], epsilon=settings["eps"], in_channels=norm.gamma.shape[0]
                )
            )
            self.register_child(twin, str(i))

    def turn_to(self, scale):
        self.scale = scale

    def hybrid_forward(self, F, x):
        return self._children[str(self.scale)](x)


class _Equal:
    """Parameters that are set together: the norms of all scales start from the one of a file."""

    def __init__(self, parameters):
        self.shape = parameters[0].shape
        self._parameters = parameters

    def set_data(self, data):
        for parameter in self._parameters:
            parameter.set_data(data)


def _with_equal_norms(block, prefix=""):
    if isinstance(block, ScaleNorm):
        norms = [norm._reg_params for norm in block._children.values()]
        return {prefix + kind: _Equal([norm[kind] for norm in norms]) for kind in norms[0]}
    found = {prefix + name: parameter for name, parameter in block._reg_params.items()}
    for name, child in block._children.items():
        found.update(_with_equal_norms(child, f"{prefix}{name}."))
    return found


def _separate(block, scales):
    for name, child in list(block._children.items()):
        if name == "downsample":
            continue
        if isinstance(child, nn.BatchNorm):
            exchange(block, name, child, ScaleNorm(child, scales))
        else:
            _separate(child, scales)

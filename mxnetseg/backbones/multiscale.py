"""One backbone over several sizes of the image."""

from __future__ import annotations

import functools
from typing import Dict, List, Sequence, Union

import mxnet as mx
from mxnet.gluon import HybridBlock, Parameter, nn

from mxnetseg.backbones.base import Backbone, Wrapper
from mxnetseg.nn.resize import halve_bicubic, resize_by
from mxnetseg.nn.surgery import children, exchange, layers, own_parameters, settings


class MultiScale(Wrapper):
    """`(N, 3, H, W)` to the maps of the image, then those of its smaller versions: four for each scale.

    `factors`: sizes relative to the image, each a half or a quarter, largest first. `bicubic` shrinks by
    bicubic interpolation instead of corner-aligned bilinear. `separate_norms` gives every scale its own batch
    norms but in shortcut projections (SwiftNet's pyramid); convolutions are always shared.
    """

    def __init__(
        self,
        net: Backbone,
        factors: Sequence[float] = (0.5,),
        bicubic: bool = False,
        separate_norms: bool = False,
    ) -> None:
        super().__init__(net)
        self.runs_twice = True
        self._factors = tuple(factors)
        self._bicubic = bicubic
        # The smallest version must still be an image that the backbone takes.
        self.trace_size = int(net.trace_size / min(self._factors))
        if separate_norms:
            _separate(net, 1 + len(self._factors))
            net.parameters_by_name = functools.partial(_with_equal_norms, net)

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
        for norm in layers(self.net, ScaleNorm):
            norm.scale = scale
        return self.net(x)


class ScaleNorm(nn.HybridSequential):
    """A batch norm for each scale; `scale` says whose turn it is while the network is run or traced."""

    def __init__(self, norm: nn.BatchNorm, scales: int) -> None:
        super().__init__()
        self.scale = 0
        old, channels = settings(norm), norm.gamma.shape[0]
        self.add(norm)
        for _ in range(1, scales):
            self.add(nn.BatchNorm(momentum=old["momentum"], epsilon=old["eps"], in_channels=channels))

    def hybrid_forward(self, F, x):
        return self[self.scale](x)


class _Equal:
    """Parameters that are set together: the norms of all scales start from the one of a file."""

    def __init__(self, parameters: List[Parameter]) -> None:
        self.shape = parameters[0].shape
        self._parameters = parameters

    def set_data(self, data: mx.nd.NDArray) -> None:
        for parameter in self._parameters:
            parameter.set_data(data)


def _with_equal_norms(block: HybridBlock, prefix: str = "") -> Dict[str, Union[Parameter, _Equal]]:
    if isinstance(block, ScaleNorm):
        norms = [own_parameters(norm) for norm in block]
        return {prefix + kind: _Equal([norm[kind] for norm in norms]) for kind in norms[0]}
    found = {prefix + name: parameter for name, parameter in own_parameters(block).items()}
    for name, child in children(block).items():
        found.update(_with_equal_norms(child, f"{prefix}{name}."))
    return found


def _separate(block: HybridBlock, scales: int) -> None:
    for name, child in children(block).items():
        if name == "downsample":
            continue
        if isinstance(child, nn.BatchNorm):
            exchange(block, name, ScaleNorm(child, scales))
        else:
            _separate(child, scales)

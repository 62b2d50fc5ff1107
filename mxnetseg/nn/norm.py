"""Exchanging the normalization of a finished network.

Networks are written with plain batch norm. Synchronized batch norm and group norm are put in its
place afterwards, so that no head has to know about them and every checkpoint keeps its names.
"""

from __future__ import annotations

import itertools
from typing import Any, Optional

from mxnet.gluon import Block, HybridBlock, contrib, nn

from mxnetseg.errors import ConfigError
from mxnetseg.nn.surgery import children, configure, exchange, forget_symbol, layers, settings

NORMS = ("bn", "syncbn", "gn")
# Channels that a group of group norm has at least: over a globally pooled map, one pixel, a group of one
# channel would be its own mean and come out as zero whatever it was.
GROUP = 4
_sync_keys = itertools.count()


def is_norm(block: Block) -> bool:
    """Whether a block is a normalization layer, whose own parameters are scale, shift and statistics."""
    return isinstance(block, (nn.BatchNorm, nn.LayerNorm, nn.GroupNorm, nn.InstanceNorm, ChannelGroupNorm))


def convert_norm(net: HybridBlock, kind: str, num_devices: int = 1, groups: int = 32) -> HybridBlock:
    """Give every norm layer of `net` the `kind` and return `net`.

    `bn` and `syncbn` share parameters with what they replace, running statistics included, so a trained
    network converts both ways (evaluation and export use `bn`). `syncbn` averages statistics over
    `num_devices` contexts of this process. `gn` takes over scale and shift, and has no statistics: it is
    for networks about to be trained; `groups` falls to the largest divisor of the channels that leaves four
    or more to a group, if there is one. MXNet aborts the process where a layer synchronized over several
    devices runs twice in a pass: see `create_model`. Raises ConfigError for another kind.
    """
    if kind not in NORMS:
        raise ConfigError(f"norm must be one of {', '.join(NORMS)}, not {kind!r}")
    for name, child in children(net).items():
        if isinstance(child, nn.BatchNorm):
            twin = _replacement(child, kind, num_devices, groups)
            if twin is not child:
                exchange(net, name, twin)
        else:
            convert_norm(child, kind, num_devices, groups)
    return net


def tune_norm(
    net: Block, momentum: Optional[float] = None, epsilon: Optional[float] = None, frozen: bool = False
) -> None:
    """Set what every batch norm of `net`, synchronized ones too, does with its statistics; None keeps.

    `momentum`: share of the old running statistics that a step keeps (PyTorch's 1 - momentum), 0 to 1.
    `epsilon`: added to the variance, above 0. `frozen`: training normalizes with the running statistics, too,
    and leaves them as they are; scale and shift are still trained. Raises ConfigError for values out of
    range, and for a network without batch norm, where they would change nothing.
    """
    if momentum is None and epsilon is None and not frozen:
        return
    if momentum is not None and not 0 <= momentum <= 1:
        raise ConfigError(f"norm momentum must be from 0 to 1, not {momentum!r}")
    if epsilon is not None and not epsilon > 0:
        raise ConfigError(f"norm epsilon must be above 0, not {epsilon!r}")
    found = list(layers(net, nn.BatchNorm))
    if not found:
        raise ConfigError(
            "this network has no batch norm: momentum, epsilon and freezing are for norm 'bn' and 'syncbn'"
        )
    changed = {"use_global_stats": True} if frozen else {}
    if momentum is not None:
        changed["momentum"] = momentum
    if epsilon is not None:
        changed["eps"] = epsilon
    for layer in found:
        configure(layer, **changed)


def count_twice(*blocks: Block) -> None:
    """Let running statistics of these blocks move in one pass as far as in two over the same maps: published
    code runs a layer twice in a step where one serves as query and key, or where a head's output is asked for
    again."""
    for block in blocks:
        for layer in layers(block, nn.BatchNorm):
            configure(layer, momentum=settings(layer)["momentum"] ** 2)


class ChannelGroupNorm(HybridBlock):
    """Group norm with a scale and a shift for each channel, as its paper (arXiv 1803.08494) has it; the
    layer of MXNet 1.9.1 has one for each group only. `(N, C, ...)` to the same."""

    def __init__(
        self,
        channels: int,
        groups: int,
        epsilon: float,
        gamma_initializer: Any = "ones",
        beta_initializer: Any = "zeros",
        **keywords: Any,
    ) -> None:
        super().__init__(**keywords)
        self._groups = groups
        self._epsilon = epsilon
        self.gamma = self.params.get("gamma", shape=(channels,), init=gamma_initializer)
        self.beta = self.params.get("beta", shape=(channels,), init=beta_initializer)

    def hybrid_forward(self, F, x, gamma, beta):
        # One for each group, of the parameters' own type.
        like = F.slice_axis(gamma, axis=0, begin=0, end=self._groups)
        unit, zero = F.ones_like(like), F.zeros_like(like)
        # Flat positions: maps, sequences and plain vectors alike.
        flat = F.reshape(x, (0, 0, -1))
        y = F.GroupNorm(flat, unit, zero, num_groups=self._groups, eps=self._epsilon)
        gamma, beta = (F.reshape(p, (1, -1, 1)) for p in (gamma, beta))
        return F.reshape_like(F.broadcast_add(F.broadcast_mul(y, gamma), beta), x)


def _replacement(layer, kind, num_devices, groups):
    synced = isinstance(layer, contrib.nn.SyncBatchNorm)
    if kind == "bn" and not synced:
        return layer
    old, channels = settings(layer), layer.gamma.shape[0]
    # `params` makes the twin look its parameters up among the layer's: the same objects, which Gluon gives
    # out only to who names the initializers that they have.
    own = dict(gamma_initializer=layer.gamma.init, beta_initializer=layer.beta.init, params=layer.params)
    if kind == "gn":
        count = _groups(channels, groups)
        for parameter in (layer.gamma, layer.beta):
            forget_symbol(parameter)
        return ChannelGroupNorm(channels, count, old["eps"], prefix=layer.prefix, **own)
    shared = dict(
        momentum=old["momentum"],
        epsilon=old["eps"],
        scale=not old["fix_gamma"],
        use_global_stats=old["use_global_stats"],
        in_channels=channels,
        **own,
    )
    if kind == "bn":
        return nn.BatchNorm(prefix=layer.prefix, **shared)
    # MXNet rendezvouses devices by this prefix in a table of the whole process, sized at first
    # use: a prefix used before, with other channels, would be an error.
    prefix = f"{layer.prefix}sync{next(_sync_keys)}_"
    return contrib.nn.SyncBatchNorm(num_devices=num_devices, prefix=prefix, **shared)


def _groups(channels, most):
    divisors = [g for g in range(1, min(most, channels) + 1) if channels % g == 0]
    return max((g for g in divisors if channels // g >= GROUP), default=1)

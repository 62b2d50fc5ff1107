"""Exchanging the normalization of a finished network.

Networks are written with plain batch norm. Synchronized batch norm and group norm are put in its
place afterwards, so that no head has to know about them and every checkpoint keeps its names.
"""

from __future__ import annotations

import itertools

from mxnet.gluon import HybridBlock, contrib, nn

from mxnetseg.errors import ConfigError

NORMS = ("bn", "syncbn", "gn")
_sync_keys = itertools.count()


def convert_norm(net, kind, num_devices=1, groups=32):
    """Give every norm layer of `net` the `kind` and return `net`.

    `bn` and `syncbn` share parameters with what they replace, running statistics included, so a trained
    network converts both ways (evaluation and export use `bn`). `syncbn` averages statistics over
    `num_devices` contexts of this process. `gn` takes over scale and shift, and has no statistics: it is
    for networks about to be trained; `groups` falls to the largest divisor of the channels.
    Raises ConfigError for another kind, and for `syncbn` over several devices in a network that runs layers
    more than once in a pass (blocks that say so with `runs_twice`): MXNet aborts the process there.
    """
    if kind not in NORMS:
        raise ConfigError(f"norm must be one of {', '.join(NORMS)}, not {kind!r}")
    if kind == "syncbn" and num_devices > 1 and getattr(net, "runs_twice", False):
        raise ConfigError(
            "this network runs layers more than once in a pass, which MXNet's synchronized batch norm "
            "cannot do on more than one device; use norm 'bn' or 'gn'"
        )
    for name, child in list(net._children.items()):
        if isinstance(child, nn.BatchNorm):
            twin = _replacement(child, kind, num_devices, groups)
            if twin is not child:
                exchange(net, name, child, twin)
        else:
            convert_norm(child, kind, num_devices, groups)
    return net


class ChannelGroupNorm(HybridBlock):
    """Group norm with a scale and a shift for each channel, as its paper (arXiv 1803.08494) has it; the
    layer of MXNet 1.9.1 has one for each group only. `(N, C, H, W)` to the same."""

    def __init__(self, channels, groups, epsilon, **keywords):
        super().__init__(**keywords)
        self._groups = groups
        self._epsilon = epsilon
        self.gamma = self.params.get("gamma", shape=(channels,), init="ones")
        self.beta = self.params.get("beta", shape=(channels,), init="zeros")

    def hybrid_forward(self, F, x, gamma, beta):
        unit, zero = F.ones((self._groups,)), F.zeros((self._groups,))
        x = F.GroupNorm(x, unit, zero, num_groups=self._groups, eps=self._epsilon)
        gamma, beta = (F.reshape(p, (1, -1, 1, 1)) for p in (gamma, beta))
        return F.broadcast_add(F.broadcast_mul(x, gamma), beta)


def _replacement(layer, kind, num_devices, groups):
    synced = isinstance(layer, contrib.nn.SyncBatchNorm)
    if kind == "bn" and not synced:
        return layer
    old, channels = layer._kwargs, layer.gamma.shape[0]
    # `params` makes the twin look its parameters up among the layer's: the same objects.
    if kind == "gn":
        count = next(g for g in range(min(groups, channels), 0, -1) if channels % g == 0)
        return ChannelGroupNorm(channels, count, old["eps"], prefix=layer.prefix, params=layer.params)
    settings = dict(
        momentum=old["momentum"],
        epsilon=old["eps"],
        scale=not old["fix_gamma"],
        use_global_stats=old["use_global_stats"],
        in_channels=channels,
        params=layer.params,
    )
    if kind == "bn":
        return nn.BatchNorm(prefix=layer.prefix, **settings)
    # MXNet rendezvouses devices by this prefix in a table of the whole process, sized at first
    # use: a prefix used before, with other channels, would be an error.
    prefix = f"{layer.prefix}sync{next(_sync_keys)}_"
    return contrib.nn.SyncBatchNorm(num_devices=num_devices, prefix=prefix, **settings)


def exchange(parent, name, old, new):
    """Put the block `new` where `parent` has `old` as its child `name`."""
    parent._children[name] = new
    for attribute, value in list(vars(parent).items()):
        if value is old:
            object.__setattr__(parent, attribute, new)
    parent._clear_cached_op()

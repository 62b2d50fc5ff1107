"""Convolutions padded as TensorFlow pads (`SAME`): an output for every `stride`-th pixel, and whether a side
is even decides for which.

The last output stands on the last pixel whatever the side, so a strided convolution with equal padding, run
from the far corner, gives the same: no size is needed.
"""

from __future__ import annotations

from mxnet.gluon import Block, nn

from mxnetseg.nn.surgery import children, exchange, settings


class SameConv2D(nn.Conv2D):
    """A convolution whose outputs are counted from the last pixel; its padding is half its kernel."""

    def hybrid_forward(self, F, x, weight, bias=None):
        x, weight = F.reverse(x, axis=(2, 3)), F.reverse(weight, axis=(2, 3))
        return F.reverse(super().hybrid_forward(F, x, weight, bias), axis=(2, 3))


def pad_as_tensorflow(net: Block) -> None:
    """Let every strided convolution of `net`, of an odd kernel and padded by half of it, pad as TensorFlow.

    Those without a stride do already. Parameters keep their names.
    """
    for name, child in children(net).items():
        if not isinstance(child, nn.Conv2D):
            pad_as_tensorflow(child)
        elif settings(child)["stride"] != (1, 1) and settings(child)["kernel"] != (1, 1):
            exchange(net, name, _same(child))


def _same(conv: nn.Conv2D) -> SameConv2D:
    kept = settings(conv)
    return SameConv2D(
        kept["num_filter"],
        kept["kernel"],
        kept["stride"],
        kept["pad"],
        kept["dilate"],
        kept["num_group"],
        use_bias=not kept["no_bias"],
        in_channels=conv.weight.shape[1] * kept["num_group"],
        weight_initializer=conv.weight.init,
        prefix=conv.prefix,
        params=conv.params,
    )

"""Where training starts from: the initializers that published implementations give their layers.

Layers without an initializer of their own are drawn by `FAN_OUT`, and biases are zero. A layer that has one
keeps it, whatever the block around it asks for; only a classifier's is overruled.
"""

from __future__ import annotations

from typing import Iterator, Literal, Optional, Union

import mxnet as mx
from mxnet.gluon import Block, Parameter, nn

from mxnetseg.nn.surgery import layers

Style = Literal["pytorch", "smp"]
Layer = Union[nn.Conv2D, nn.Dense]

# He et al.'s normal distribution, variance 2 / fan, as PyTorch counts: the fan of a grouped convolution is
# that of a whole one with as many filters. FAN_OUT is mmcv's for units, and torchvision's for ResNets.
FAN_OUT = mx.init.MSRAPrelu("out", slope=0)
FAN_IN = mx.init.MSRAPrelu("in", slope=0)
# He et al.'s uniform distribution of the same variance.
FAN_IN_UNIFORM = mx.init.Xavier("uniform", "in", 6)
# The same for layers that no ReLU follows: variance 1 / fan_in.
FAN_IN_LINEAR = mx.init.MSRAPrelu("in", slope=1)
# mmsegmentation's classifiers, so that a first loss is the logarithm of the number of classes.
CLASSIFIER = mx.init.Normal(0.01)
# PyTorch's own for convolutions and linear layers: uniform within 1 / sqrt(fan_in), biases too.
PYTORCH = mx.init.Xavier("uniform", "in", 1)
# Glorot and Bengio's uniform distribution.
XAVIER = mx.init.Xavier("uniform", "avg", 3)


@mx.init.register
class PytorchBias(mx.init.Initializer):
    """Uniform within 1 / sqrt(fan_in) of the layer's weights, whose shape is known when this draws."""

    def __init__(self, weight: Optional[Parameter] = None) -> None:
        super().__init__()
        self._weight = weight

    def _init_weight(self, _, array):
        _, *others = self._weight.shape
        fan_in = 1
        for side in others:
            fan_in *= side
        bound = fan_in**-0.5
        array[:] = mx.nd.random.uniform(-bound, bound, array.shape)


def draw(block: Block, weights: mx.init.Initializer) -> None:
    """Draw the weights of every convolution and linear layer of `block` by `weights`; biases stay zero."""
    for layer in _without_own(block):
        layer.weight.init = weights


def draw_as_pytorch(*blocks: Block) -> None:
    """Draw every convolution and linear layer of the blocks, biases too, as PyTorch creates them."""
    for block in blocks:
        for layer in _without_own(block):
            layer.weight.init = PYTORCH
            if layer.bias is not None:
                layer.bias.init = PytorchBias(layer.weight)


def draw_in_style(style: Style, *blocks: Block) -> None:
    """Draw the convolutions and linear layers of blocks that have no initializer of their own as a library
    does: `pytorch`, which leaves them as they are created (so torchvision's heads), or `smp`,
    segmentation_models.pytorch, where classifiers are drawn apart."""
    for block in blocks:
        if style == "pytorch":
            draw_as_pytorch(block)
            continue
        for layer in _without_own(block):
            layer.weight.init = XAVIER if layer.weight.init is CLASSIFIER else FAN_IN_UNIFORM


def start_at_zero(norm: nn.BatchNorm) -> None:
    """Let a batch norm's scale start at zero, so that the residual branch that it closes does."""
    norm.gamma.init = mx.init.Zero()


def _without_own(block: Block) -> Iterator[Layer]:
    for kind in (nn.Conv2D, nn.Conv2DTranspose, nn.Dense):
        for layer in layers(block, kind):
            if layer.weight.init is None or layer.weight.init is CLASSIFIER:
                yield layer

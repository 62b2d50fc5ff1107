"""Looking into finished networks and changing them: the only place that touches Gluon's private parts.

Strides, dilations and the settings of norms are no parameters: they are changed in place after a network is
built. Whatever is exchanged or changed, structural names of parameters stay.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Dict, Iterator, Type, TypeVar

from mxnet.gluon import Block, HybridBlock, Parameter, nn

Layer = TypeVar("Layer", bound=Block)


def named_parameters(net: Block) -> Dict[str, Parameter]:
    """{structural name, such as `backbone.conv1.weight`: parameter}, running statistics included."""
    return net._collect_params_with_prefix()


def own_parameters(block: Block) -> Dict[str, Parameter]:
    """{name: parameter} of the block itself, without those of its children."""
    return dict(block._reg_params)


def children(block: Block) -> Dict[str, Block]:
    """{name: child} in the order in which they were added, a copy."""
    return dict(block._children)


def layers(net: Block, kind: Type[Layer]) -> Iterator[Layer]:
    """Every block of `kind` in `net`, itself included, depth first: the running order of a chain."""
    if isinstance(net, kind):
        yield net
    for child in net._children.values():
        yield from layers(child, kind)


class Transparent(HybridBlock):
    """A block around another one, its child `net`, whose parameters keep the structural names that they have
    there: files of parameters serve with and without it. Further children have names of their own."""

    def _collect_params_with_prefix(self, prefix=""):
        before = f"{prefix}." if prefix else ""
        found = {before + name: p for name, p in self._reg_params.items()}
        for name, child in self._children.items():
            inner = child is self.net
            found.update(child._collect_params_with_prefix(prefix if inner else before + name))
        return found


def settings(layer: Block) -> Dict[str, Any]:
    """The operator's keywords of a convolution, pooling or norm layer (`kernel`, `stride`, `eps`), a copy."""
    return dict(getattr(layer, "_kwargs", {}))


def configure(layer: Block, **changed: Any) -> None:
    """Change keywords of a layer's operator; raises KeyError for one that it does not have."""
    unknown = sorted(set(changed) - set(layer._kwargs))
    if unknown:
        raise KeyError(f"{type(layer).__name__} has no setting {', '.join(unknown)}")
    layer._kwargs.update(changed)
    if isinstance(layer, HybridBlock):
        layer._clear_cached_op()


def set_stride(conv: nn.Conv2D, stride: int) -> None:
    """Give a convolution another stride, the same both ways."""
    configure(conv, stride=(stride, stride))


def set_dilation(conv: nn.Conv2D, rate: int, pad: bool = True) -> None:
    """Dilate a convolution of odd kernel and, unless its input is padded elsewhere, pad it so that the
    size stays."""
    configure(conv, dilate=(rate, rate))
    if pad:
        configure(conv, pad=tuple(rate * (side // 2) for side in conv._kwargs["kernel"]))


def exchange(parent: HybridBlock, name: str, new: Block) -> None:
    """Put the block `new` in the place of the child `name` of `parent`."""
    old = parent._children[name]
    parent._children[name] = new
    for attribute, value in list(vars(parent).items()):
        if value is old:
            object.__setattr__(parent, attribute, new)
    parent._clear_cached_op()


def forget_symbol(parameter: Parameter) -> None:
    """Let the next trace make a new symbol of a parameter: one made before the shape was known keeps the
    unknown shape, and only some operators find a parameter's shape themselves."""
    parameter._var = None


def forget_graph(net: HybridBlock) -> None:
    """Drop what a block has traced so far, for a network that was run to infer its shapes."""
    net._clear_cached_op()


@contextmanager
def without_dropout(net: HybridBlock) -> Iterator[None]:
    """Inside, nothing of `net` is dropped in training: elements, channels and residual branches stay."""
    dropping = list(layers(net, nn.Dropout))
    rates = [layer._rate for layer in dropping]
    try:
        for layer in dropping:
            layer._rate = 0.0
        net._clear_cached_op()
        yield
    finally:
        for layer, rate in zip(dropping, rates):
            layer._rate = rate
        net._clear_cached_op()

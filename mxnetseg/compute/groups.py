"""What the optimizer makes of each parameter, the same for every engine."""

from __future__ import annotations

from typing import Any, NamedTuple, Sequence


class ParameterGroup(NamedTuple):
    """Factors on the learning rate and the weight decay of the recipe."""

    lr_mult: float
    decay_mult: float


def parameter_group(shape: Sequence[int], in_backbone: bool, settings: Any) -> ParameterGroup:
    """The group of one parameter under the recipe's `optimizer` group.

    `head_lr_mult` applies to every parameter that is not the backbone's; with `no_decay_norm_bias` tensors of
    one dimension (biases, scales and shifts of norms) are not decayed.
    """
    spared = settings.no_decay_norm_bias and len(shape) <= 1
    return ParameterGroup(1.0 if in_backbone else settings.head_lr_mult, 0.0 if spared else 1.0)

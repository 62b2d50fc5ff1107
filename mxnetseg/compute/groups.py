"""What an optimizer step does, the same for every engine: the update rules, and the group of each parameter.

For a parameter w with gradient g of the loss (after clipping), the learning rate r of the step (that of the
schedule times the group's `lr_mult`), the group's weight decay d, and t = 1, 2, ... the updates of w so far:

    sgd    m = momentum m - r (g + d w)                    w += m
    nag    m = momentum m - r (g + d w)                    w += momentum m - r (g + d w)
    adam   g += d w;  m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2
           w -= r sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + epsilon)
    adamw  m, v as in adam, of g alone;  m^ = m / (1 - b1^t);  v^ = v / (1 - b2^t)
           w -= r (m^ / (sqrt(v^) + epsilon) + d w)
    lars   q = trust |w| / (|g| + d |w|);  m = momentum m - r q (g + d w);  w += m
    lamb   u = m^ / (sqrt(v^) + epsilon) + d w;  w -= r |w| / |u| u

The learning rate is inside the momentum; adam's epsilon comes before the correction of the bias and adamw's
and lamb's after it. In lars q, and in lamb |w| / |u|, is 1 for tensors of one dimension, which have no scale
of their own to keep to, and where a norm is 0. Saved moments are those above (`opt:<name>:0` is m, `:1` v).
"""

from __future__ import annotations

from typing import Any, Dict, NamedTuple, Sequence

from mxnetseg.errors import ConfigError
from mxnetseg.nn.norm import is_norm
from mxnetseg.nn.surgery import children, named_parameters, own_parameters

# Own names of position embeddings and of tokens that are learnt: what published recipes do not decay.
_EMBEDDINGS = ("pos_embed", "cls_token", "cls_pos", "registers", "classes", "queries", "positions")


class ParameterGroup(NamedTuple):
    """What the optimizer makes of one parameter.

    lr_mult       factor on the learning rate.
    weight_decay  d of the rules above.
    frozen        not trained at all.
    """

    lr_mult: float
    weight_decay: float
    frozen: bool


def parameter_groups(network: Any, settings: Any) -> Dict[str, ParameterGroup]:
    """{structural name: group} of every parameter of a `Segmentor`, under the recipe's `optimizer` group.

    Raises ConfigError where `layer_decay` or `frozen_stages` asks for the depth of layers in a backbone that
    has none, or for more stages than there are.
    """
    named = named_parameters(network)
    kinds = _kinds(network)
    pretrained = network.backbone.pretrainable.collect_params()
    backbone = {id(parameter) for parameter in pretrained.values()}
    depths, rates = {}, {}
    if settings.frozen_stages:
        depths = _depths(network.backbone, network.backbone.parameter_depths())
        if settings.frozen_stages > max(depths.values()):
            raise ConfigError(
                f"optimizer.frozen_stages is {settings.frozen_stages}, but this backbone has "
                f"{max(depths.values())} stages"
            )
    if settings.layer_decay is not None:
        counted = _depths(network.backbone, network.backbone.decay_depths())
        deepest = max(counted.values())
        rates = {
            one: settings.layer_decay ** (settings.layer_decay_last + deepest - depth)
            for one, depth in counted.items()
        }
    groups = {}
    for name, parameter in named.items():
        inside = id(parameter) in backbone
        rate = rates.get(id(parameter), 1.0) if inside else settings.head_lr_mult
        decay = settings.weight_decay
        if inside and settings.backbone_weight_decay is not None:
            decay = settings.backbone_weight_decay
        groups[name] = ParameterGroup(
            lr_mult=rate,
            weight_decay=0.0 if kinds[id(parameter)] in settings.no_decay else decay,
            frozen=inside and id(parameter) in depths and depths[id(parameter)] <= settings.frozen_stages,
        )
    return groups


def _kinds(block: Any) -> Dict[int, str]:
    """{id of a parameter: norm, bias, embedding or weight}; `bias` is any other tensor of one dimension."""
    kinds = {}
    for name, parameter in own_parameters(block).items():
        flat = len(parameter.shape) <= 1
        kind = (
            "norm" if is_norm(block) else "embedding" if name in _EMBEDDINGS else "bias" if flat else "weight"
        )
        kinds[id(parameter)] = kind
    for child in children(block).values():
        kinds.update(_kinds(child))
    return kinds


def _depths(backbone: Any, by_name: Dict[str, int]) -> Dict[int, int]:
    """{id of a parameter of the backbone: its depth}, of those whose depth is known by their names."""
    if backbone.parallel_branches or len(set(by_name.values())) < 2:
        raise ConfigError(
            f"optimizer.layer_decay and optimizer.frozen_stages need stages one behind the other, which "
            f"backbone {backbone.registered_name!r} does not have"
        )
    parameters: Sequence[Any] = list(backbone.collect_params().values())
    return {id(one): by_name[one.name] for one in parameters if one.name in by_name}

"""From the recipe's `loss` group to the terms of the sum that is minimized. No array library: every engine
computes the same terms.

Loss of the batch = sum over terms of `weight` x the term's loss. A per-pixel term's loss is the sum over the
pixels that count, each times the weight of its class, divided by the term's normalizer; all of it over the
whole global batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, List, Optional, Sequence, Tuple, Union

import numpy as np

from mxnetseg.errors import ConfigError
from mxnetseg.losses.base import LOSSES, Loss, MapLoss, PixelLoss
from mxnetseg.losses.targets import TARGETS
from mxnetseg.recipe.loss import LossGroup, OneLoss, WeightedLoss

# What outputs that do not predict classes are compared with, and their losses where the recipe names none.
TARGET_OF = {
    **dict.fromkeys(("pixels", "presence", "points", "queries", "masks"), "classes"),
    "boundary": "boundary",
    "detail": "detail",
}
USUAL = {
    "queries": (),
    "masks": (("mask_set", {}),),
    "presence": (("presence", {}),),
    "points": (("point_cross_entropy", {}),),
    "boundary": (("balanced_cross_entropy", {}),),
    "detail": (("sigmoid_cross_entropy", {}), ("dice", {"activation": "sigmoid"})),
}


@dataclass(frozen=True)
class Mining:
    """Online hard example mining over the valid pixels of the global batch (Shrivastava et al., CVPR 2016, in
    the form that segmentation uses). p is the probability of the true class.

    `at_most`: p <= max(threshold, the k-th smallest p) is kept; all where no more than k are valid.
    `below`: p < max(threshold, the (k+1)-th smallest p, or the largest where there are fewer) is kept.
    Without a threshold: the k smallest p. k is `kept(...)`.
    """

    threshold: Optional[float]
    min_kept: Union[int, float, None]
    per: Union[str, int]
    rule: str

    def kept(self, images: int, pixels: int) -> int:
        """k for a global batch of so many images and pixels (ignored ones included)."""
        if self.min_kept is None:
            return 0
        if isinstance(self.min_kept, float):
            return max(1, round(self.min_kept * pixels))
        if self.per == "batch":
            return self.min_kept
        return max(1, self.min_kept * images // (1 if self.per == "image" else self.per))


@dataclass(frozen=True)
class Term:
    """One loss of one output.

    output        place of the output, 0 is the main one.
    weight        factor in the total.
    loss          object with the formula, options and facts.
    make_target   see `losses.targets`; `target` is its name and its constructor's keywords.
    class_weights float64, or None where all weigh 1.
    normalizer    `weights`, `pixels` or `all`: the recipe's `loss.normalizer`.
    where         (output, probability): only pixels where that output's sigmoid lies above; or None.
    """

    label: str
    output: int
    weight: float
    loss: Loss
    target: Tuple[str, dict]
    make_target: Callable
    class_weights: Optional[np.ndarray] = None
    normalizer: str = "weights"
    mining: Optional[Mining] = None
    where: Optional[Tuple[int, float]] = None

    @property
    def joined(self) -> bool:
        """Whether what one pixel gives depends on the other pixels of the batch and not on labels alone."""
        return isinstance(self.loss, MapLoss) or self.mining is not None or self.where is not None

    @property
    def weighs_pixels(self) -> bool:
        """Whether the loss has weights of pixels that are counted from the labels."""
        return self.loss.host_weights is not None

    def divisor(self, labels: np.ndarray, ignore_index: int) -> float:
        """What the sum of a term that is not `joined` is divided by, from the labels of the global batch."""
        if self.normalizer == "all" or self.target[0] != "classes":
            return float(labels.size)
        if self.class_weights is None or self.normalizer == "pixels":
            return float(np.count_nonzero(labels != ignore_index))
        count = len(self.class_weights)
        inside = (labels >= 0) & (labels < count) & (labels != ignore_index)
        return float(np.bincount(labels[inside].astype(np.int64), minlength=count) @ self.class_weights)


def join_maps(
    term: Term, pieces: Sequence[list], shape: Tuple[int, ...], hard_pixels: Callable, total: Callable
):
    """(gradients, values), one of each for every piece that this process has of a global batch of labels of
    `shape`, of a term of pixel maps in which pixels that do not count are negative.

    A piece is [map] or [map, class weights]. `hard_pixels(maps, mining, images, pixels)` gives the masks of
    the pixels kept, `total(masks)` their sum as a number, over all workers: what each engine does its own
    way.
    """
    maps = [piece[0] for piece in pieces]
    pixels = int(np.prod(shape))
    if term.mining is None:
        masks = [m >= 0 for m in maps]
    else:
        masks = hard_pixels(maps, term.mining, shape[0], pixels)
    counted = masks
    # Class weights do not decide which pixels are hard, only how much each counts.
    if term.class_weights is not None:
        masks = [mask * piece[1] for mask, piece in zip(masks, pieces)]
    if term.normalizer == "all":
        divisor = float(pixels)
    else:
        divisor = total(counted if term.normalizer == "pixels" else masks)
    factor = term.weight / divisor if divisor else 0.0
    gradients = [mask * factor for mask in masks]
    return gradients, [(m * g).sum() for m, g in zip(maps, gradients)]


def plan(
    settings: LossGroup,
    predicts: Sequence[str],
    nclass: int,
    channels: Optional[Sequence[int]] = None,
) -> List[Term]:
    """The terms for a network whose outputs predict `predicts` (see `models.base.Aux`; main first) with so
    many `channels` (`nclass` each where not given).

    Raises ConfigError for what cannot be: an unknown name or option, a loss that an output cannot take, lists
    of the wrong length, class weights that are still `auto`, nothing that weighs anything.
    """
    channels = list(channels or [nclass] * len(predicts))
    stated = [None] * len(predicts) if settings.outputs is None else settings.outputs
    if len(stated) != len(predicts):
        raise ConfigError(
            f"loss.outputs states {len(stated)} outputs but the network has {len(predicts)}"
            " (the main one and its auxiliary ones)"
        )
    weights = _output_weights(settings, len(predicts))
    terms: List[Term] = []
    for k, (kind, losses) in enumerate(zip(predicts, stated)):
        shared = losses is None
        if shared:
            # A map that is summed up from queries is trained through them.
            losses = [] if k == 0 and "masks" in predicts else _shared_losses(settings, kind)
        name = "main" if k == 0 else f"aux_{k}"
        for one in losses:
            label = one.label or (name if len(losses) == 1 else f"{name}.{one.name}")
            weight = one.weight * (weights[k] if shared else 1.0)
            terms.append(_term(one, settings, label, k, kind, weight, nclass, channels))
    labels = [term.label for term in terms]
    for label in labels:
        if labels.count(label) > 1:
            raise ConfigError(f"two losses in loss.outputs are called {label!r}: give one a label of its own")
    if not any(term.weight for term in terms):
        raise ConfigError("no output has a loss of a weight above 0: nothing would be trained")
    return terms


def _output_weights(settings, count):
    aux = settings.aux_weights
    if not isinstance(aux, list):
        return [1.0] + [aux] * (count - 1)
    if settings.outputs is None and len(aux) != count - 1:
        raise ConfigError(
            f"loss.aux_weights has {len(aux)} numbers but the network has {count - 1} auxiliary outputs"
        )
    return [1.0, *aux, *[0.0] * (count - 1 - len(aux))][:count]


def _shared_losses(settings, kind):
    """The losses of an output of this kind where the recipe has one line for all."""
    if kind != "pixels":
        return [WeightedLoss(name=name, options=options) for name, options in USUAL[kind]]
    options = dict(settings.options)
    if settings.label_smoothing:
        options["label_smoothing"] = settings.label_smoothing
    common = {key: getattr(settings, key) for key in OneLoss.model_fields}
    return [WeightedLoss(**{**common, "options": options})]


def _term(one, settings, label, k, kind, weight, nclass, channels):
    # The loss of one logit has another name than that of many, and the same meaning.
    one_logit = channels[k] == 1 and one.name == "cross_entropy"
    loss = LOSSES.build("binary_cross_entropy" if one_logit else one.name, **one.options)
    loss.channels = channels[k]
    _check_output(loss, one, k, kind, channels[k])
    per_pixel = isinstance(loss, PixelLoss)
    if one.mined and not (per_pixel and loss.minable):
        raise ConfigError(
            f"loss {one.name!r} of {label} cannot choose hard examples (ohem_threshold, ohem_min_kept): that "
            f"takes cross_entropy or binary_cross_entropy, without label_smoothing"
        )
    if not per_pixel and one.normalizer != "weights":
        raise ConfigError(f"loss {one.name!r} of {label} is no mean over pixels: it takes no normalizer")
    target = one.target or TARGET_OF[kind]
    make_target = TARGETS.build(target, **one.target_options)
    return Term(
        label=label,
        output=k,
        weight=weight,
        loss=loss,
        target=(target, one.target_options),
        make_target=make_target,
        class_weights=_weights_of(one, settings, per_pixel and target == "classes", nclass),
        normalizer=one.normalizer,
        mining=Mining(one.ohem_threshold, one.ohem_min_kept, one.ohem_per, one.ohem_rule)
        if one.mined
        else None,
        where=_where(one, label, channels),
    )


def _check_output(loss, one, k, kind, count):
    which = "the main output" if k == 0 else f"auxiliary output {k}"
    if kind not in loss.outputs:
        raise ConfigError(
            f"loss {one.name!r} is for outputs of {', '.join(loss.outputs)}; {which} predicts {kind}"
        )
    if loss.logits == "one" and count != 1:
        raise ConfigError(f"loss {one.name!r} is for one logit; {which} has {count}")
    if loss.logits == "many" and count == 1:
        raise ConfigError(f"loss {one.name!r} needs two logits or more; {which} has 1")


def _weights_of(one, settings, takes_them, nclass):
    own = one.class_weights
    if own is None:
        own = settings.class_weights
    elif not takes_them:
        raise ConfigError(f"loss {one.name!r} is not for classes of pixels: it takes no class_weights")
    if own is None or not takes_them:
        return None
    if own == "auto":
        raise ConfigError("loss.class_weights is auto, which takes a training split to count labels in")
    return checked_class_weights(own, max(nclass, 2))


def _where(one, label, channels):
    if one.where is None:
        return None
    if one.where.output >= len(channels):
        raise ConfigError(
            f"{label}: where.output is {one.where.output}; the network has {len(channels)} outputs"
        )
    if channels[one.where.output] != 1:
        raise ConfigError(
            f"{label}: where.output {one.where.output} has {channels[one.where.output]} logits; it takes one"
        )
    return one.where.output, one.where.above


def wants_class_weights(settings: LossGroup) -> bool:
    """Whether class weights are to be counted in the training labels (`auto`)."""
    return any(one.class_weights == "auto" for one in _all_losses(settings))


def set_class_weights(settings: LossGroup, weights: Sequence[float]) -> None:
    """Put `weights` in the place of every `auto`."""
    for one in _all_losses(settings):
        if one.class_weights == "auto":
            one.class_weights = [float(w) for w in weights]


def _all_losses(settings):
    return [settings, *(one for losses in settings.outputs or [] for one in losses or [])]


def checked_class_weights(weights: Sequence[float], count: int) -> np.ndarray:
    """Class weights as float64 `(count,)`; ConfigError where they are none."""
    array = np.asarray(weights, np.float64)
    if array.shape != (count,):
        raise ConfigError(f"loss.class_weights has {array.size} numbers but there are {count} classes")
    if not (np.isfinite(array).all() and array.min() >= 0 and array.max() > 0):
        raise ConfigError("loss.class_weights must be finite, none negative, one at least above 0")
    return array

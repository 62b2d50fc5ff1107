"""Losses of whole maps: overlap of regions, presence of classes, edges against the rest."""

from __future__ import annotations

from typing import Literal, Optional

from mxnetseg.errors import ConfigError
from mxnetseg.losses.base import (
    LOSSES,
    MapLoss,
    log_softmax,
    nearest_points,
    not_negative,
    one_hot,
    sigmoid_cross_entropy,
)


class RegionLoss(MapLoss):
    """Losses over the probabilities of classes: a softmax, or a sigmoid for each logit.

    `activation`  `softmax`, `sigmoid`, or None: a softmax where there are two logits or more.
    `per_image`   the mean over the images of each one's loss; False: the batch is one large image.
    """

    def __init__(self, activation: Optional[Literal["softmax", "sigmoid"]] = None, per_image: bool = True):
        self._activation = activation
        self._per_image = per_image
        if activation == "softmax":
            self.logits = "many"

    def _probabilities(self, F, logits):
        softmax = self._activation == "softmax" or (self._activation is None and self.channels > 1)
        return F.softmax(logits, axis=1) if softmax else F.sigmoid(logits)


@LOSSES.register("dice")
class Dice(RegionLoss):
    """1 - 2 |p t| / (|p|^2 + |t|^2), over classes and pixels together (Milletari et al., V-Net, 3DV 2016).

    `squared` False takes |p| + |t| below. `smooth` keeps regions of no pixel finite. `count_ignored`
    counts the probabilities of ignored pixels below the line, as mmsegmentation does.
    """

    def __init__(
        self,
        activation: Optional[Literal["softmax", "sigmoid"]] = None,
        per_image: bool = True,
        squared: bool = True,
        smooth: float = 1e-3,
        count_ignored: bool = False,
    ):
        super().__init__(activation, per_image)
        self._smooth = not_negative("smooth", smooth)
        self._squared, self._count_ignored = squared, count_ignored

    def statistics(self, F, logits, target, valid):
        valid = F.expand_dims(valid, axis=1)
        p = self._probabilities(F, logits)
        there = F.broadcast_mul(one_hot(F, logits, target, self.channels), valid)
        if not self._count_ignored:
            p = F.broadcast_mul(p, valid)
        found = F.square(p) if self._squared else p
        return (F.stack(*[F.sum(x, axis=(1, 2, 3)) for x in (p * there, found, there)], axis=1),)

    def value(self, F, sums):
        if not self._per_image:
            sums = F.sum(sums, axis=0, keepdims=True)
        both, found, there = (F.slice_axis(sums, axis=1, begin=k, end=k + 1) for k in range(3))
        if self._squared:
            loss = 1 - 2 * both / (found + there + 2 * self._smooth)
        else:
            loss = 1 - (2 * both + self._smooth) / (found + there + self._smooth)
        return F.mean(loss)


@LOSSES.register("tversky")
class Tversky(RegionLoss):
    """1 - TP / (TP + alpha FP + beta FN) of each class, the mean over classes (Salehi et al., MLMI 2017)."""

    def __init__(
        self,
        activation: Optional[Literal["softmax", "sigmoid"]] = None,
        per_image: bool = True,
        alpha: float = 0.3,
        beta: float = 0.7,
        smooth: float = 1.0,
    ):
        super().__init__(activation, per_image)
        self._alpha, self._beta = not_negative("alpha", alpha), not_negative("beta", beta)
        if alpha == beta == 0:
            raise ConfigError(
                "loss 'tversky': alpha or beta must be above 0: without errors it is a constant"
            )
        self._smooth = not_negative("smooth", smooth)

    def statistics(self, F, logits, target, valid):
        valid = F.expand_dims(valid, axis=1)
        p = F.broadcast_mul(self._probabilities(F, logits), valid)
        there = F.broadcast_mul(one_hot(F, logits, target, self.channels), valid)
        return (F.stack(*[F.sum(x, axis=(2, 3)) for x in (p * there, p, there)], axis=2),)

    def value(self, F, sums):
        if not self._per_image:
            sums = F.sum(sums, axis=0, keepdims=True)
        true, found, there = (F.slice_axis(sums, axis=2, begin=k, end=k + 1) for k in range(3))
        below = true + self._alpha * (found - true) + self._beta * (there - true)
        return F.mean(1 - (true + self._smooth) / (below + self._smooth))


@LOSSES.register("lovasz")
class Lovasz(RegionLoss):
    """The Lovasz extension of 1 - IoU (Berman et al., CVPR 2018): of the softmax for each class, the mean
    over `classes` `present` in the labels or `all`; of one logit by the hinge.

    Sorts the errors of all pixels of the batch on the first device, class by class.
    """

    def __init__(self, per_image: bool = False, classes: Literal["present", "all"] = "present"):
        super().__init__(None, per_image)
        self.arrays = 2
        self._present_only = classes == "present"

    def statistics(self, F, logits, target, valid):
        scores = logits if self.channels == 1 else self._probabilities(F, logits)
        marked = target * valid - (1 - valid)  # -1 where the pixel does not count
        return F.reshape(scores, (0, 0, -1)), F.reshape(marked, (0, -1))

    def value(self, F, scores, labels):
        parts = [(scores, labels)]
        if self._per_image:
            one = range(scores.shape[0])
            parts = [(scores[i : i + 1], labels[i : i + 1]) for i in one]
        losses = [self._of(F, *part) for part in parts]
        return F.add_n(*losses) / len(losses)

    def _of(self, F, scores, labels):
        labels = F.reshape(labels, (-1,))
        valid = labels >= 0
        if self.channels == 1:
            there = labels == 1
            margin = F.reshape(scores, (-1,)) * (2 * there - 1)
            return _jaccard(F, 1 - margin, there, valid, hinge=True)
        losses, counted = [], []
        for c in range(self.channels):
            there = labels == c
            score = F.reshape(F.slice_axis(scores, axis=1, begin=c, end=c + 1), (-1,))
            losses.append(_jaccard(F, F.abs(there - score), there, valid, hinge=False))
            counted.append(F.max(there) if self._present_only else F.max(valid))
        total = F.add_n(*[loss * one for loss, one in zip(losses, counted)])
        return total / F.maximum(F.add_n(*counted), 1)


def _jaccard(F, error, there, valid, hinge):
    """Errors in falling order times the growth of the Jaccard loss; what does not count comes last."""
    last = F.min(F.BlockGrad(error)) - 1
    key = F.where(valid, F.BlockGrad(error), F.broadcast_mul(last, F.ones_like(error)))
    order = F.argsort(key, is_ascend=False, dtype="int32")
    error, there, valid = (F.take(x, order) for x in (error, there, valid))
    if hinge:
        error = F.relu(error)
    # Counts in float64: float32 counts to 2 ** 24 only.
    there, valid = F.cast(there * valid, "float64"), F.cast(valid, "float64")
    truth = F.sum(there)
    intersection = F.broadcast_sub(truth, F.cumsum(there))
    union = F.broadcast_add(truth, F.cumsum(valid - there))
    loss = 1 - intersection / F.maximum(union, 1)
    growth = F.concat(F.slice_axis(loss, axis=0, begin=0, end=1), loss[1:] - loss[:-1], dim=0) * valid
    return F.sum(error * F.cast(F.BlockGrad(growth), error.dtype))


@LOSSES.register("balanced_cross_entropy")
class BalancedCrossEntropy(MapLoss):
    """Sigmoid cross-entropy of one logit, where the rare of the two answers weighs as much as the other:
    pixels of each side weigh the other's share of the batch (Xie and Tu, Holistically-Nested Edge Detection,
    ICCV 2015; the boundary loss of PIDNet).

    `twice` takes the sigmoid of the sigmoid, as the code of BiAlignNet's authors does: no answer is then
    more certain than 0.73.
    """

    logits = "one"
    arrays = 2

    def __init__(self, twice: bool = False):
        self._twice = twice

    def statistics(self, F, logits, target, valid):
        x = F.squeeze(logits, axis=1)
        loss = sigmoid_cross_entropy(F, F.sigmoid(x) if self._twice else x, target)
        yes = target * valid
        sides = (yes, valid - yes)
        sums = [F.sum(loss * side, axis=(1, 2)) for side in sides]
        counts = [F.sum(side, axis=(1, 2)) for side in sides]
        return F.stack(*sums, axis=1), F.stack(*counts, axis=1)

    def value(self, F, sums, counts):
        counts = F.sum(counts, axis=0)
        total = F.maximum(F.sum(counts), 1)
        other = F.reverse(counts, axis=0)
        return F.sum(F.sum(sums, axis=0) * other) / (total * total)


@LOSSES.register("presence")
class Presence(MapLoss):
    """Is a class in the image? Mean over images and classes of sigmoid cross-entropy, from logits that are
    alike all over an image: the semantic encoding loss (Zhang et al., CVPR 2018). Ignored pixels have no
    class."""

    outputs = ("presence",)
    arrays = 2

    def statistics(self, F, logits, target, valid):
        # Class by class: all at once would hold a map of every class.
        ids = range(self.channels) if self.channels > 1 else (1,)
        there = [F.max((target == c) * valid, axis=(1, 2)) for c in ids]
        return F.mean(logits, axis=(2, 3)), F.stack(*there, axis=1)

    def value(self, F, x, there):
        return F.mean(sigmoid_cross_entropy(F, x, there))


@LOSSES.register("point_cross_entropy")
class PointCrossEntropy(MapLoss):
    """-log softmax of the class of the pixel that a point lies in, the mean over the points of the batch that
    are not ignored (PointRend). The output's last two channels are the points' places.

    `over_all` divides by the number of all points, as mmsegmentation does: ignored ones count as losses of 0.
    """

    outputs = ("points",)
    logits = "many"
    arrays = 2

    def __init__(self, over_all: bool = False):
        self._over_all = over_all

    def statistics(self, F, logits, target, valid):
        points = F.BlockGrad(F.slice_axis(logits, axis=1, begin=-2, end=None))
        logits = F.slice_axis(logits, axis=1, begin=0, end=-2)
        # Classes count from 1 and what is ignored is 0, so that one look-up tells both.
        found = nearest_points(F, F.expand_dims((target + 1) * valid, axis=1), points)
        found = F.reshape(found, (0, -1))
        counts = found > 0
        log_p = F.pick(F.reshape(log_softmax(F, logits), (0, -3, 0)), F.relu(found - 1), axis=-1)
        divisors = F.ones_like(counts) if self._over_all else counts
        return F.sum(-log_p * counts, axis=1), F.sum(divisors, axis=1)

    def value(self, F, sums, counts):
        return F.sum(sums) / F.maximum(F.sum(counts), 1)

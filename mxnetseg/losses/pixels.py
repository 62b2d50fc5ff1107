"""Losses of a pixel. Formulas are built on log-softmax or on log-sigmoid, never on `SoftmaxOutput`, whose
backward pass ignores the incoming gradient."""

from __future__ import annotations

from typing import Sequence

import numpy as np

from mxnetseg.errors import ConfigError
from mxnetseg.losses.base import (
    LOSSES,
    PixelLoss,
    log_softmax,
    not_negative,
    one_hot,
    sigmoid_cross_entropy,
)


@LOSSES.register("cross_entropy")
class CrossEntropy(PixelLoss):
    """-log softmax of the true class; `label_smoothing` spreads that share of the target over all classes."""

    logits = "many"

    def __init__(self, label_smoothing: float = 0.0):
        self._smoothing = _share("label_smoothing", label_smoothing)
        self.minable = not self._smoothing

    def pixels(self, F, logits, target, weights=None):
        log_p = log_softmax(F, logits)
        loss = -F.pick(log_p, target, axis=-1)
        if self._smoothing:
            loss = (1 - self._smoothing) * loss - self._smoothing * F.mean(log_p, axis=-1)
        return loss


@LOSSES.register("binary_cross_entropy")
class BinaryCrossEntropy(PixelLoss):
    """Sigmoid cross-entropy of one logit against ids 0 and 1."""

    logits = "one"

    def __init__(self, label_smoothing: float = 0.0):
        self._smoothing = _share("label_smoothing", label_smoothing)
        self.minable = not self._smoothing

    def pixels(self, F, logits, target, weights=None):
        if self._smoothing:
            target = target * (1 - self._smoothing) + self._smoothing / 2
        return sigmoid_cross_entropy(F, F.squeeze(logits, axis=1), target)


@LOSSES.register("focal")
class Focal(PixelLoss):
    """Cross-entropy times (1 - p)^gamma: Focal Loss for Dense Object Detection (Lin et al., ICCV 2017)."""

    logits = "many"

    def __init__(self, gamma: float = 2.0):
        self._gamma = not_negative("gamma", gamma)

    def pixels(self, F, logits, target, weights=None):
        log_p = F.pick(log_softmax(F, logits), target, axis=-1)
        # The slope of x ** gamma at 0 is infinite below gamma 1; the floor keeps it finite.
        rest = F.maximum(1 - F.exp(log_p), 1e-6)
        return -(rest**self._gamma) * log_p


@LOSSES.register("boundary_aware_focal")
class BoundaryAwareFocal(PixelLoss):
    """Cross-entropy times exp(gamma (1 - p)) and a weight that grows towards the border of the segment
    (Orsic and Segvic, Efficient semantic segmentation with pyramidal fusion, Pattern Recognition 2021).

    `alphas[i]` weighs pixels whose distance to the next other class, in pixels, lies below `bins[i]` (the
    last one: beyond all). No gradient flows through the factor of p.
    """

    logits = "many"
    outputs = ("pixels",)

    def __init__(
        self,
        gamma: float = 0.5,
        bins: Sequence[float] = (16, 64, 128),
        alphas: Sequence[float] = (8, 4, 2, 1),
    ):
        self._gamma = not_negative("gamma", gamma)
        if len(alphas) != len(bins) + 1 or list(bins) != sorted(bins) or min(alphas) < 0:
            raise ConfigError(
                "loss 'boundary_aware_focal': bins must ascend, alphas be one more than they, none negative"
            )
        self._bins, self._alphas = np.asarray(bins, np.float64), np.asarray(alphas, np.float64)

    def host_weights(self, labels: np.ndarray, ignore_index: int) -> np.ndarray:
        """`(N, H, W)` labels to float64 weights; ignored pixels are another class to their neighbours."""
        import cv2

        weights = np.zeros(labels.shape, np.float64)
        for label, weight in zip(labels, weights):
            for c in np.unique(label[label != ignore_index]):
                there = label == c
                distance = cv2.distanceTransform(there.astype(np.uint8), cv2.DIST_L2, 5)[there]
                weight[there] = self._alphas[np.digitize(distance, self._bins)]
        return weights

    def pixels(self, F, logits, target, weights=None):
        log_p = F.pick(log_softmax(F, logits), target, axis=-1)
        focus = F.exp(self._gamma * (1 - F.BlockGrad(F.exp(log_p))))
        return -weights * focus * log_p


@LOSSES.register("sigmoid_cross_entropy")
class SigmoidCrossEntropy(PixelLoss):
    """Each class by itself: sigmoid cross-entropy against one-hot labels, the mean over the logits."""

    def pixels(self, F, logits, target, weights=None):
        return F.mean(sigmoid_cross_entropy(F, logits, one_hot(F, logits, target, self.channels)), axis=1)


@LOSSES.register("sigmoid_focal")
class SigmoidFocal(PixelLoss):
    """Each class by itself: sigmoid cross-entropy times (1 - p)^gamma, p of the right answer, times `alpha`
    where the class is there and 1 - `alpha` where it is not; the mean over the logits (Lin et al., ICCV
    2017)."""

    def __init__(self, gamma: float = 2.0, alpha: float = 0.5):
        self._gamma = not_negative("gamma", gamma)
        self._alpha = _share("alpha", alpha)

    def pixels(self, F, logits, target, weights=None):
        there = one_hot(F, logits, target, self.channels)
        loss = sigmoid_cross_entropy(F, logits, there)
        p = F.sigmoid(logits)
        wrong = p * (1 - there) + (1 - p) * there
        balance = self._alpha * there + (1 - self._alpha) * (1 - there)
        return F.mean(balance * F.maximum(wrong, 1e-12) ** self._gamma * loss, axis=1)


def _share(name, value):
    if not 0 <= value < 1:
        raise ConfigError(f"loss option {name} must be at least 0 and below 1, not {value!r}")
    return float(value)

"""Losses of a pixel, and the criterion that joins them over outputs, devices and pixels.

The loss of a batch is a mean over the valid pixels of the whole batch, however many devices and parts it is
computed in. To that end every device returns sums, or unreduced maps, and the weight of each pixel and output
is its head gradient: what multiplies a loss multiplies its gradient. All of it is built on log-softmax, not
on `SoftmaxOutput`, whose backward pass ignores the incoming gradient.

Losses of a pixel are registered blocks: `(N, C, H, W)` logits and `(N, H, W)` class ids (0 where the
pixel is ignored) to `(N, H, W)`.
"""

from __future__ import annotations

from typing import List, Optional, Sequence

import mxnet as mx
import numpy as np
from mxnet.gluon import HybridBlock

from mxnetseg.errors import ConfigError
from mxnetseg.nn.resize import for_training
from mxnetseg.registry import Registry

LOSSES = Registry("loss")


@LOSSES.register("cross_entropy")
class CrossEntropy(HybridBlock):
    """-log softmax of the true class; `label_smoothing` spreads that share of the target over all classes."""

    def __init__(self, label_smoothing=0.0):
        super().__init__()
        self._smoothing = label_smoothing

    def hybrid_forward(self, F, logits, target):
        log_p = _log_softmax(F, logits)
        loss = -F.pick(log_p, target, axis=-1)
        if self._smoothing:
            loss = (1 - self._smoothing) * loss - self._smoothing * F.mean(log_p, axis=-1)
        return loss


@LOSSES.register("focal")
class Focal(HybridBlock):
    """Cross-entropy times (1 - p)^gamma: Focal Loss for Dense Object Detection (Lin et al., ICCV 2017)."""

    def __init__(self, gamma=2.0):
        super().__init__()
        self._gamma = gamma

    def hybrid_forward(self, F, logits, target):
        log_p = F.pick(_log_softmax(F, logits), target, axis=-1)
        # The slope of x ** gamma at 0 is infinite below gamma 1; the floor keeps it finite.
        rest = F.maximum(1 - F.exp(log_p), 1e-6)
        return -(rest**self._gamma) * log_p


@LOSSES.register("binary_cross_entropy")
class BinaryCrossEntropy(HybridBlock):
    """Sigmoid cross-entropy of one logit against ids 0 and 1, written so that no exponential overflows."""

    def __init__(self, label_smoothing=0.0):
        super().__init__()
        self._smoothing = label_smoothing

    def hybrid_forward(self, F, logits, target):
        x = F.squeeze(logits, axis=1)
        if self._smoothing:
            target = target * (1 - self._smoothing) + self._smoothing / 2
        return F.relu(x) - x * target + F.Activation(-F.abs(x), act_type="softrelu")


class Presence(HybridBlock):
    """Is a class in the image? Mean over the classes of sigmoid cross-entropy, the same at every pixel of the
    image: (N, nclass, H, W) logits that are alike all over an image, target and validity (N, H, W) to
    (N, H, W). (The semantic encoding loss of Zhang et al., CVPR 2018.) So an image counts by its valid
    pixels, as it does in the other losses.
    """

    def __init__(self, nclass):
        super().__init__()
        self._ids = range(nclass) if nclass > 1 else (1,)

    def hybrid_forward(self, F, logits, target, valid):
        x = F.mean(logits, axis=(2, 3))
        # Class by class: all at once would hold a map of every class.
        there = [F.max((target == c) * valid, axis=(1, 2)) for c in self._ids]
        there = F.stack(*there, axis=1)
        loss = F.relu(x) - x * there + F.Activation(-F.abs(x), act_type="softrelu")
        return F.broadcast_like(F.reshape(F.mean(loss, axis=1), (-1, 1, 1)), target)


def _log_softmax(F, logits):
    """(N, C, H, W) to log-probabilities (N, H, W, C).

    With the classes last: forward and backward of cross-entropy take 95 ms of CPU that way, the transpose
    included, and 237 ms over axis 1 (4 x 19 x 256 x 512, one thread).
    """
    return F.log_softmax(F.transpose(logits, axes=(0, 2, 3, 1)), axis=-1)


class Criterion:
    """What a recipe minimizes.

    settings      the recipe's `loss` group.
    nclass        logits of the network.
    ignore_index  label value that counts nowhere.
    class_weights numbers, one per class (two for a binary network), or None.

    `graph(net)` is the block to train; `step(...)` runs it over a batch and leaves gradients behind.
    """

    def __init__(
        self, settings, nclass: int, ignore_index: int, class_weights: Optional[Sequence[float]] = None
    ):
        self.settings = settings
        self.nclass = nclass
        self.ignore_index = ignore_index
        self.class_weights = _checked_weights(class_weights, max(nclass, 2))
        self.mines = settings.ohem_threshold is not None
        self.pixel_loss = _pixel_loss(settings, nclass)
        if self.mines and (settings.name == "focal" or settings.label_smoothing):
            raise ConfigError(
                "loss.ohem_threshold selects pixels by the probability of their class: it takes plain "
                "cross_entropy, without label_smoothing"
            )

    def graph(self, net) -> HybridBlock:
        """A block over the network and this loss: one graph, so that nothing leaves it but the loss.

        `(images, labels)` to a vector with the summed loss of each output, or to one map (N, H, W) of
        losses per output where hard pixels are to be selected among all devices, and then one of the
        weights of the pixels, if classes have weights.
        """
        return _LossGraph(net, self)

    def output_weights(self, count: int) -> np.ndarray:
        """Weight of each of the network's `count` outputs, main first."""
        aux = self.settings.aux_weights
        if not isinstance(aux, list):
            aux = [aux] * (count - 1)
        elif len(aux) != count - 1:
            raise ConfigError(
                f"loss.aux_weights has {len(aux)} numbers but the network has {count - 1} auxiliary outputs"
            )
        return np.array([1.0, *aux], np.float32)

    def pixel_mass(self, labels: np.ndarray) -> float:
        """What the batch's sum is divided by: its valid pixels, or the sum of their class weights."""
        if self.class_weights is None:
            return float(np.count_nonzero(labels != self.ignore_index))
        counts = np.bincount(labels.reshape(-1), minlength=len(self.class_weights))
        return float(counts[: len(self.class_weights)] @ self.class_weights)

    def head_gradients(self, outputs: List, mass: float):
        """Gradients to send into `outputs` (one list per device), and the loss as a vector per device.

        Returns (gradients like outputs, values): the sum of `values` over devices is the weighted loss of
        each output. Nothing here waits for a device unless hard pixels have to be counted.
        """
        if self.mines:
            return self._mined(outputs)
        weights = self.output_weights(outputs[0][0].shape[0])
        scale = weights / max(mass, 1.0)
        gradients, values = [], []
        for (sums,) in outputs:
            gradient = mx.nd.array(scale, ctx=sums.context)
            gradients.append([gradient])
            values.append(sums.detach() * gradient)
        return gradients, values

    def _mined(self, outputs):
        """Online hard example mining over the pixels of all devices, for each output by itself.

        Weights of classes do not say which pixels are hard, only what those that are count.
        """
        weighted = self.class_weights is not None
        gradients = [[] for _ in outputs]
        values = [[] for _ in outputs]
        for k, weight in enumerate(self.output_weights(len(outputs[0]) - weighted)):
            maps = [device[k].detach() for device in outputs]
            chosen, kept = select_hard_pixels(maps, self.settings.ohem_threshold, self.settings.ohem_min_kept)
            if weighted:
                chosen = [mask * device[-1] for mask, device in zip(chosen, outputs)]
                kept = sum(float(mask.sum().asscalar()) for mask in chosen)
            for i, (loss, mask) in enumerate(zip(maps, chosen)):
                gradient = mask * (weight / kept if kept else 0.0)
                gradients[i].append(gradient)
                values[i].append((loss * gradient).sum())
        if weighted:
            for gradient, device in zip(gradients, outputs):
                gradient.append(mx.nd.zeros_like(device[-1]))
        return gradients, [mx.nd.concat(*v, dim=0) for v in values]


class _LossGraph(HybridBlock):
    def __init__(self, net, criterion):
        super().__init__()
        self.net = net
        self.pixel_loss = criterion.pixel_loss
        self._criterion = criterion
        self._maps = criterion.mines
        self._ignore = criterion.ignore_index
        self._weights = criterion.class_weights
        self._presence = getattr(net, "presence_outputs", ())
        if self._presence:
            if self._maps:
                raise ConfigError(
                    "loss.ohem_threshold selects pixels, and an auxiliary output of this network predicts "
                    "which classes are in the image: leave it out with model.aux=false, or the threshold"
                )
            self.presence = Presence(criterion.nclass)

    def __call__(self, *args):
        result = super().__call__(*args)
        return list(result) if isinstance(result, (list, tuple)) else [result]

    def hybrid_forward(self, F, images, labels):
        with for_training():
            outputs = self.net(images)
        self._criterion.output_weights(len(outputs))  # a wrong number of weights is told before training
        valid = labels != self._ignore
        target = labels * valid
        there = valid
        if self._weights is not None:
            table = sum(float(w) * (target == c) for c, w in enumerate(self._weights)) * valid
            if not self._maps:
                valid = table
        # Hard pixels are chosen by loss among valid ones: ignored ones are marked below any loss.
        losses = [
            (self.presence(logits, target, there) if k in self._presence else self.pixel_loss(logits, target))
            * valid
            for k, logits in enumerate(outputs)
        ]
        if self._maps:
            mark = labels == self._ignore
            maps = tuple(loss - mark for loss in losses)
            return maps if self._weights is None else (*maps, table)
        sums = [F.sum(loss) for loss in losses]
        return F.concat(*[F.reshape(s, shape=(1,)) for s in sums], dim=0)


def select_hard_pixels(maps: Sequence[mx.nd.NDArray], threshold: float, min_kept: int):
    """Masks of the hard pixels in loss maps, and how many there are.

    maps: per device (N, H, W) of -log p of the true class, negative where the pixel does not count. All
    devices are one set. Kept are pixels with p <= max(threshold, the `min_kept`-th smallest p); every
    valid one where there are no more than `min_kept`. (Shrivastava et al., CVPR 2016, in the form that
    segmentation uses.) Returns float32 masks like `maps` and the number of pixels kept.
    """
    least = -float(np.log(threshold))
    hard = sum(float((m >= least).sum().asscalar()) for m in maps)
    if hard < min_kept:
        # Only now the order statistic is needed, and with it all values on the host.
        values = np.concatenate([m.asnumpy().reshape(-1) for m in maps])
        values = values[values >= 0]
        if values.size <= min_kept:
            least = 0.0
        else:
            least = min(least, float(np.partition(values, values.size - min_kept)[-min_kept]))
    masks = [m >= least for m in maps]
    kept = sum(float(mask.sum().asscalar()) for mask in masks)
    return masks, kept


def median_frequency_weights(counts: np.ndarray) -> np.ndarray:
    """Class weights: median of the frequencies over the frequency (Eigen and Fergus, ICCV 2015).

    `counts`: (nclass,) pixels. A class that never occurs gets weight 1: nothing is known about it.
    """
    counts = np.asarray(counts, np.float64)
    present = counts > 0
    weights = np.ones(len(counts))
    if present.any():
        frequency = counts[present] / counts.sum()
        weights[present] = np.median(frequency) / frequency
    return weights


def _pixel_loss(settings, nclass):
    LOSSES.get(settings.name)
    if nclass == 1:
        if settings.name not in ("cross_entropy", "binary_cross_entropy"):
            raise ConfigError(f"loss {settings.name!r} needs two logits or more; model.nclass is 1")
        return BinaryCrossEntropy(settings.label_smoothing)
    if settings.name == "binary_cross_entropy":
        raise ConfigError(f"loss binary_cross_entropy is for one logit; the network has {nclass}")
    if settings.name == "focal":
        return Focal(settings.focal_gamma)
    return CrossEntropy(settings.label_smoothing)


def _checked_weights(weights, count):
    if weights is None:
        return None
    weights = np.asarray(weights, np.float64)
    if weights.shape != (count,):
        raise ConfigError(f"loss.class_weights has {weights.size} numbers but there are {count} classes")
    if not (np.isfinite(weights).all() and weights.min() >= 0 and weights.max() > 0):
        raise ConfigError("loss.class_weights must be finite, none negative, one at least above 0")
    return weights

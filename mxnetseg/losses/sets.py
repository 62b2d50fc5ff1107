"""The loss of a set of masks: which query answers for which class of a picture is decided by matching.

Everything here happens on the host, in NumPy: the matching (SciPy), the points that are compared, the loss
and its gradient, so that every engine minimizes the same numbers.
"""

from __future__ import annotations

import zlib
from typing import Any, Literal, Optional, Tuple

import numpy as np

from mxnetseg.errors import ConfigError
from mxnetseg.losses.base import LOSSES, MapLoss, not_negative


@LOSSES.register("mask_set")
class MaskSet(MapLoss):
    """Set prediction (MaskFormer, Mask2Former): each class of a picture is one query's to find.

    An output of masks `(N, Q, h, w)` is compared, together with the queries' classes before it
    `(N, Q, K + 1)`, the last being none. The cheapest assignment of a picture's classes to queries is found
    first; the loss is then the sum of three, each times its weight: cross-entropy of the classes of all
    queries, those without a class weighing `none_weight`, and for the masks of the assigned ones a loss of
    their pixels and 1 - Dice, means over the masks of the batch.

    `pixels`  `cross_entropy`, or `focal` (alpha 0.25, gamma 2).
    `points`  so many points of a picture are compared; drawn evenly for the matching, then of `oversample`
              times as many the share `important` where a mask is least certain, the others evenly. None: all
              pixels of the labels, for the matching all of the masks.
    """

    outputs = ("masks",)
    arrays = 3
    reads_before = True

    def __init__(
        self,
        class_weight: float = 2.0,
        pixel_weight: float = 5.0,
        dice_weight: float = 5.0,
        none_weight: float = 0.1,
        pixels: Literal["cross_entropy", "focal"] = "cross_entropy",
        points: Optional[int] = 12544,
        oversample: float = 3.0,
        important: float = 0.75,
    ) -> None:
        if points is not None and points < 1:
            raise ConfigError(f"loss 'mask_set': points must be at least 1, not {points}")
        if not 0 <= important <= 1 or oversample < 1:
            raise ConfigError(
                "loss 'mask_set': important must be from 0 to 1 and oversample at least 1, "
                f"not {important} and {oversample}"
            )
        self._weights = (
            not_negative("class_weight", class_weight),
            not_negative("pixel_weight", pixel_weight),
            not_negative("dice_weight", dice_weight),
        )
        self._none, self._focal = not_negative("none_weight", none_weight), pixels == "focal"
        self._points, self._oversample, self._important = points, oversample, important

    def statistics(self, F: Any, logits: Any, target: Any, valid: Any) -> Tuple:
        """`logits`: classes and masks. Gives both joined, labels (-1 if ignored), and a mask's plane."""
        classes, masks = logits
        joined = F.concat(classes, F.reshape(masks, (0, 0, -1)), dim=2)
        plane = F.squeeze(F.slice_axis(F.BlockGrad(masks), axis=1, begin=0, end=1), axis=1)
        # MXNet goes back from arrays that come from the network only.
        none = F.zeros_like(F.slice_axis(F.reshape(plane, (0, -1, 1)), axis=1, begin=0, end=1))
        return joined, F.broadcast_add(target + valid - 1, none), plane

    def value(self, F: Any, joined: Any, labels: Any, plane: Any) -> Any:
        found = _host(joined).astype(np.float64)
        loss, gradient = self.of_arrays(found, _host(labels), plane.shape[1:])
        rest = loss - float((found * gradient).sum())
        new = getattr(joined, "new_tensor", None)
        slope = new(gradient) if new else F.array(gradient, ctx=joined.context, dtype=joined.dtype)
        return F.sum(joined * slope) + rest

    def of_arrays(
        self, joined: np.ndarray, labels: np.ndarray, size: Tuple[int, int]
    ) -> Tuple[float, np.ndarray]:
        """The loss and its gradient. `joined` `(N, Q, K + 1 + h * w)`, float64; `labels` `(N, H, W)`, -1 if
        ignored; `size` `(h, w)`."""
        names = joined.shape[2] - size[0] * size[1]
        classes, masks = joined[:, :, :names], joined[:, :, names:]
        gradient = np.zeros_like(joined)
        chances = _softmax(classes)
        wanted = np.full(classes.shape[:2], names - 1)
        pairs = []
        # The same batch always draws the same points, so that a resumed run is the run that never stopped.
        random = np.random.RandomState(zlib.crc32(np.ascontiguousarray(labels)))
        for image, label in enumerate(labels):
            present = np.unique(label[label >= 0]).astype(np.int64)
            present = present[present < names - 1]
            if len(present):
                queries, order = self._match(chances[image], masks[image], size, label, present, random)
                wanted[image, queries] = present[order]
                pairs += [(image, query, present[k]) for query, k in zip(queries, order)]
        weight = np.where(wanted == names - 1, self._none, 1.0)
        weight /= weight.sum()
        own = np.take_along_axis(chances, wanted[:, :, None], axis=2)
        loss = self._weights[0] * float(-(weight * np.log(np.maximum(own[:, :, 0], 1e-300))).sum())
        np.put_along_axis(chances, wanted[:, :, None], own - 1, axis=2)
        gradient[:, :, :names] = self._weights[0] * weight[:, :, None] * chances
        for image, query, name in pairs:
            value, slope = self._mask(masks[image, query], size, labels[image], name, random)
            loss += value / len(pairs)
            gradient[image, query, names:] = slope / len(pairs)
        return loss, gradient

    def _match(self, chances, masks, size, label, present, random):
        """Queries and places in `present` of the cheapest assignment."""
        from scipy.optimize import linear_sum_assignment

        places = _grid(size) if self._points is None else random.uniform(size=(self._points, 2))
        logits = _read(masks, places, size)
        there = _labels_at(label, places, present)
        p, right = _sigmoid_and_loss(logits)
        if self._focal:
            wrong = 0.75 * p**2 * (right + logits)
            right = 0.25 * (1 - p) ** 2 * right
            pixel = right @ there.T + wrong @ (1 - there).T
        else:  # right * there + (right + logits) * (1 - there), without the second product
            pixel = (right + logits).sum(1)[:, None] - logits @ there.T
        dice = 1 - (2 * p @ there.T + 1) / (p.sum(1)[:, None] + there.sum(1) + 1)
        cost = -self._weights[0] * chances[:, present]
        cost += self._weights[1] * pixel / len(places) + self._weights[2] * dice
        return linear_sum_assignment(np.nan_to_num(cost, nan=1e30, posinf=1e30, neginf=-1e30))

    def _mask(self, mask, size, label, name, random):
        """Loss and gradient `(h * w,)` of an assigned mask."""
        places = self._compared(mask, size, label, random)
        taps, shares = _taps(places, size)
        x = (mask[taps] * shares).sum(0)
        t = _labels_at(label, places, np.array([name]))[0]
        p, right = _sigmoid_and_loss(x)
        count, pixel, slope = len(places), right + (1 - t) * x, p - t
        if self._focal:
            away = 1 - p * t - (1 - p) * (1 - t)
            alpha = 0.25 * t + 0.75 * (1 - t)
            slope = alpha * (slope * away**2 - pixel * 2 * away * (2 * t - 1) * p * (1 - p))
            pixel = alpha * away**2 * pixel
        both, total = 2 * (p * t).sum() + 1, p.sum() + t.sum() + 1
        dice_slope = (both - 2 * t * total) / total**2 * p * (1 - p)
        loss = self._weights[1] * pixel.mean() + self._weights[2] * (1 - both / total)
        slope = self._weights[1] * slope / count + self._weights[2] * dice_slope
        spread = np.bincount(taps.ravel(), (slope * shares).ravel(), minlength=mask.size)
        return float(loss), spread

    def _compared(self, mask, size, label, random):
        if self._points is None:
            return _grid(label.shape)
        drawn = random.uniform(size=(int(self._points * self._oversample), 2))
        taps, shares = _taps(drawn, size)
        certain = np.abs((mask[taps] * shares).sum(0))
        count = int(self._points * self._important)
        least = np.argpartition(certain, min(count, len(drawn) - 1))[:count]
        return np.concatenate([drawn[least], random.uniform(size=(self._points - count, 2))])


def _host(x: Any) -> np.ndarray:
    return x.asnumpy() if hasattr(x, "asnumpy") else x.detach().cpu().numpy()


def _grid(size: Tuple[int, int]) -> np.ndarray:
    """The centres of all pixels, (x, y) in fractions of the picture."""
    rows, columns = ((np.arange(side) + 0.5) / side for side in size)
    return np.stack([np.tile(columns, len(rows)), np.repeat(rows, len(columns))], 1)


def _taps(places: np.ndarray, size: Tuple[int, int]) -> Tuple[np.ndarray, np.ndarray]:
    """`(4, places)`: the pixels of a map of `size` around each place, as flat indices, and their shares."""
    (columns, across), (rows, down) = (_neighbours(places[:, k], size[1 - k]) for k in (0, 1))
    taps = rows[:, None] * size[1] + columns
    return taps.reshape(4, -1), (down[:, None] * across).reshape(4, -1)


def _neighbours(places: np.ndarray, side: int) -> Tuple[np.ndarray, np.ndarray]:
    """`(2, places)`: the pixels of a line of `side` around each place, and their shares; none outside."""
    pixels = places * side - 0.5
    first = np.floor(pixels)
    far = pixels - first
    first = first.astype(np.int64)
    before, after = first >= 0, first < side - 1
    return np.stack([first * before, (first + 1) * after]), np.stack([(1 - far) * before, far * after])


def _labels_at(label: np.ndarray, places: np.ndarray, names: np.ndarray) -> np.ndarray:
    """`(len(names), places)`: how much of each class there is at each place."""
    taps, shares = _taps(places, label.shape)
    return ((label.ravel()[taps] == names[:, None, None]) * shares).sum(1)


def _read(masks: np.ndarray, places: np.ndarray, size: Tuple[int, int]) -> np.ndarray:
    """`(Q, places)`: masks `(Q, h * w)` at the places, as a product with a sparse matrix."""
    from scipy.sparse import csr_matrix

    taps, shares = _taps(places, size)
    starts = np.arange(len(places) + 1) * len(taps)
    sampled = csr_matrix((shares.T.ravel(), taps.T.ravel(), starts), (len(places), masks.shape[1]))
    return np.ascontiguousarray((sampled @ masks.T).T)


def _sigmoid_and_loss(x: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Chances, and what a pixel costs that is of the mask; one that is not costs `x` more."""
    small = np.exp(-np.abs(x))
    return np.where(x < 0, small, 1) / (1 + small), np.maximum(-x, 0) + np.log1p(small)


def _softmax(x: np.ndarray) -> np.ndarray:
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)

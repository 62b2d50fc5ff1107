"""From a picture of any size to its label map by a stated protocol, on any engine and any of its devices.

Scores of every view (a scale, plain or mirrored, whole or in windows) are brought back to the picture's own
size bilinearly and averaged; the label of a pixel is its best class. What is averaged, and everything else
that a number depends on, is the `Protocol`'s.

On the CPU scores are read and reduced with NumPy and OpenCV (`mxnetseg.predict.bands`). On a GPU whole-image
maps are reduced on the device and only the label map is transferred.
"""

from __future__ import annotations

import math
from typing import Any, Iterable, Iterator, List, Optional, Sequence, Tuple

import numpy as np

from mxnetseg.compute.inference import DeviceScores, Inference
from mxnetseg.data.datasets.base import IMAGENET_MEAN, IMAGENET_STD
from mxnetseg.data.headers import VARIABLE, most_pixels
from mxnetseg.errors import ConfigError
from mxnetseg.predict.bands import RowResizer, most_probable, to_probabilities
from mxnetseg.predict.order import in_order
from mxnetseg.predict.scan import scan
from mxnetseg.predict.views import Normalizer, Picture, Size, lay_windows, scaled_size
from mxnetseg.recipe.protocol import Protocol

DEVICE_MAP_BYTES = 1 << 30  # a larger map of scores is reduced on the host


class Predictor:
    """Runs a segmentation network on uint8 pictures of any size. Safe to call from several threads.

    Parameters
    ----------
    inference : Inference
        What computes the scores.
    protocol : Protocol, optional
        Default: the library's own, whole pictures at one scale.
    mean, std : sequence of float
        Of the training pictures per channel, in units of the full range 0 .. 1.
    reduce : {"auto", "host", "device"}
        Where scores are averaged; auto is what the engine says is faster.
    """

    def __init__(
        self,
        inference: Inference,
        protocol: Optional[Protocol] = None,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        reduce: str = "auto",
    ):
        if len(mean) != len(std) or not all(s > 0 for s in std):
            raise ConfigError(f"mean {list(mean)} and std {list(std)} must have a value per channel, std > 0")
        if reduce not in ("auto", "host", "device"):
            raise ConfigError(f"reduce {reduce!r} is not auto, host or device")
        self.inference = inference
        self.protocol = (protocol or Protocol()).resolved()
        self.reduce = reduce
        self.nclass: Optional[int] = None  # number of logits, known after the first forward pass
        self._normalizer = Normalizer(mean, std)
        self._modes_used = set()  # of mode auto, so that `describe` says what was done

    def predict(self, image: np.ndarray, device: int = 0) -> np.ndarray:
        """Label map (H, W) of a uint8 picture (H, W, C): uint8, or int16 for more than 256 classes."""
        size = image.shape[:2]
        if self._reduces_on_device(size, device):
            return self._predict_on_device(image, device)
        scale, average = self.protocol.scales[0], self.protocol.average
        if self._views == 1 and self._scaled(size, scale) == size:
            labels = None
            for top, band, are_logits in self._bands(image, scale, False, device):
                if labels is None:
                    labels = np.empty(size, np.uint8 if band.shape[0] <= 256 else np.int16)
                labels[top : top + band.shape[1]] = most_probable(band, self._limit(are_logits))
            return labels
        are_logits = average == "logits" or (average == "view_probabilities" and self._views == 1)
        return most_probable(self.scores(image, device), self._limit(are_logits))

    def foreground(self, image: np.ndarray, device: int = 0) -> np.ndarray:
        """Probability of foreground, float32 (H, W), of a picture, by a network of one sigmoid logit;
        ConfigError for another one."""
        scores = self.scores(image, device)
        if self.nclass != 1:
            raise ConfigError(
                f"a threshold is of one sigmoid logit, and this network has {self.nclass} classes"
            )
        average = self.protocol.average
        are_logits = average == "logits" or (average == "view_probabilities" and self._views == 1)
        return to_probabilities(scores)[0] if are_logits else scores[0]

    def scores(self, image: np.ndarray, device: int = 0) -> np.ndarray:
        """What labels are decided by: float32 (nclass, H, W) of a uint8 picture (H, W, C).

        Mean probabilities, mean logits or mean exponentials as the protocol averages. A single view gives
        logits under `view_probabilities`, whose softmax changes no label.
        """
        size, protocol = image.shape[:2], self.protocol
        per_view = protocol.average == "view_probabilities" and self._views > 1
        total = None
        for scale in protocol.scales:
            scaled = self._scaled(size, scale)
            for mirrored in self._passes:
                view, resizer = None, None
                for top, band, are_logits in self._bands(image, scale, mirrored, device):
                    if are_logits and protocol.average == "probabilities":
                        band = to_probabilities(band)
                    if view is None:
                        shape = (band.shape[0], *size)
                        total = np.zeros(shape, np.float32) if total is None else total
                        view = np.zeros(shape, np.float32) if per_view else total
                        resizer = RowResizer(scaled, view, protocol.align_corners and self._whole(scaled))
                    resizer.add(top, band)
                if per_view:
                    total += to_probabilities(view)
        if self._views > 1:
            total *= np.float32(1 / self._views)
        return total

    def stream(self, samples: Iterable[Any]) -> Iterator[Tuple[Any, np.ndarray]]:
        """Pairs (sample, label map) in the order of `samples`, whose `.image` is predicted.

        Several devices work on different pictures at the same time; what is computed for a picture does not
        depend on how many there are.
        """
        return in_order(samples, self._predict_sample, len(self.inference.devices))

    def _predict_sample(self, sample: Any, device: int) -> np.ndarray:
        return self.predict(sample.image, device)

    def describe(self) -> str:
        """The protocol in words, for printing beside a score; of mode `auto` what was done so far."""
        return self.protocol.describe(next(iter(self._modes_used)) if len(self._modes_used) == 1 else None)

    # ----- geometry

    @property
    def _passes(self) -> Tuple[bool, ...]:
        """Whether the picture is mirrored, for each time that windows are laid over it."""
        return (False, True) if self.protocol.flip and self.protocol.mirror == "picture" else (False,)

    @property
    def _views(self) -> int:
        return len(self.protocol.scales) * len(self._passes)

    def _scaled(self, size: Size, scale: float) -> Size:
        height, width = scaled_size(self.protocol, size, scale)
        if height * width > max(most_pixels(), size[0] * size[1]):
            raise ConfigError(
                f"scale {scale:g} makes pictures of {width} x {height} pixels; {most_pixels()} are the most, "
                f"or what {VARIABLE} says"
            )
        return height, width

    def _slides(self, scaled: Size) -> bool:
        if self.protocol.mode != "auto":
            return self.protocol.mode == "slide"
        slides = scaled[0] * scaled[1] > self.protocol.pixel_budget
        self._modes_used.add("slide" if slides else "whole")
        return slides

    def _whole(self, scaled: Size) -> bool:
        # SFSegNets resizes maps of windows with OpenCV, whose corners are not aligned.
        return self.protocol.windows != "sfsegnets" or not self._slides(scaled)

    def _limit(self, are_logits: bool) -> float:
        threshold = self.protocol.threshold
        return math.log(threshold / (1 - threshold)) if are_logits else threshold

    # ----- host path

    def _bands(self, image, scale, mirrored, device) -> Iterator[Tuple[int, np.ndarray, bool]]:
        protocol = self.protocol
        scaled = self._scaled(image.shape[:2], scale)
        picture = Picture(image, scaled, protocol, self._normalizer)
        windows = lay_windows(protocol, scaled, scale, self._slides(scaled))
        copies = (False, True) if protocol.flip and protocol.mirror == "window" else (mirrored,)
        return scan(picture, windows, protocol, copies, lambda inputs: self._scores(inputs, device).read())

    def _scores(self, inputs: List[np.ndarray], device: int):
        scores = self.inference.scores(inputs[0][None] if len(inputs) == 1 else np.stack(inputs), device)
        self.nclass = scores.nclass
        return scores

    # ----- device path

    def _reduces_on_device(self, size: Size, device: int) -> bool:
        wanted = self.reduce == "device" or (
            self.reduce == "auto" and self.inference.reduces_on_device(device)
        )
        if not wanted or self.protocol.average == "exponentials":
            return False
        sizes = [self._scaled(size, scale) for scale in self.protocol.scales]
        largest = max(height * width for height, width in [*sizes, size])
        fits = 4 * (self.nclass or 1) * largest <= DEVICE_MAP_BYTES
        return fits and not any(self._slides(scaled) for scaled in sizes)

    def _predict_on_device(self, image: np.ndarray, device: int) -> np.ndarray:
        size, protocol = image.shape[:2], self.protocol
        states = (False, True) if protocol.flip else (False,)
        views = len(protocol.scales) * len(states)
        total: Optional[DeviceScores] = None
        for scale in protocol.scales:
            scaled = self._scaled(size, scale)
            early = protocol.average == "probabilities" and (views > 1 or scaled != size)
            late = protocol.average == "view_probabilities" and views > 1
            picture = Picture(image, scaled, protocol, self._normalizer)
            windows = lay_windows(protocol, scaled, scale, slides=False)
            for mirrored in states:
                inputs = [picture.view(windows.rows[0], windows.columns[0], mirrored, windows.inputs)]
                scores = self._scores(inputs, device).cut(*scaled)
                scores = scores.probabilities() if early else scores
                scores = scores.mirrored() if mirrored else scores
                scores = scores if scaled == size else scores.resized(*size, protocol.align_corners)
                scores = scores.probabilities() if late else scores
                total = scores if total is None else total.plus(scores)
        labels = total.labels(self._limit(not early and not late) * views)[0]
        return labels.astype(np.uint8 if total.nclass <= 256 else np.int16, copy=False)

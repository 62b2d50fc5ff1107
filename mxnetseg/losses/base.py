"""What a loss is: facts that a recipe is checked against, and formulas over an array namespace.

Nothing here or in the modules of losses imports an array library: a formula takes it as its first argument
`F` (`mx.nd` or `mx.sym`), so that facts, options and defaults are read without one, and a second engine
builds the same losses from the same classes.

To add a loss, write one of the two classes below and register it; a recipe names it by that name and gives
its constructor's keywords as `options`.
"""

from __future__ import annotations

from typing import Optional, Tuple

from mxnetseg.errors import ConfigError
from mxnetseg.registry import Registry

LOSSES = Registry("loss")


class Loss:
    """Facts of every loss.

    logits    `one` (a sigmoid for a yes or no), `many` (a softmax over classes) or `any`.
    outputs   kinds of network outputs it is for: `pixels` (the class of each pixel), `presence` (which
              classes are in the image), `detail` and `boundary` (the maps of `losses.targets`), `points` (the
              class of single points), `masks` (of queries whose classes, `queries`, are the output before).
    minable   whether its map is -log p of the true class, from which hard examples can be chosen.
    """

    logits = "any"
    outputs: Tuple[str, ...] = ("pixels", "detail", "boundary")
    minable = False
    channels = 0  # logits of the output that it is for; set before a formula is used
    # `host_weights(labels, ignore_index)`: an `(N, H, W)` NumPy map that the loss needs and no graph
    # can compute.
    host_weights: Optional[object] = None


class PixelLoss(Loss):
    """A number for each pixel; their weighted mean over the pixels that count is minimized."""

    def pixels(self, F, logits, target, weights=None):
        """`(N, C, H, W)` logits and `(N, H, W)` class ids (0 where the pixel is ignored) to `(N, H, W)`.

        `weights` is what `host_weights` made of the same labels, given to losses that have it.
        """
        raise NotImplementedError


class MapLoss(Loss):
    """A number for the whole batch that is no mean over pixels.

    Devices and accumulated parts compute `statistics`, and the value follows from those of all images
    together: so it is that of the whole batch, however the batch was split.
    """

    arrays = 1  # how many arrays `statistics` gives
    reads_before = False  # whether `logits` is a pair: the output before, and its own

    def statistics(self, F, logits, target, valid) -> Tuple:
        """`(N, C, H, W)` logits, `(N, H, W)` class ids and validity (1 or 0) to arrays whose first axis
        is the image; gradients flow back through the first of them."""
        raise NotImplementedError

    def value(self, F, *statistics):
        """The loss, one element, from the statistics of all images of the batch (arrays, not symbols)."""
        raise NotImplementedError


def log_softmax(F, logits):
    """`(N, C, H, W)` to log-probabilities `(N, H, W, C)`.

    With the classes last: forward and backward of cross-entropy take 95 ms of CPU that way, the transpose
    included, and 237 ms over axis 1 (4 x 19 x 256 x 512, one thread).
    """
    return F.log_softmax(F.transpose(logits, axes=(0, 2, 3, 1)), axis=-1)


def sigmoid_cross_entropy(F, x, target):
    """-log of the sigmoid of the right sign, element by element, written so that no exponential overflows."""
    return F.relu(x) - x * target + F.Activation(-F.abs(x), act_type="softrelu")


def one_hot(F, logits, target, channels):
    """`(N, H, W)` class ids as 1 and 0 like the `(N, C, H, W)` logits; of one logit, the id itself."""
    planes = F.expand_dims(target, axis=1)
    if channels == 1:
        return planes
    ids = F.reshape(F.contrib.arange_like(F.BlockGrad(logits), axis=1), (1, -1, 1, 1))
    return F.broadcast_equal(planes, ids)


def nearest_points(F, planes, points):
    """`(N, C, H, W)` at points `(N, 2, 1, P)`, x and y in [0, 1] from the outer edges: the value of the pixel
    that each lies in, `(N, C, 1, P)`. For maps of whole numbers up to a few thousand."""
    grids = []
    for place, axis in zip(F.split(points, num_outputs=2, axis=1), (3, 2)):
        side = F.reshape(F.max(F.contrib.arange_like(planes, axis=axis)) + 1, (1, 1, 1, 1))
        index = F.broadcast_minimum(F.floor(F.broadcast_mul(place, side)), side - 1)
        grids.append(F.broadcast_div(2 * index, F.broadcast_maximum(side - 1, F.ones_like(side))) - 1)
    return F.round(F.BilinearSampler(planes, F.concat(*grids, dim=1)))


def not_negative(name: str, value: float) -> float:
    """The value of a loss's option as a float; ConfigError below 0."""
    if not value >= 0:
        raise ConfigError(f"loss option {name} must not be negative, got {value!r}")
    return float(value)

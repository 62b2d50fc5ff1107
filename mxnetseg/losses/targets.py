"""What an output is compared with: made of the label map in the graph, for whatever size it has.

A target is called with `(F, labels, ignore_index)`: `(N, H, W)` labels to `(target, valid)` of the same
shape, class ids (0 where they do not count) and 1 or 0. `F` is the array namespace (`mx.nd`, `mx.sym`).
"""

from __future__ import annotations

from mxnetseg.errors import ConfigError
from mxnetseg.registry import Registry

TARGETS = Registry("target")


@TARGETS.register("classes")
class Classes:
    """The label map itself."""

    def __call__(self, F, labels, ignore_index):
        valid = labels != ignore_index
        return labels * valid, valid


@TARGETS.register("boundary")
class Boundary:
    """1 within a square of `width` pixels around a border between two classes, else 0; ignored pixels have no
    border and every pixel counts (PIDNet)."""

    def __init__(self, width: int = 4):
        if width < 1:
            raise ConfigError(f"target 'boundary': width must be at least 1 pixel, not {width}")
        self._width = width

    def __call__(self, F, labels, ignore_index):
        planes = F.expand_dims(labels, axis=1)
        # The pixel above, to the right, below right and below left.
        neighbours = [_shifted(F, planes, *by, ignore_index) for by in ((-1, 0), (0, 1), (1, 1), (1, -1))]
        inside = planes != ignore_index
        thin = [F.broadcast_not_equal(planes, one) * inside * (one != ignore_index) for one in neighbours]
        thin = F.add_n(*thin) > 0
        before, after = self._width // 2, self._width - 1 - self._width // 2
        padded = F.pad(thin, mode="constant", pad_width=(0, 0, 0, 0, before, after, before, after))
        wide = F.Pooling(padded, kernel=(self._width, self._width), stride=(1, 1), pool_type="max")
        return F.reshape(F.BlockGrad(wide), (0, -3, 0)), F.ones_like(labels)


@TARGETS.register("contour")
class Contour:
    """1 within a square of `reach` pixels around the outlines of the classes' regions, else 0; every pixel
    counts (BiAlignNet).

    An outline is of pixels with another class, or an ignored one, above, below or beside them: what OpenCV
    finds and draws with lines of width 2. `frame` pixels along the border of the image are 0.
    """

    def __init__(self, reach: int = 1, frame: int = 3):
        if reach < 0 or frame < 1:
            raise ConfigError(
                f"target 'contour': reach must be 0 or more and frame 1 or more, not {reach} and {frame}"
            )
        self._reach, self._frame = reach, frame

    def __call__(self, F, labels, ignore_index):
        planes = F.expand_dims(labels, axis=1)
        # Outside the image lies another class; the frame covers what that marks.
        around = [_shifted(F, planes, *by, ignore_index) for by in ((-1, 0), (1, 0), (0, -1), (0, 1))]
        differs = F.add_n(*[F.broadcast_not_equal(planes, one) for one in around]) > 0
        side = 2 * self._reach + 1
        wide = F.Pooling(
            differs * (planes != ignore_index),
            kernel=(side, side),
            pad=(self._reach, self._reach),
            stride=(1, 1),
            pool_type="max",
        )
        inner = F.slice(
            wide,
            begin=(None, None, self._frame, self._frame),
            end=(None, None, -self._frame, -self._frame),
        )
        edge = F.pad(inner, mode="constant", constant_value=0, pad_width=(0, 0, 0, 0) + 4 * (self._frame,))
        return F.reshape(F.BlockGrad(edge), (0, -3, 0)), F.ones_like(labels)


@TARGETS.register("detail")
class Detail:
    """1 where the Laplacian of the label map is positive at stride 1 or 2, else 0; every pixel counts and the
    image ends at a border (STDC-Seg).

    The label map is taken as numbers, ignored pixels included. The published form adds stride 4 with a weight
    of 0.1 and a threshold of 0.1 over the sum, which in float32 it never passes by itself.
    """

    def __call__(self, F, labels, ignore_index):
        planes = F.expand_dims(labels, axis=1)
        edges = []
        for stride in (1, 2):
            window = dict(kernel=(3, 3), pad=(1, 1), stride=(stride, stride), pool_type="sum")
            centre = F.slice(planes, begin=(None,) * 4, end=(None,) * 4, step=(1, 1, stride, stride))
            found = 9 * centre - F.Pooling(planes, **window) > 0.1
            if stride > 1:
                # The nearest of the smaller map, whatever the parity of the sides.
                found = F.repeat(F.repeat(found, stride, axis=2), stride, axis=3)
                found = F.slice_like(found, planes, axes=(2, 3))
            edges.append(found)
        edge = F.BlockGrad(F.broadcast_maximum(*edges))
        return F.reshape(edge, (0, -3, 0)), F.ones_like(labels)


def _shifted(F, planes, down, right, outside):
    """`(N, 1, H, W)` where each pixel has the value of the one `down` and to the `right`, or `outside`."""
    padded = F.pad(planes, mode="constant", constant_value=outside, pad_width=(0, 0, 0, 0, 1, 1, 1, 1))
    begin = (None, None, 1 + down, 1 + right)
    end = (None, None, down - 1 or None, right - 1 or None)
    return F.slice(padded, begin=begin, end=end)

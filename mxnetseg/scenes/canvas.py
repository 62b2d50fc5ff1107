"""Camera, light and the two pictures that are painted together: colours and train ids.

World coordinates are metres: x to the right of the middle of the road, y up from the ground, z ahead of
the camera. The road bends: its middle lies at `bend(z)` for depth z. Colours are RGB in 0..255.
"""

from __future__ import annotations

import random
from typing import Optional, Sequence, Tuple

import cv2
import numpy as np

Colour = Tuple[float, float, float]
Point = Tuple[float, float]

ROAD, SIDEWALK, BUILDING, WALL, FENCE, POLE, LIGHT, SIGN, VEGETATION, TERRAIN = range(10)
SKY, PERSON, RIDER, CAR, TRUCK, BUS, TRAIN, MOTORCYCLE, BICYCLE = range(10, 19)
IGNORE = 255

# Corners of a wheel of radius 1, in order.
_EIGHTHS = ((1.0, 0.0), (0.9239, 0.3827), (0.7071, 0.7071), (0.3827, 0.9239))
CIRCLE = tuple(
    corner
    for turn in range(4)
    for corner in (((u, v), (-v, u), (-u, -v), (v, -u))[turn] for u, v in _EIGHTHS)
)

# Polygons are drawn with 3 binary places of a pixel.
_SHIFT = 3
_UNIT = 1 << _SHIFT
# Nothing is projected from nearer than this, metres.
NEAR = 1.2


class Light:
    """Time of day and weather: what they do to a colour at a depth."""

    def __init__(self, ambient: Colour, haze: Colour, haze_depth: float, sun_side: int):
        # `ambient` multiplies colours; at `haze_depth` metres half of what arrives is haze.
        self.ambient = ambient
        self.haze = haze
        self.haze_depth = haze_depth
        # -1: the sun stands on the left and lights what faces left; +1 right; 0 overcast.
        self.sun_side = sun_side

    def __call__(self, colour: Colour, z: float, shade: float = 1.0) -> Tuple[int, int, int]:
        """`colour` as it arrives from depth `z` (metres), `shade` multiplying it first."""
        kept = self.haze_depth / (self.haze_depth + z)
        rest = 1.0 - kept
        kept *= shade
        red, green, blue = colour
        (ambient_r, ambient_g, ambient_b), (haze_r, haze_g, haze_b) = self.ambient, self.haze
        return (
            min(255, int(red * ambient_r * kept + haze_r * rest + 0.5)),
            min(255, int(green * ambient_g * kept + haze_g * rest + 0.5)),
            min(255, int(blue * ambient_b * kept + haze_b * rest + 0.5)),
        )

    def facing(self, side: int) -> float:
        """Brightness of a face that looks to `side` (-1 left, +1 right, 0 at the camera)."""
        if self.sun_side == 0:
            return 0.92 if side else 1.0
        return (0.95, 1.15, 0.72)[0 if side == 0 else 1 if side == self.sun_side else 2]


class Canvas:
    """Image uint8 (h, w, 3) RGB and label uint8 (h, w), with the camera that projects onto them."""

    def __init__(
        self,
        size: Tuple[int, int],
        light: Light,
        horizon: float,
        camera: Tuple[float, float],
        bend: Tuple[float, float],
    ):
        """`horizon`: share of the height; `camera`: (x, height) in metres; `bend`: see `bend_at`."""
        self.height, self.width = size
        self.image = np.zeros((*size, 3), np.uint8)
        self.label = np.full(size, IGNORE, np.uint8)
        self.light = light
        self.focal = 0.95 * max(size)
        self.centre = self.width / 2.0
        self.horizon = horizon * self.height
        self.camera_x, self.camera_y = camera
        self.bend = bend

    def scale(self, z: float) -> float:
        """Pixels per metre at depth z."""
        return self.focal / z

    def bend_at(self, z: float) -> float:
        """Where the middle of the road lies at depth z, metres."""
        return self.bend[0] * z + self.bend[1] * z * z

    def project(self, x: float, y: float, z: float) -> Point:
        """World -> pixels (x, y)."""
        if z < NEAR:
            z = NEAR
        scale = self.focal / z
        shift = self.bend[0] * z + self.bend[1] * z * z
        return (
            self.centre + (x + shift - self.camera_x) * scale,
            self.horizon + (self.camera_y - y) * scale,
        )

    def paint(self, points: Sequence[Point], colour: Sequence[int], label: Optional[int]) -> None:
        """Fill a polygon of pixel coordinates; `label` None leaves the label map alone (details)."""
        corners = self._fixed(points)
        cv2.fillPoly(self.image, [corners], colour, cv2.LINE_AA, _SHIFT)
        if label is not None:
            cv2.fillPoly(self.label, [corners], label, cv2.LINE_8, _SHIFT)

    def paint_label(self, points: Sequence[Point], label: int) -> None:
        """Fill a polygon in the label map only, for what the picture shows through."""
        cv2.fillPoly(self.label, [self._fixed(points)], label, cv2.LINE_8, _SHIFT)

    def darken(self, polygons: Sequence[Tuple[Sequence[Point], int]]) -> None:
        """Leave of the ground under each polygon so many 255ths of its light."""
        mask = np.full(self.label.shape, 255, np.uint8)
        for points, kept in polygons:
            cv2.fillPoly(mask, [self._fixed(points)], kept, cv2.LINE_AA, _SHIFT)
        top = min(max(0, int(self.horizon)), self.height - 1)
        part = self.image[top:]
        mask = cv2.blur(mask[top:], (3, 3))
        self.image[top:] = cv2.multiply(part, cv2.merge([mask, mask, mask]), scale=1 / 255.0)

    def paint_quads(self, quads: Sequence[Sequence[Point]], colour: Sequence[int]) -> None:
        """Fill four-cornered polygons in one colour without a label: windows, markings.

        One call for all: a call costs more than the pixels. They must not overlap, since fillPoly leaves
        a hole where an even number of outlines lie over each other.
        """
        if quads:
            corners = self._fixed(quads)
            cv2.fillPoly(self.image, list(corners), colour, cv2.LINE_AA, _SHIFT)

    def disc(self, centre: Point, radius: float, colour: Sequence[int], label: Optional[int]) -> None:
        """A filled circle, pixels."""
        at = self._fixed([centre])[0]
        at = (int(at[0]), int(at[1]))
        size = max(1, int(radius * _UNIT))
        cv2.circle(self.image, at, size, colour, -1, cv2.LINE_AA, _SHIFT)
        if label is not None:
            cv2.circle(self.label, at, size, label, -1, cv2.LINE_8, _SHIFT)

    def stroke(
        self,
        points: Sequence[Point],
        width: float,
        colour: Sequence[int],
        label: Optional[int],
        closed: bool = False,
    ) -> None:
        """A line of `width` pixels through points."""
        corners = self._fixed(points)
        thickness = max(1, int(width + 0.5))
        cv2.polylines(self.image, [corners], closed, colour, thickness, cv2.LINE_AA, _SHIFT)
        if label is not None:
            cv2.polylines(self.label, [corners], closed, label, thickness, cv2.LINE_8, _SHIFT)

    @staticmethod
    def _fixed(points: Sequence) -> np.ndarray:
        """Pixels to OpenCV's fixed point. Nothing is farther off than 32 bits hold, see NEAR."""
        return (np.array(points, np.float64) * _UNIT + 0.5).astype(np.int32)


class Sprite:
    """A flat upright thing at depth z: local metres (u to the right, v up) -> pixels."""

    def __init__(self, canvas: Canvas, x: float, z: float, mirror: bool = False):
        self.canvas = canvas
        self.z = z
        self.scale = canvas.scale(z)
        self.origin = canvas.project(x, 0.0, z)
        self.sign = -1.0 if mirror else 1.0
        # Below this the details of a thing are not worth drawing.
        self.fine = self.scale > 7.0

    def at(self, u: float, v: float) -> Point:
        return (
            self.origin[0] + self.sign * u * self.scale,
            self.origin[1] - v * self.scale,
        )

    def paint(
        self,
        points: Sequence[Point],
        colour: Colour,
        label: Optional[int],
        shade: float = 1.0,
    ) -> None:
        self.canvas.paint([self.at(u, v) for u, v in points], self.canvas.light(colour, self.z, shade), label)

    def box(
        self,
        left: float,
        right: float,
        bottom: float,
        top: float,
        colour: Colour,
        label: Optional[int],
        shade: float = 1.0,
    ) -> None:
        self.paint([(left, bottom), (right, bottom), (right, top), (left, top)], colour, label, shade)

    def disc(
        self,
        u: float,
        v: float,
        radius: float,
        colour: Colour,
        label: Optional[int],
        shade: float = 1.0,
    ) -> None:
        self.canvas.disc(self.at(u, v), radius * self.scale, self.canvas.light(colour, self.z, shade), label)

    def stroke(
        self,
        points: Sequence[Point],
        width: float,
        colour: Colour,
        label: Optional[int],
        shade: float = 1.0,
    ) -> None:
        """A line of `width` metres."""
        self.canvas.stroke(
            [self.at(u, v) for u, v in points],
            width * self.scale,
            self.canvas.light(colour, self.z, shade),
            label,
        )


class Dice:
    """Random choices, from a generator of its own: the same on every machine and Python."""

    def __init__(self, seed: int):
        # Python's generator: single draws from NumPy's cost twenty times as much.
        self.generator = random.Random(seed)
        self.random = self.generator.random  # uniform in [0, 1)

    def fork(self) -> Dice:
        """Dice of their own for one thing, so that what it draws does not shift what follows."""
        return Dice(self.generator.getrandbits(64))

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self.random()

    def whole(self, low: int, high: int) -> int:
        """Uniform whole number, both ends included."""
        return low + int(self.random() * (high - low + 1))

    def chance(self, probability: float) -> bool:
        return self.random() < probability

    def pick(self, choices: Sequence):
        return choices[int(self.random() * len(choices))]

    def vary(self, colour: Colour, spread: float) -> Colour:
        """`colour` with each channel moved by up to `spread`, and all by as much together."""
        common = self.between(-spread, spread)
        red, green, blue = (
            min(255.0, max(0.0, c + common + self.between(-spread, spread) * 0.5)) for c in colour
        )
        return red, green, blue

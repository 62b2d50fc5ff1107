"""What does not move: sky, ground, markings, and the fronts along the street."""

from __future__ import annotations

from typing import List, Sequence

import cv2
import numpy as np

from mxnetseg.scenes import canvas as c
from mxnetseg.scenes.textures import TILE, clouds

# Depths at which the edges of the ground are computed, metres; denser where they bend on screen.
_DEPTHS = (1.2, 2.0, 3.0, 4.5, 6.5, 9.0, 13.0, 19.0, 28.0, 42.0, 65.0, 110.0, 220.0)
FAR = _DEPTHS[-1]

FACADES = (
    (172, 128, 104),
    (196, 178, 150),
    (150, 146, 142),
    (122, 92, 80),
    (206, 200, 188),
    (168, 152, 118),
    (112, 116, 124),
    (184, 160, 128),
    (140, 110, 96),
    (216, 196, 160),
)
BRICKS = ((134, 104, 92), (150, 148, 146), (122, 118, 112), (160, 140, 118))
FENCES = ((96, 100, 104), (124, 96, 70), (60, 74, 66), (190, 188, 182))
LEAVES = ((66, 92, 44), (84, 108, 52), (52, 78, 44), (100, 112, 56), (116, 98, 46))
GRASS = ((104, 124, 64), (124, 130, 76), (136, 120, 84), (92, 112, 56))


def sky(canvas: c.Canvas, dice: c.Dice, zenith: c.Colour, rim: c.Colour, cloudy: float) -> None:
    """Fill everything above the horizon (and somewhat below) with sky: gradient and clouds."""
    rows = min(canvas.height, int(canvas.horizon) + 2)
    if rows <= 0:
        return
    steps = np.linspace(0.0, 1.0, rows)[:, None]
    gradient = np.float64(zenith) + (np.float64(rim) - np.float64(zenith)) * steps
    canvas.image[:rows] = np.rint(gradient).astype(np.uint8)[:, None]
    canvas.label[:rows] = c.SKY
    if cloudy > 0:
        left = dice.whole(0, TILE - 1)
        part = clouds()[:, left : left + TILE]
        # Flatter towards the horizon, as seen from below: take rows ever faster.
        source = (TILE - 1) * (1.0 - np.linspace(1.0, 0.0, rows) ** 1.5)
        part = part[source.astype(np.int64)]
        opacity = cv2.resize(part, (canvas.width, rows), interpolation=cv2.INTER_LINEAR_EXACT)
        opacity = cv2.merge([opacity] * 3).astype(np.uint16)
        white = np.uint16([int(0.35 * r + 0.65 * 250) for r in rim])
        strength = int(cloudy * 256)
        opacity = (opacity * strength) >> 8
        blend = canvas.image[:rows].astype(np.uint16) * (256 - opacity) + white * opacity
        canvas.image[:rows] = (blend >> 8).astype(np.uint8)


def strip(
    canvas: c.Canvas,
    left: float,
    right: float,
    colour: c.Colour,
    label: int,
    near: float = c.NEAR,
    far: float = FAR,
) -> None:
    """A band of ground from x `left` to `right`, following the bend of the road."""
    depths = [near, *(z for z in _DEPTHS if near < z < far), far]
    points = [canvas.project(left, 0.0, z) for z in depths]
    points += [canvas.project(right, 0.0, z) for z in reversed(depths)]
    canvas.paint(points, canvas.light(colour, 0.0), label)


def haze_over_ground(canvas: c.Canvas) -> None:
    """Blend the ground painted so far with haze by the depth of each row."""
    top = max(0, int(canvas.horizon))
    if top >= canvas.height:
        return
    below = np.maximum(np.arange(top, canvas.height) + 0.5 - canvas.horizon, 0.5)
    depth = canvas.camera_y * canvas.focal / below
    kept = (256 * canvas.light.haze_depth / (canvas.light.haze_depth + depth)).astype(np.uint16)
    kept = kept[:, None, None]
    haze = np.uint16([int(v) for v in canvas.light.haze])
    ground = canvas.image[top:]
    canvas.image[top:] = ((ground * kept + haze * (256 - kept)) >> 8).astype(np.uint8)


def dashes(canvas: c.Canvas, x: float, width: float, length: float, gap: float, colour: c.Colour) -> None:
    """A broken line along the road."""
    quads = []
    z = 2.0
    while z < 70.0:
        quads.append(_ground_quad(canvas, x - width / 2, x + width / 2, z, z + length))
        z += length + gap
    canvas.paint_quads(quads, canvas.light(colour, 0.0))


def line(canvas: c.Canvas, x: float, width: float, colour: c.Colour) -> None:
    """An unbroken line along the road."""
    depths = [z for z in _DEPTHS if z < 90.0]
    quads = [
        _ground_quad(canvas, x - width / 2, x + width / 2, near, end) for near, end in zip(depths, depths[1:])
    ]
    canvas.paint_quads(quads, canvas.light(colour, 0.0))


def crosswalk(canvas: c.Canvas, left: float, right: float, z: float, colour: c.Colour) -> None:
    """Stripes across the road."""
    quads = []
    x = left + 0.3
    while x + 0.5 < right:
        quads.append(_ground_quad(canvas, x, x + 0.5, z, z + 3.0))
        x += 1.0
    canvas.paint_quads(quads, canvas.light(colour, 0.0))


def _ground_quad(canvas: c.Canvas, left: float, right: float, near: float, far: float) -> List:
    return [
        canvas.project(left, 0.0, near),
        canvas.project(right, 0.0, near),
        canvas.project(right, 0.0, far),
        canvas.project(left, 0.0, far),
    ]


class Front:
    """A vertical face along the street at x, from depth `near` to `far`, seen from inside the street."""

    def __init__(self, canvas: c.Canvas, x: float, near: float, far: float):
        self.canvas = canvas
        self.x, self.near, self.far = x, max(near, c.NEAR), far
        self.z = 0.5 * (self.near + far)
        # It faces the middle of the road.
        self.shade = canvas.light.facing(-1 if x > 0 else 1)

    def quad(self, near: float, far: float, bottom: float, top: float) -> List[c.Point]:
        # Four projections, two by two: this is called more often than anything else.
        canvas = self.canvas
        x0, foot = canvas.project(self.x, bottom, near)
        x1, far_foot = canvas.project(self.x, bottom, far)
        rise = (top - bottom) * canvas.focal
        head = foot - rise / max(near, c.NEAR)
        far_head = far_foot - rise / max(far, c.NEAR)
        return [(x0, foot), (x0, head), (x1, far_head), (x1, far_foot)]

    def fill(self, bottom: float, top: float, colour: c.Colour, label: int) -> None:
        # In pieces along the depth, so that haze and bend act along it.
        near = self.near
        while near < self.far - 0.01:
            far = min(self.far, near + max(4.0, 0.5 * near))
            tone = self.canvas.light(colour, 0.5 * (near + far), self.shade)
            self.canvas.paint(self.quad(near, far, bottom, top), tone, label)
            near = far

    def details(self, quads: Sequence[Sequence[c.Point]], colour: c.Colour, shade: float = 1.0) -> None:
        self.canvas.paint_quads(quads, self.canvas.light(colour, self.z, self.shade * shade))


def end_face(
    canvas: c.Canvas,
    x: float,
    outward: float,
    z: float,
    height: float,
    colour: c.Colour,
    label: int,
) -> None:
    """The face that looks at the camera where a row begins: from x outwards, at depth z."""
    if z <= c.NEAR:
        return
    points = [
        canvas.project(x, 0.0, z),
        canvas.project(x + outward, 0.0, z),
        canvas.project(x + outward, height, z),
        canvas.project(x, height, z),
    ]
    canvas.paint(points, canvas.light(colour, z, canvas.light.facing(0)), label)


def building(canvas: c.Canvas, dice: c.Dice, x: float, near: float, far: float, lit: bool) -> None:
    """A house front with floors, windows, a ground floor with doors or shops, and a roof or parapet."""
    side = 1.0 if x > 0 else -1.0
    floors = dice.whole(2, 6)
    storey = dice.between(2.9, 3.6)
    height = floors * storey + dice.between(0.6, 1.4)
    colour = dice.vary(dice.pick(FACADES), 18)
    front = Front(canvas, x, near, far)
    end_face(canvas, x, side * 12.0, near, height, colour, c.BUILDING)
    if near > 3.0:
        _end_windows(canvas, dice, x, side, near, floors, storey)
    front.fill(0.0, height, colour, c.BUILDING)
    roof = dice.pick(((110, 62, 52), (84, 80, 82), (70, 66, 64)))
    front.fill(height - 0.5, height + dice.between(0.1, 0.9), roof, c.BUILDING)
    if canvas.scale(front.near) * storey < 6:
        return
    bay = dice.between(2.0, 3.4)
    width, tall = bay * dice.between(0.38, 0.62), storey * dice.between(0.45, 0.62)
    panes: List = []
    frames: List = []
    glowing: List = []
    z = front.near + 0.5 * (bay - width)
    while z + width < far and len(panes) + len(glowing) < 90:
        for floor in range(1, floors):
            bottom = floor * storey + 0.3 * storey
            target = glowing if lit and dice.chance(0.35) else panes
            target.append(front.quad(z, z + width, bottom, bottom + tall))
            frames.append(front.quad(z - 0.12, z + width + 0.12, bottom - 0.22, bottom - 0.05))
        z += bay
    tint = dice.between(0.75, 1.25)
    front.details(frames, dice.vary((212, 206, 196), 12))
    front.details(panes, (66 * tint, 78 * tint, 94 * tint))
    front.details(glowing, (250, 214, 140), 1.25)
    if dice.chance(0.5):
        shop = dice.vary((120, 60, 60), 55)
        front.fill(storey * 0.82, storey * 1.0, shop, c.BUILDING)
        panes = []
        z = front.near + 0.3
        while z + 2.2 < far:
            panes.append(front.quad(z, z + 2.2, 0.4, storey * 0.78))
            z += 2.8
        front.details(panes, (250, 220, 160) if lit else (84, 94, 104))
    else:
        doors = [front.quad(z, z + 1.1, 0.0, 2.2) for z in (front.near + 1.0, far - 2.5) if z > 0]
        front.details(doors, dice.vary((92, 70, 54), 20))


def _end_windows(canvas, dice, x: float, side: float, z: float, floors: int, storey: float) -> None:
    if canvas.scale(z) * storey < 8 or dice.chance(0.35):
        return
    panes = []
    for floor in range(floors):
        for column in range(3):
            left = x + side * (1.5 + 3.2 * column)
            right = left + side * 1.4
            bottom = floor * storey + 1.0
            panes.append(
                [
                    canvas.project(left, bottom, z),
                    canvas.project(right, bottom, z),
                    canvas.project(right, bottom + 1.6, z),
                    canvas.project(left, bottom + 1.6, z),
                ]
            )
    canvas.paint_quads(panes, canvas.light((70, 82, 98), z))


def wall(canvas: c.Canvas, dice: c.Dice, x: float, near: float, far: float) -> None:
    """A low wall of blocks with joints and a coping."""
    side = 1.0 if x > 0 else -1.0
    height = dice.between(1.5, 3.2)
    colour = dice.vary(dice.pick(BRICKS), 12)
    end_face(canvas, x, side * 0.5, near, height, colour, c.WALL)
    front = Front(canvas, x, near, far)
    front.fill(0.0, height, colour, c.WALL)
    joints = []
    courses = max(2, int(height / 0.45))
    for course in range(1, courses):
        bottom = course * height / courses
        joints.append(front.quad(front.near, min(far, front.near + 25.0), bottom, bottom + 0.05))
    front.details(joints, colour, 0.72)
    uprights = []
    z = front.near + 0.8
    while z < min(far, front.near + 25.0):
        uprights.append(front.quad(z, z + 0.07, 0.0, height))
        z += 2.4
    front.details(uprights, colour, 0.7)
    front.fill(height, height + 0.16, dice.vary((176, 172, 166), 10), c.WALL)


def fence(canvas: c.Canvas, dice: c.Dice, x: float, near: float, far: float, height: float = 0.0) -> None:
    """Posts, rails and bars that let what is behind show through; the label covers all of it."""
    height = height or dice.between(1.1, 2.2)
    colour = dice.vary(dice.pick(FENCES), 14)
    front = Front(canvas, x, near, far)
    reach = min(far, front.near + 45.0)
    outline = front.quad(front.near, reach, 0.0, height)
    canvas.paint_label(outline, c.FENCE)
    rails = [front.quad(front.near, reach, v, v + 0.1) for v in (0.15, height * 0.5, height - 0.1)]
    bars = []
    step = dice.between(0.28, 0.5)
    z = front.near
    while z < reach and len(bars) < 70:
        bars.append(front.quad(z, z + 0.13, 0.0, height))
        z += step * (1.0 + z / 25.0)
    front.details(bars, colour)
    front.details(rails, colour, 0.9)
    posts = []
    z = front.near
    while z < reach:
        posts.append(front.quad(z, z + 0.22, 0.0, height + 0.15))
        z += 2.6
    front.details(posts, colour, 0.75)


def hedge(canvas: c.Canvas, dice: c.Dice, x: float, near: float, far: float) -> None:
    """Bushes along the street, uneven at the top."""
    side = 1.0 if x > 0 else -1.0
    height = dice.between(1.2, 3.0)
    colour = dice.vary(dice.pick(LEAVES), 10)
    end_face(canvas, x, side * 2.5, near, height, colour, c.VEGETATION)
    front = Front(canvas, x, near, far)
    front.fill(0.0, height, colour, c.VEGETATION)
    z = front.near
    while z < far:
        radius = dice.between(0.5, 1.0)
        canvas.disc(
            canvas.project(x, height, z),
            radius * canvas.scale(z),
            canvas.light(colour, z, front.shade * dice.between(0.9, 1.2)),
            c.VEGETATION,
        )
        z += radius * (1.2 + z / 30.0)


def backdrop(canvas: c.Canvas, dice: c.Dice, kind: str) -> None:
    """What stands at the end of everything: hills of trees, or a skyline."""
    base = canvas.horizon + 1.0
    width = canvas.width
    step = width / 14.0
    light = canvas.light
    if kind == "trees":
        colour = light(dice.vary(dice.pick(LEAVES), 8), 90.0)
        points = [(-step, base)]
        x = -step
        while x < width + step:
            points.append((x, base - canvas.scale(100.0) * dice.between(4.0, 11.0)))
            x += step * dice.between(0.3, 0.9)
        points += [(x, base)]
        canvas.paint(points, colour, c.VEGETATION)
        return
    x = -step
    while x < width:
        wide = step * dice.between(0.6, 1.6)
        top = base - canvas.scale(110.0) * dice.between(7.0, 24.0)
        colour = light(dice.vary(dice.pick(FACADES), 12), 100.0)
        canvas.paint([(x, base), (x + wide, base), (x + wide, top), (x, top)], colour, c.BUILDING)
        x += wide

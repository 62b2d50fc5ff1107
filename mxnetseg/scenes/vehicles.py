"""Cars, trucks, buses and trains: boxes with depth, seen from behind, ahead or across the street."""

from __future__ import annotations

from typing import List

from mxnetseg.scenes import canvas as c

PAINTS = (
    (196, 198, 202),
    (60, 62, 66),
    (150, 30, 34),
    (38, 62, 120),
    (224, 224, 222),
    (104, 110, 116),
    (50, 90, 70),
    (176, 150, 90),
    (28, 30, 34),
    (120, 150, 170),
)
LIVERIES = ((206, 164, 40), (190, 40, 40), (40, 90, 160), (60, 130, 80), (226, 226, 220))
TRAMS = ((214, 200, 60), (200, 60, 50), (236, 234, 226), (70, 120, 170), (90, 150, 90))
CARGO = ((222, 222, 216), (170, 70, 50), (90, 110, 140), (196, 180, 120), (130, 134, 136))
GLASS = (58, 70, 84)
TYRE = (26, 26, 28)


class Box:
    """An upright block on the ground: x `left`..`right`, z `near`..`far`, as seen from the camera."""

    def __init__(self, canvas: c.Canvas, left: float, right: float, near: float, far: float):
        self.canvas = canvas
        self.left, self.right, self.near, self.far = left, right, max(near, c.NEAR), far
        self.fine = canvas.scale(self.near) > 9.0
        # The flank that can be seen is the one towards the camera.
        near_x = canvas.camera_x - canvas.bend_at(self.near)
        self.flank = left if left > near_x else right if right < near_x else None
        self.side = -1 if self.flank == left else 1
        self.shade_flank = canvas.light.facing(self.side)
        self.shade_face = canvas.light.facing(0)

    def face(self, left, right, bottom, top, colour, label, lean: float = 0.0, setback: float = 0.0):
        """A patch of the near face, in shares of its width; `lean` pulls its top back (metres)."""
        span = self.right - self.left
        x0, x1 = self.left + left * span, self.left + right * span
        z = self.near + setback
        project = self.canvas.project
        points = [
            project(x0, bottom, z),
            project(x1, bottom, z),
            project(x1, top, z + lean),
            project(x0, top, z + lean),
        ]
        self.canvas.paint(points, self.canvas.light(colour, z, self.shade_face), label)

    def flank_quad(self, start, end, bottom, top, lean_start=0.0, lean_end=0.0) -> List[c.Point]:
        """A patch of the visible flank, in shares of its length."""
        span = self.far - self.near
        z0, z1 = self.near + start * span, self.near + end * span
        project = self.canvas.project
        x = self.flank
        return [
            project(x, bottom, z0),
            project(x, bottom, z1),
            project(x, top, z1 - lean_end),
            project(x, top, z0 + lean_start),
        ]

    def flank_patch(self, start, end, bottom, top, colour, label, lean_start=0.0, lean_end=0.0):
        if self.flank is None:
            return
        z = self.near + 0.5 * (start + end) * (self.far - self.near)
        self.canvas.paint(
            self.flank_quad(start, end, bottom, top, lean_start, lean_end),
            self.canvas.light(colour, z, self.shade_flank),
            label,
        )

    def flank_many(self, quads, colour):
        self.canvas.paint_quads(quads, self.canvas.light(colour, self.near, self.shade_flank))

    def wheel(self, share: float, radius: float, label: int):
        """A wheel on the flank."""
        if self.flank is None:
            return
        z = self.near + share * (self.far - self.near)
        x = self.flank
        project = self.canvas.project
        rim = [project(x, radius + radius * v, z + radius * u) for u, v in c.CIRCLE]
        self.canvas.paint(rim, self.canvas.light(TYRE, z), label)
        if self.fine:
            hub = [project(x, radius + 0.5 * radius * v, z + 0.5 * radius * u) for u, v in c.CIRCLE]
            self.canvas.paint(hub, self.canvas.light((130, 132, 136), z), None)

    def shadow(self) -> List[c.Point]:
        """Outline on the ground, a little wider than the block."""
        project = self.canvas.project
        left, right = self.left - 0.25, self.right + 0.25
        near, far = self.near - 0.25, self.far + 0.2
        return [
            project(left, 0, near),
            project(right, 0, near),
            project(right, 0, far),
            project(left, 0, far),
        ]


def car(canvas: c.Canvas, dice: c.Dice, x: float, z: float, oncoming: bool, dusk: bool) -> None:
    """Length 4.2 m, width 1.8 m: body, cabin set in and back, glass, wheels, lamps."""
    tall = dice.pick((0.0, 0.0, 0.18, 0.4))
    belt, roof = 0.88 + 0.4 * tall, 1.42 + tall
    paint = dice.vary(dice.pick(PAINTS), 14)
    setback = 1.0 if oncoming else 0.45
    box = Box(canvas, x - 0.9, x + 0.9, z, z + 4.2)
    # Tyres below the near face, then the flank from the ground up.
    box.face(0.04, 0.2, 0.0, 0.4, TYRE, c.CAR)
    box.face(0.8, 0.96, 0.0, 0.4, TYRE, c.CAR)
    box.flank_patch(0.02, 0.98, 0.22, belt, paint, c.CAR)
    box.flank_patch(setback / 4.2, 0.82, belt, roof, paint, c.CAR, 0.5, 0.6)
    if box.flank is not None and box.fine:
        panes = [
            box.flank_quad(0.2, 0.46, belt + 0.05, roof - 0.09, 0.22, 0.0),
            box.flank_quad(0.49, 0.76, belt + 0.05, roof - 0.09, 0.0, 0.42),
        ]
        box.flank_many(panes, GLASS)
    box.wheel(0.2, 0.33, c.CAR)
    box.wheel(0.8, 0.33, c.CAR)
    # Cabin behind the boot or bonnet, then that, then the near face in front of all.
    box.face(0.0, 1.0, belt, roof, paint, c.CAR, 0.5, setback)
    box.face(0.08, 0.92, belt + 0.04, roof - 0.09, GLASS, None, 0.42, setback + 0.01)
    project = canvas.project
    top = [
        project(box.left, belt, box.near),
        project(box.right, belt, box.near),
        project(box.right, belt, box.near + setback),
        project(box.left, belt, box.near + setback),
    ]
    canvas.paint(top, canvas.light(paint, z, box.shade_face * 1.12), c.CAR)
    box.face(0.0, 1.0, 0.24, belt, paint, c.CAR)
    box.face(0.0, 1.0, 0.24, 0.42, tuple(0.55 * v for v in paint), None)
    lamp = (250, 246, 220) if oncoming else (206, 34, 30)
    gain = 1.6 if dusk else 1.0
    for left in (0.03, 0.79):
        box.face(left, left + 0.18, belt - 0.26, belt - 0.08, tuple(gain * v for v in lamp), None)
    if box.fine:
        plate = (230, 230, 224) if not oncoming else (222, 222, 230)
        box.face(0.37, 0.63, 0.4, 0.53, plate, None)


def bus(canvas: c.Canvas, dice: c.Dice, x: float, z: float, oncoming: bool, dusk: bool) -> None:
    """Length 11 m, height 3.1 m: one long block with a band of windows and a sign over the glass."""
    livery = dice.vary(dice.pick(LIVERIES), 12)
    box = Box(canvas, x - 1.27, x + 1.27, z, z + 11.0)
    _wheels_below(box, c.BUS)
    box.flank_patch(0.0, 1.0, 0.3, 3.1, livery, c.BUS)
    pane = (220, 200, 140) if dusk else GLASS
    if box.flank is not None:
        box.flank_many([box.flank_quad(i / 8 + 0.01, i / 8 + 0.115, 1.3, 2.5) for i in range(8)], pane)
        box.flank_patch(0.0, 1.0, 0.3, 0.7, (60, 60, 64), None)
    for share in (0.2, 0.72):
        box.wheel(share, 0.48, c.BUS)
    box.face(0.0, 1.0, 0.3, 3.1, livery, c.BUS)
    box.face(0.06, 0.94, 1.25, 2.55, GLASS, None)
    box.face(0.2, 0.8, 2.65, 2.98, (20, 20, 20), None)
    box.face(0.3, 0.7, 2.72, 2.9, (250, 170, 40), None)
    _lamps(box, oncoming, dusk, 0.72)


def truck(canvas: c.Canvas, dice: c.Dice, x: float, z: float, oncoming: bool, dusk: bool) -> None:
    """Length 7.5 m: a cab and, standing over it with a gap, a plain cargo box or tarpaulin."""
    cab = dice.vary(dice.pick(PAINTS), 12)
    cargo = dice.vary(dice.pick(CARGO), 12)
    height = dice.between(2.9, 3.6)
    if oncoming:
        load = Box(canvas, x - 1.25, x + 1.25, z + 2.2, z + 7.5)
        _truck_load(load, cargo, height)
        box = Box(canvas, x - 1.15, x + 1.15, z, z + 2.0)
        _wheels_below(box, c.TRUCK)
        box.flank_patch(0.0, 1.0, 0.4, 2.5, cab, c.TRUCK, 0.2)
        box.flank_patch(0.25, 0.75, 1.5, 2.2, GLASS, None)
        box.wheel(0.6, 0.5, c.TRUCK)
        box.face(0.0, 1.0, 0.4, 2.5, cab, c.TRUCK, 0.15)
        box.face(0.06, 0.94, 1.45, 2.25, GLASS, None, 0.05)
        box.face(0.2, 0.8, 0.75, 1.25, tuple(0.5 * v for v in cab), None)
        _lamps(box, True, dusk, 0.6)
        return
    front = Box(canvas, x - 1.15, x + 1.15, z + 5.6, z + 7.5)
    front.flank_patch(0.0, 1.0, 0.4, 2.5, cab, c.TRUCK)
    front.flank_patch(0.35, 0.9, 1.5, 2.2, GLASS, None)
    front.wheel(0.6, 0.5, c.TRUCK)
    load = Box(canvas, x - 1.25, x + 1.25, z, z + 5.4)
    _wheels_below(load, c.TRUCK)
    _truck_load(load, cargo, height)
    load.face(0.485, 0.515, 0.95, height - 0.05, tuple(0.6 * v for v in cargo), None)
    load.face(0.05, 0.95, 0.45, 0.6, (200, 60, 40), None)
    _lamps(load, False, dusk, 0.62)


def _truck_load(box: Box, cargo: c.Colour, height: float) -> None:
    box.flank_patch(0.0, 1.0, 0.45, 0.95, (54, 54, 58), c.TRUCK)
    box.flank_patch(0.0, 1.0, 0.9, height, cargo, c.TRUCK)
    if box.flank is not None and box.fine:
        ribs = [box.flank_quad(i / 7, i / 7 + 0.015, 0.95, height) for i in range(1, 7)]
        box.flank_many(ribs, tuple(0.8 * v for v in cargo))
    for share in (0.14, 0.3):
        box.wheel(share, 0.5, c.TRUCK)
    box.face(0.0, 1.0, 0.45, 0.95, (54, 54, 58), c.TRUCK)
    box.face(0.0, 1.0, 0.9, height, cargo, c.TRUCK)


def train(canvas: c.Canvas, dice: c.Dice, x: float, z: float, oncoming: bool, dusk: bool) -> None:
    """A tram of 26 m, 3.4 m high: rounded head, one band of windows, skirts to the ground, pantograph."""
    livery = dice.vary(dice.pick(TRAMS), 12)
    dark = tuple(0.35 * v for v in livery)
    box = Box(canvas, x - 1.25, x + 1.25, z, z + 26.0)
    box.flank_patch(0.0, 1.0, 0.08, 3.3, livery, c.TRAIN)
    box.flank_patch(0.0, 1.0, 1.35, 2.6, (44, 50, 60), None)
    if box.flank is not None:
        gaps = [box.flank_quad(i / 12, i / 12 + 0.012, 1.35, 2.6) for i in range(1, 12)]
        box.flank_many(gaps, livery)
        joints = [box.flank_quad(s, s + 0.03, 0.08, 3.3) for s in (0.32, 0.65)]
        box.flank_many(joints, (40, 40, 42))
    box.flank_patch(0.0, 1.0, 0.08, 0.45, dark, None)
    near, project = box.near, canvas.project
    head = [
        (0.0, 0.08),
        (1.0, 0.08),
        (1.0, 2.5),
        (0.9, 3.15),
        (0.72, 3.4),
        (0.28, 3.4),
        (0.1, 3.15),
        (0.0, 2.5),
    ]
    span = box.right - box.left
    outline = [project(box.left + u * span, v, near) for u, v in head]
    canvas.paint(outline, canvas.light(livery, near, box.shade_face), c.TRAIN)
    box.face(0.1, 0.9, 1.35, 2.75, (36, 42, 52), None)
    box.face(0.0, 1.0, 0.08, 0.5, dark, None)
    box.face(0.38, 0.62, 2.9, 3.2, (250, 190, 60), None)
    _lamps(box, oncoming, dusk, 0.75)
    # Pantograph.
    z_mid = near + 5.0
    arms = [
        project(x - 0.5, 3.3, z_mid),
        project(x + 0.3, 4.1, z_mid),
        project(x - 0.5, 4.8, z_mid),
    ]
    canvas.stroke(arms, 0.09 * canvas.scale(z_mid), canvas.light((50, 50, 54), z_mid), None)


def _wheels_below(box: Box, label: int) -> None:
    for left in (0.04, 0.8):
        box.face(left, left + 0.16, 0.0, 0.5, TYRE, label)


def _lamps(box: Box, oncoming: bool, dusk: bool, height: float) -> None:
    lamp = (252, 246, 214) if oncoming else (200, 30, 28)
    gain = 1.5 if dusk else 1.0
    for left in (0.05, 0.83):
        box.face(left, left + 0.12, height, height + 0.2, tuple(gain * v for v in lamp), None)


# Outlines seen from the side (u forward, v up, metres), for what crosses the street.
_CAR_SIDE = (
    (-2.1, 0.3),
    (2.1, 0.3),
    (2.1, 0.72),
    (1.9, 0.86),
    (1.1, 0.92),
    (0.5, 1.42),
    (-1.2, 1.44),
    (-1.9, 0.95),
    (-2.1, 0.9),
)
_CAR_PANES = (
    ((0.92, 0.95), (0.42, 1.34), (-0.2, 1.35), (-0.2, 0.95)),
    ((-0.3, 0.95), (-0.3, 1.35), (-1.15, 1.35), (-1.7, 0.97)),
)


def crossing(canvas: c.Canvas, dice: c.Dice, kind: int, x: float, z: float) -> None:
    """A vehicle seen from the side, on a crossing street at depth z."""
    sprite = c.Sprite(canvas, x, z, mirror=dice.chance(0.5))
    if kind == c.CAR:
        paint = dice.vary(dice.pick(PAINTS), 14)
        sprite.paint(_CAR_SIDE, paint, c.CAR)
        for pane in _CAR_PANES:
            sprite.paint(pane, GLASS, None)
        sprite.box(-0.27, -0.23, 0.4, 0.92, paint, None, 0.7)
        sprite.box(-2.1, 2.1, 0.3, 0.42, paint, None, 0.5)
        sprite.box(1.95, 2.1, 0.66, 0.8, (250, 244, 214), None)
        sprite.box(-2.1, -1.98, 0.74, 0.88, (200, 30, 28), None)
        _wheels(sprite, (-1.3, 1.3), 0.33, c.CAR)
    elif kind == c.BUS:
        livery = dice.vary(dice.pick(LIVERIES), 12)
        sprite.box(-5.5, 5.5, 0.32, 3.1, livery, c.BUS)
        for i in range(8):
            sprite.box(-5.3 + 1.34 * i, -4.2 + 1.34 * i, 1.35, 2.5, GLASS, None)
        sprite.box(-5.5, 5.5, 0.32, 0.7, (60, 60, 64), None)
        _wheels(sprite, (-3.2, 3.4), 0.48, c.BUS)
    elif kind == c.TRUCK:
        cargo = dice.vary(dice.pick(CARGO), 12)
        sprite.box(-3.8, 3.6, 0.5, 0.9, (54, 54, 58), c.TRUCK)
        sprite.box(-3.8, 1.6, 0.9, dice.between(2.9, 3.6), cargo, c.TRUCK)
        cab = dice.vary(dice.pick(PAINTS), 12)
        sprite.paint(((1.8, 0.5), (3.8, 0.5), (3.8, 1.5), (3.4, 2.5), (1.8, 2.5)), cab, c.TRUCK)
        sprite.paint(((2.4, 1.5), (3.65, 1.5), (3.35, 2.2), (2.4, 2.2)), GLASS, None)
        _wheels(sprite, (-2.9, -1.8, 2.8), 0.5, c.TRUCK)
    else:
        livery = dice.vary(dice.pick(TRAMS), 12)
        outline = (
            (-13, 0.08),
            (13, 0.08),
            (13, 1.6),
            (12.4, 3.0),
            (11.8, 3.3),
            (-11.8, 3.3),
            (-12.4, 3.0),
            (-13, 1.6),
        )
        sprite.paint(outline, livery, c.TRAIN)
        sprite.box(-12.4, 12.4, 1.35, 2.6, (44, 50, 60), None)
        for i in range(-4, 5):
            sprite.box(2.7 * i - 0.12, 2.7 * i + 0.12, 1.35, 2.6, livery, None)
        sprite.box(-13, 13, 0.08, 0.45, livery, None, 0.4)
        for joint in (-4.4, 4.4):
            sprite.box(joint - 0.4, joint + 0.4, 0.1, 3.3, (40, 40, 42), None)
        sprite.stroke(((1, 3.3), (2, 4.1), (1, 4.8)), 0.09, (50, 50, 54), None)


def _wheels(sprite: c.Sprite, places, radius: float, label: int) -> None:
    for u in places:
        sprite.disc(u, radius, radius, TYRE, label)
        if sprite.fine:
            sprite.disc(u, radius, 0.55 * radius, (136, 138, 142), None)

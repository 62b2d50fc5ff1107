"""What stands along the kerb: poles with lights and signs, trees, bins."""

from __future__ import annotations

from mxnetseg.scenes import canvas as c
from mxnetseg.scenes.street import LEAVES

METAL = ((104, 108, 112), (140, 142, 144), (80, 88, 84), (170, 172, 172))
LAMPS = ((230, 50, 40), (250, 190, 50), (60, 210, 110))
RED, BLUE, WHITE, YELLOW = (196, 36, 40), (36, 84, 170), (236, 236, 232), (240, 196, 40)


def traffic_light(canvas: c.Canvas, dice: c.Dice, x: float, z: float, dusk: bool) -> None:
    """A pole at the kerb with one head at the side and sometimes one over the road."""
    towards = -1.0 if x > 0 else 1.0
    sprite = c.Sprite(canvas, x, z)
    metal = dice.vary(dice.pick(METAL), 10)
    over = dice.chance(0.45)
    top = 5.6 if over else 3.4
    sprite.box(-0.09, 0.09, 0.0, top, metal, c.POLE)
    state = dice.whole(0, 2)
    _head(sprite, towards * 0.28, 2.45, state, dusk)
    if over:
        reach = towards * dice.between(2.2, 3.6)
        sprite.stroke(((0.0, top - 0.05), (reach, top + 0.1)), 0.14, metal, c.POLE)
        _head(sprite, reach, top - 0.75, state, dusk)


def _head(sprite: c.Sprite, u: float, bottom: float, state: int, dusk: bool) -> None:
    sprite.box(u - 0.24, u + 0.24, bottom, bottom + 1.15, (30, 32, 30), c.LIGHT)
    for i, lamp in enumerate(LAMPS):
        on = i == state
        gain = (1.5 if dusk else 1.15) if on else 0.28
        sprite.disc(u, bottom + 0.95 - 0.37 * i, 0.14, lamp, None, gain)


def sign(canvas: c.Canvas, dice: c.Dice, x: float, z: float) -> None:
    """A sign of one of six kinds on a thin pole."""
    sprite = c.Sprite(canvas, x, z)
    metal = dice.vary(dice.pick(METAL), 10)
    sprite.box(-0.06, 0.06, 0.0, 2.5, metal, c.POLE)
    kind = dice.whole(0, 5)
    v = 2.55
    if kind == 0:  # prohibition
        sprite.disc(0, v, 0.42, RED, c.SIGN)
        sprite.disc(0, v, 0.3, WHITE, None)
        sprite.box(-0.12, 0.12, v - 0.12, v + 0.12, (40, 40, 40), None)
    elif kind == 1:  # warning
        sprite.paint(((-0.5, v - 0.36), (0.5, v - 0.36), (0.0, v + 0.5)), RED, c.SIGN)
        sprite.paint(((-0.3, v - 0.25), (0.3, v - 0.25), (0.0, v + 0.26)), WHITE, None)
    elif kind == 2:  # direction, information
        wide = dice.between(0.5, 1.1)
        sprite.box(-wide, wide, v - 0.35, v + 0.45, BLUE, c.SIGN)
        sprite.box(-0.7 * wide, 0.7 * wide, v - 0.02, v + 0.1, WHITE, None)
        sprite.box(-0.7 * wide, 0.3 * wide, v + 0.18, v + 0.28, WHITE, None)
    elif kind == 3:  # mandatory
        sprite.disc(0, v, 0.4, BLUE, c.SIGN)
        sprite.paint(
            (
                (-0.07, v - 0.26),
                (0.07, v - 0.26),
                (0.07, v + 0.05),
                (0.2, v + 0.05),
                (0.0, v + 0.28),
                (-0.2, v + 0.05),
                (-0.07, v + 0.05),
            ),
            WHITE,
            None,
        )
    elif kind == 4:  # priority
        sprite.paint(((0, v - 0.5), (0.5, v), (0, v + 0.5), (-0.5, v)), WHITE, c.SIGN)
        sprite.paint(((0, v - 0.36), (0.36, v), (0, v + 0.36), (-0.36, v)), YELLOW, None)
    else:  # stop
        octagon = (
            (-0.18, -0.43),
            (0.18, -0.43),
            (0.43, -0.18),
            (0.43, 0.18),
            (0.18, 0.43),
            (-0.18, 0.43),
            (-0.43, 0.18),
            (-0.43, -0.18),
        )
        sprite.paint([(a, v + b) for a, b in octagon], RED, c.SIGN)
        sprite.box(-0.3, 0.3, v - 0.08, v + 0.08, WHITE, None)


def lamp_post(canvas: c.Canvas, dice: c.Dice, x: float, z: float, dusk: bool) -> None:
    """A tall tapering post with an arm over the road."""
    towards = -1.0 if x > 0 else 1.0
    sprite = c.Sprite(canvas, x, z)
    metal = dice.vary(dice.pick(METAL), 10)
    height = dice.between(6.0, 8.5)
    sprite.paint(((-0.14, 0), (0.14, 0), (0.08, height), (-0.08, height)), metal, c.POLE)
    sprite.stroke(((0, height - 0.1), (towards * 1.6, height + 0.25)), 0.13, metal, c.POLE)
    glow = (255, 226, 160) if dusk else (200, 202, 204)
    end = towards * 1.6
    sprite.box(end - 0.4, end + 0.4, height + 0.15, height + 0.36, glow, c.POLE, 1.3 if dusk else 1.0)


def bollard(canvas: c.Canvas, dice: c.Dice, x: float, z: float) -> None:
    sprite = c.Sprite(canvas, x, z)
    sprite.box(-0.1, 0.1, 0.0, 1.0, dice.vary(dice.pick(METAL), 10), c.POLE)
    sprite.box(-0.1, 0.1, 0.75, 0.88, (200, 60, 50), None)


def tree(canvas: c.Canvas, dice: c.Dice, x: float, z: float) -> None:
    """Trunk and crown; the trunk counts as vegetation."""
    sprite = c.Sprite(canvas, x, z)
    leaves = dice.vary(dice.pick(LEAVES), 12)
    trunk = dice.between(1.8, 2.8)
    sprite.paint(
        ((-0.2, 0), (0.2, 0), (0.13, trunk + 1.2), (-0.13, trunk + 1.2)),
        dice.vary((84, 66, 52), 10),
        c.VEGETATION,
    )
    radius = dice.between(1.1, 2.1)
    lumps = []
    for _ in range(dice.whole(7, 10)):
        lumps.append(
            (
                dice.between(-radius, radius),
                dice.between(0.0, 2.2 * radius),
                dice.between(0.45, 0.75) * radius,
            )
        )
    # Darker inside and below, lighter where the sun falls.
    lumps.sort(key=lambda lump: lump[1])
    sun = canvas.light.sun_side
    for u, v, size in lumps:
        shade = 0.72 + 0.16 * v / radius + 0.1 * sun * u / radius
        sprite.disc(u, trunk + 0.7 * radius + v * 0.8, size, leaves, c.VEGETATION, shade)


def bush(canvas: c.Canvas, dice: c.Dice, x: float, z: float) -> None:
    sprite = c.Sprite(canvas, x, z)
    leaves = dice.vary(dice.pick(LEAVES), 12)
    for _ in range(4):
        u, size = dice.between(-0.7, 0.7), dice.between(0.35, 0.7)
        sprite.disc(u, 0.7 * size, size, leaves, c.VEGETATION, dice.between(0.8, 1.15))


def bin_or_box(canvas: c.Canvas, dice: c.Dice, x: float, z: float) -> None:
    """Street furniture outside the 19 classes: it is ignored in training and scores."""
    sprite = c.Sprite(canvas, x, z)
    colour = dice.vary(dice.pick(((70, 84, 72), (90, 92, 96), (170, 120, 40), (60, 80, 120))), 14)
    wide, tall = dice.between(0.25, 0.6), dice.between(0.8, 1.4)
    sprite.box(-wide, wide, 0.0, tall, colour, c.IGNORE)
    sprite.box(-wide, wide, tall - 0.12, tall, colour, None, 0.7)

"""Pedestrians, and those who ride bicycles and motorcycles, with what they ride."""

from __future__ import annotations

from mxnetseg.scenes import canvas as c

CLOTHES = (
    (40, 44, 60),
    (150, 40, 44),
    (60, 96, 140),
    (200, 190, 170),
    (70, 96, 60),
    (220, 160, 50),
    (110, 70, 110),
    (230, 230, 230),
    (44, 44, 44),
    (190, 90, 60),
)
TROUSERS = ((40, 44, 62), (60, 56, 52), (96, 100, 110), (28, 28, 32), (120, 104, 84))
SKINS = ((224, 180, 150), (198, 150, 118), (140, 98, 72), (96, 66, 50))
HAIRS = ((40, 30, 24), (90, 62, 40), (190, 160, 100), (120, 116, 112), (24, 22, 22))
FRAMES = ((170, 40, 40), (40, 80, 150), (36, 36, 40), (210, 210, 205), (50, 120, 70))
TYRE = (24, 24, 26)


def person(canvas: c.Canvas, dice: c.Dice, x: float, z: float) -> None:
    """Someone walking or standing, 1.55 to 1.9 m, or a child."""
    sprite = c.Sprite(canvas, x, z, mirror=dice.chance(0.5))
    sprite.scale *= dice.between(0.9, 1.08) if dice.chance(0.88) else dice.between(0.62, 0.75)
    shirt = dice.vary(dice.pick(CLOTHES), 16)
    trousers = dice.vary(dice.pick(TROUSERS), 10)
    skin, hair = dice.pick(SKINS), dice.pick(HAIRS)
    stride = dice.between(0.0, 0.3)
    if dice.chance(0.2):  # a skirt or a long coat
        for u in (-0.09, 0.09):
            sprite.box(u - 0.06, u + 0.06, 0.0, 0.6, skin, c.PERSON)
        sprite.paint(((-0.3, 0.5), (0.3, 0.5), (0.17, 1.0), (-0.17, 1.0)), trousers, c.PERSON)
    else:
        sprite.paint(
            ((-stride - 0.1, 0.03), (-stride + 0.07, 0.03), (0.1, 0.92), (-0.16, 0.92)),
            trousers,
            c.PERSON,
            0.85,
        )
        sprite.paint(
            ((stride - 0.07, 0.03), (stride + 0.1, 0.03), (0.17, 0.92), (-0.08, 0.92)),
            trousers,
            c.PERSON,
        )
        for u in (-stride, stride):
            sprite.box(u - 0.08, u + 0.15, 0.0, 0.08, (34, 30, 28), c.PERSON)
    swing = 0.9 * stride
    sprite.stroke(
        ((-0.2, 1.36), (-0.25 - swing * 0.5, 1.08), (-0.2 - swing, 0.84)),
        0.11,
        shirt,
        c.PERSON,
        0.8,
    )
    sprite.paint(
        ((-0.19, 0.86), (0.19, 0.86), (0.24, 1.38), (0.1, 1.48), (-0.1, 1.48), (-0.24, 1.38)),
        shirt,
        c.PERSON,
    )
    sprite.stroke(((0.2, 1.36), (0.25 + swing * 0.5, 1.08), (0.2 + swing, 0.84)), 0.11, shirt, c.PERSON, 0.9)
    if dice.chance(0.3):  # a bag or rucksack
        bag = dice.pick(CLOTHES)
        sprite.paint(((-0.38, 0.95), (-0.17, 0.95), (-0.17, 1.4), (-0.34, 1.36)), bag, c.PERSON, 0.8)
    _head(sprite, 0.0, 1.62, skin, hair, c.PERSON)


def _head(sprite: c.Sprite, u: float, v: float, skin: c.Colour, hair: c.Colour, label: int) -> None:
    sprite.box(u - 0.05, u + 0.05, v - 0.18, v - 0.05, skin, label)
    sprite.disc(u, v, 0.125, skin, label)
    sprite.paint(
        (
            (u - 0.13, v),
            (u - 0.12, v + 0.1),
            (u, v + 0.15),
            (u + 0.12, v + 0.1),
            (u + 0.13, v + 0.03),
            (u, v + 0.05),
        ),
        hair,
        label,
    )


def bicycle(canvas: c.Canvas, dice: c.Dice, x: float, z: float, ridden: bool) -> None:
    """Seen from the side or, half the time when ridden, nearly along the street (narrower)."""
    narrow = dice.between(0.3, 0.5) if ridden and dice.chance(0.4) else dice.between(0.75, 1.0)
    sprite = c.Sprite(canvas, x, z, mirror=dice.chance(0.5))
    frame = dice.vary(dice.pick(FRAMES), 14)
    wheel = 0.34

    def squeeze(points):
        return [(u * narrow, v) for u, v in points]

    for u in (-0.52, 0.52):
        _wheel(sprite, u * narrow, wheel, narrow, TYRE, c.BICYCLE, 0.075)
    bars = ((-0.52, 0.34), (-0.1, 0.3), (0.34, 0.82), (-0.2, 0.78), (-0.52, 0.34))
    sprite.stroke(squeeze(bars), 0.07, frame, c.BICYCLE)
    sprite.stroke(squeeze(((-0.1, 0.3), (-0.24, 0.9))), 0.07, frame, c.BICYCLE)
    sprite.stroke(squeeze(((0.52, 0.34), (0.32, 0.98), (0.48, 1.04))), 0.07, frame, c.BICYCLE)
    sprite.box(-0.4 * narrow, -0.1 * narrow, 0.9, 0.99, (30, 28, 28), c.BICYCLE)
    if ridden:
        _rider(sprite, dice, narrow, seat=0.96, handle=(0.44, 1.04), pedal=(-0.02, 0.16), helmet=0.5)


def motorcycle(canvas: c.Canvas, dice: c.Dice, x: float, z: float, ridden: bool) -> None:
    """Thick tyres close together, tank, engine, seat, exhaust, lamp."""
    narrow = dice.between(0.4, 0.6) if ridden and dice.chance(0.4) else dice.between(0.8, 1.0)
    sprite = c.Sprite(canvas, x, z, mirror=dice.chance(0.5))
    body = dice.vary(dice.pick(FRAMES), 14)

    def squeeze(points):
        return [(u * narrow, v) for u, v in points]

    for u in (-0.68, 0.7):
        _wheel(sprite, u * narrow, 0.32, narrow, TYRE, c.MOTORCYCLE, 0.15)
    sprite.paint(squeeze(((-0.5, 0.24), (0.3, 0.22), (0.42, 0.6), (-0.4, 0.62))), (70, 72, 76), c.MOTORCYCLE)
    sprite.paint(
        squeeze(
            (
                (-0.98, 0.84),
                (-0.86, 0.6),
                (0.3, 0.5),
                (0.6, 0.62),
                (0.56, 0.98),
                (0.12, 1.04),
                (-0.1, 0.84),
            )
        ),
        body,
        c.MOTORCYCLE,
    )
    sprite.paint(
        squeeze(((-0.8, 0.8), (-0.06, 0.78), (-0.06, 0.88), (-0.8, 0.94))),
        (26, 24, 24),
        c.MOTORCYCLE,
    )
    sprite.stroke(squeeze(((0.7, 0.34), (0.5, 1.06), (0.34, 1.14))), 0.09, (150, 152, 156), c.MOTORCYCLE)
    sprite.stroke(squeeze(((-0.1, 0.26), (-0.9, 0.34))), 0.1, (180, 182, 186), c.MOTORCYCLE)
    sprite.disc(0.62 * narrow, 0.92, 0.1, (250, 244, 210), c.MOTORCYCLE)
    if ridden:
        _rider(sprite, dice, narrow, seat=0.88, handle=(0.4, 1.1), pedal=(-0.05, 0.3), helmet=1.0)


def _wheel(sprite, u, radius, narrow, colour, label, tyre) -> None:
    # The label covers the whole wheel, as annotators draw it; the picture shows through the spokes.
    rim = [sprite.at(u + radius * narrow * a, radius + radius * b) for a, b in c.CIRCLE]
    canvas = sprite.canvas
    canvas.paint_label(rim, label)
    width = max(1.0, tyre * sprite.scale)
    canvas.stroke(rim, width, canvas.light(colour, sprite.z), label, closed=True)
    if sprite.fine:
        spokes = canvas.light((150, 152, 156), sprite.z)
        for a, b in c.CIRCLE[:8:2]:
            ends = [
                sprite.at(u + radius * narrow * a, radius + radius * b),
                sprite.at(u - radius * narrow * a, radius - radius * b),
            ]
            canvas.stroke(ends, 1.0, spokes, None)


def _rider(sprite, dice, narrow, seat, handle, pedal, helmet) -> None:
    shirt = dice.vary(dice.pick(CLOTHES), 16)
    trousers = dice.vary(dice.pick(TROUSERS), 10)
    skin, hair = dice.pick(SKINS), dice.pick(HAIRS)
    hip = (-0.24 * narrow, seat + 0.04)
    shoulder = (0.1 * narrow, seat + 0.56)
    knee = (0.18 * narrow, seat - 0.2)
    foot = (pedal[0] * narrow, pedal[1])
    sprite.stroke((hip, knee, foot), 0.17, trousers, c.RIDER)
    sprite.paint(
        (
            (hip[0] - 0.17, hip[1] - 0.06),
            (hip[0] + 0.17, hip[1] - 0.06),
            (shoulder[0] + 0.18, shoulder[1]),
            (shoulder[0] - 0.18, shoulder[1] + 0.04),
        ),
        shirt,
        c.RIDER,
    )
    grip = (handle[0] * narrow, handle[1])
    sprite.stroke((shoulder, (0.28 * narrow, seat + 0.24), grip), 0.12, shirt, c.RIDER, 0.85)
    head = (shoulder[0] + 0.07, shoulder[1] + 0.2)
    _head(sprite, head[0], head[1], skin, hair, c.RIDER)
    if dice.chance(helmet):
        shell = dice.pick(CLOTHES)
        sprite.paint(
            [
                (head[0] + u, head[1] + v)
                for u, v in ((-0.16, -0.02), (-0.13, 0.13), (0.0, 0.18), (0.13, 0.13), (0.17, 0.02))
            ],
            shell,
            c.RIDER,
        )

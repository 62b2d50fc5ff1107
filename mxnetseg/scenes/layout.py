"""A scene from its number: weather, street plan, ground, then everything on it far to near."""

from __future__ import annotations

from typing import NamedTuple, Tuple

import numpy as np

from mxnetseg.scenes import canvas as c
from mxnetseg.scenes import street, textures
from mxnetseg.scenes.placing import Things, line_street, populate_pavements, put_railings, run_traffic

LANE = 3.3

_ASPHALT = ((92, 92, 96), (104, 102, 104), (78, 80, 86), (112, 106, 102))
_PAVING = ((160, 156, 152), (148, 138, 132), (170, 160, 144), (132, 132, 136))


class Plan(NamedTuple):
    """Widths in metres from the middle of the road; negative x is left."""

    kind: str
    left: float
    right: float
    pavement_left: float
    pavement_right: float
    verge_left: float
    verge_right: float
    lanes: Tuple[Tuple[float, bool], ...]  # (middle, oncoming), the camera's own lane last
    rails: Tuple[Tuple[float, bool], ...]  # tram tracks, likewise
    cycle_lane: bool
    parking: bool
    crossing: float  # depth of a crossing street, 0: none

    @property
    def front_left(self) -> float:
        return self.left - self.pavement_left - self.verge_left

    @property
    def front_right(self) -> float:
        return self.right + self.pavement_right + self.verge_right


class Weather(NamedTuple):
    light: c.Light
    zenith: c.Colour
    rim: c.Colour
    cloudy: float
    dusk: bool


def draw_scene(seed: int, index: int, size: Tuple[int, int]) -> Tuple[np.ndarray, np.ndarray]:
    """Scene `index` of the world `seed` at `size` (h, w): uint8 (h, w, 3) RGB, uint8 (h, w) train ids.

    The scene is the same at every size of one shape; only its pixels differ. 255 marks what no class
    covers.
    """
    dice = c.Dice((seed << 64) + index)
    weather = _weather(dice)
    plan = _plan(dice)
    canvas = c.Canvas(
        size,
        weather.light,
        horizon=dice.between(0.36, 0.5),
        camera=(plan.lanes[-1][0] + dice.between(-0.5, 0.5), dice.between(1.3, 1.9)),
        bend=(dice.between(-0.05, 0.05), dice.between(-0.0022, 0.0022)),
    )
    street.sky(canvas, dice.fork(), weather.zenith, weather.rim, weather.cloudy)
    if dice.chance(0.75):
        kind = "trees" if plan.kind in ("suburb", "park") else "skyline"
        street.backdrop(canvas, dice.fork(), kind)
    _ground(canvas, dice.fork(), plan)
    things = Things(canvas)
    line_street(things, dice.fork(), plan, weather.dusk)
    put_railings(things, dice.fork(), plan)
    run_traffic(things, dice.fork(), plan, weather.dusk)
    populate_pavements(things, dice.fork(), plan, weather.dusk)
    _row_shadow(things, dice.fork(), plan)
    things.paint()
    if dice.chance(0.25):
        _bonnet(canvas, dice)
    textures.lay_over(canvas.image, canvas.label, dice)
    return canvas.image, canvas.label


def _weather(dice: c.Dice) -> Weather:
    mood = dice.random()
    if mood < 0.13:  # dusk
        gain = dice.between(0.55, 0.75)
        light = c.Light((gain, 0.92 * gain, gain), dice.vary((150, 112, 100), 10), 110.0, 0)
        zenith, rim = dice.vary((52, 62, 104), 12), dice.vary((226, 150, 104), 22)
        return Weather(light, zenith, rim, 0.4, True)
    if mood < 0.58:  # sun from one side
        depth, side = dice.between(160.0, 320.0), dice.pick((-1, 1))
        light = c.Light((1.04, 1.0, 0.95), (196, 208, 220), depth, side)
        zenith, rim = dice.vary((84, 134, 196), 20), dice.vary((188, 210, 228), 14)
        return Weather(light, zenith, rim, dice.between(0.2, 1.0), False)
    if mood < 0.84:  # overcast
        grey = dice.between(-20.0, 12.0)
        light = c.Light((0.9, 0.92, 0.95), (190, 196, 202), dice.between(110.0, 240.0), 0)
        zenith, rim = (176 + grey, 184 + grey, 194 + grey), (208 + grey, 212 + grey, 216 + grey)
        return Weather(light, zenith, rim, dice.between(0.3, 0.7), False)
    rim = dice.vary((206, 208, 208), 8)  # haze
    light = c.Light((0.96, 0.96, 0.96), rim, dice.between(34.0, 70.0), 0)
    return Weather(light, dice.vary((190, 198, 206), 8), rim, 0.2, False)


def _plan(dice: c.Dice) -> Plan:
    kind = dice.pick(("street", "street", "suburb", "park", "park", "yard"))
    ours, theirs = dice.pick(((1, 1), (1, 1), (1, 1), (2, 1), (2, 2), (1, 0)))
    lanes = [(-LANE * (i + 0.5), True) for i in reversed(range(theirs))]
    lanes += [(LANE * (i + 0.5), False) for i in range(ours)]
    left, right = -LANE * theirs - 0.5, LANE * ours + 0.5
    rails: Tuple[Tuple[float, bool], ...] = ()
    if dice.chance(0.48):
        rails = ((left - 1.6, dice.chance(0.6)),)
        left -= 3.4
    cycle_lane = dice.chance(0.4)
    right += 1.5 if cycle_lane else 0.0
    parking = dice.chance(0.38)
    right += 2.2 if parking else 0.0
    verge = (0.0, 0.0)
    if kind != "street":
        verge = (dice.between(2.0, 9.0), dice.between(2.0, 9.0))
    crossing = dice.between(14.0, 30.0) if dice.chance(0.34) else 0.0
    return Plan(
        kind,
        left,
        right,
        dice.between(2.2, 5.0),
        dice.between(2.2, 5.0),
        verge[0],
        verge[1],
        tuple(lanes),
        rails,
        cycle_lane,
        parking,
        crossing,
    )


def _ground(canvas: c.Canvas, dice: c.Dice, plan: Plan) -> None:
    grass = dice.vary(dice.pick(street.GRASS), 12)
    paving = dice.vary(dice.pick(_PAVING), 12)
    asphalt = dice.vary(dice.pick(_ASPHALT), 10)
    kerb = tuple(min(255.0, 1.25 * value) for value in paving)
    wide = 400.0
    if plan.kind == "street":
        street.strip(canvas, -wide, wide, paving, c.SIDEWALK)
    else:
        street.strip(canvas, -wide, wide, grass, c.TERRAIN)
    street.strip(canvas, plan.left - plan.pavement_left, plan.left, paving, c.SIDEWALK)
    street.strip(canvas, plan.right, plan.right + plan.pavement_right, paving, c.SIDEWALK)
    street.strip(canvas, plan.left, plan.right, asphalt, c.ROAD)
    if plan.kind != "street" and dice.chance(0.6):  # grass between kerb and pavement
        wide = dice.between(0.6, 0.5 * min(plan.pavement_left, plan.pavement_right))
        street.strip(canvas, plan.left - wide, plan.left, grass, c.TERRAIN)
        street.strip(canvas, plan.right, plan.right + wide, grass, c.TERRAIN)
    for x in (plan.left - 0.25, plan.right):
        street.strip(canvas, x, x + 0.25, kerb, c.SIDEWALK)
    if plan.crossing:
        near, far = plan.crossing, plan.crossing + 8.0
        street.strip(canvas, -60.0, 60.0, asphalt, c.ROAD, near, far)
    if dice.chance(0.4):  # a mended place
        left = dice.between(plan.left, plan.right - 2.0)
        near = dice.between(4.0, 16.0)
        mended = tuple(0.82 * value for value in asphalt)
        street.strip(canvas, left, left + 2.0, mended, c.ROAD, near, near + 4.0)
    _markings(canvas, dice, plan)
    street.haze_over_ground(canvas)


def _markings(canvas: c.Canvas, dice: c.Dice, plan: Plan) -> None:
    paint = dice.vary((222, 222, 214), 14)
    for x in sorted({middle + LANE / 2 for middle, _ in plan.lanes[:-1]}):
        if abs(x) < 0.1 and dice.chance(0.5):
            street.line(canvas, x, 0.14, paint)
        else:
            street.dashes(canvas, x, 0.16, 3.0, 4.0, paint)
    edge = plan.lanes[-1][0] + LANE / 2 + 0.1
    street.line(canvas, edge, 0.14, paint)
    if plan.cycle_lane:
        tint = dice.pick(((150, 84, 76), (92, 92, 96)))
        street.strip(canvas, edge + 0.3, edge + 1.7, tint, c.ROAD)
    for middle, _ in plan.rails:
        for x in (middle - 0.72, middle + 0.72):
            street.line(canvas, x, 0.13, (58, 54, 52))
    if dice.chance(0.3) or plan.crossing:
        z = plan.crossing - 4.2 if plan.crossing else dice.between(6.0, 20.0)
        street.crosswalk(canvas, plan.left, plan.right, z, paint)


def _row_shadow(things: Things, dice: c.Dice, plan: Plan) -> None:
    """With the sun at the side, the row on that side throws its shadow over part of the street."""
    canvas = things.canvas
    sun = canvas.light.sun_side
    if sun == 0 or plan.kind != "street" or dice.chance(0.3):
        return
    start = plan.front_left if sun < 0 else plan.front_right
    reach = -sun * dice.between(2.0, 0.8 * (plan.right - plan.left) + 4.0)
    depths = (1.2, 3.0, 6.0, 12.0, 25.0, 60.0, 150.0)
    outline = [canvas.project(start, 0.0, z) for z in depths]
    edge = [canvas.project(start + reach + dice.between(-0.6, 0.6), 0.0, z) for z in depths]
    things.shadows.insert(0, (outline + edge[::-1], 150))


def _bonnet(canvas: c.Canvas, dice: c.Dice) -> None:
    """The front of the car that carries the camera; no class, ignored."""
    width, height = canvas.width, canvas.height
    top = height * dice.between(0.9, 0.97)
    shoulder = top + 0.25 * (height - top)
    points = [
        (-0.05 * width, height + 2),
        (0.1 * width, shoulder),
        (0.32 * width, top),
        (0.68 * width, top),
        (0.9 * width, shoulder),
        (1.05 * width, height + 2),
    ]
    canvas.paint(points, canvas.light((44, 46, 50), 0.0), c.IGNORE)

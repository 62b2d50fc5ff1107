"""What stands where: a street is laid out in metres, then painted far to near."""

from __future__ import annotations

from typing import Callable, List, NamedTuple, Tuple

import numpy as np

from mxnetseg.data.scenes import canvas as c
from mxnetseg.data.scenes import furniture, people, street, textures, vehicles

_LANE = 3.3

# Shares of what lines the street: building, wall, fence, hedge, gap.
_KINDS = {
    "street": (0.66, 0.12, 0.08, 0.06, 0.08),
    "suburb": (0.30, 0.16, 0.26, 0.18, 0.10),
    "park": (0.16, 0.20, 0.26, 0.22, 0.16),
    "yard": (0.30, 0.34, 0.24, 0.04, 0.08),
}


class Thing(NamedTuple):
    """Something to paint when everything beyond depth `z` has been painted."""

    z: float
    paint: Callable[[], None]


class Street(NamedTuple):
    """Widths in metres from the middle of the road; negative x is left."""

    kind: str
    left: float
    right: float
    pavement_left: float
    pavement_right: float
    verge_left: float
    verge_right: float
    lanes: Tuple[Tuple[float, bool], ...]  # (middle, oncoming)
    rails: Tuple[Tuple[float, bool], ...]  # tram tracks, likewise
    crossing: float  # depth of a crossing street, 0: none

    @property
    def front_left(self) -> float:
        return self.left - self.pavement_left - self.verge_left

    @property
    def front_right(self) -> float:
        return self.right + self.pavement_right + self.verge_right


def draw_scene(seed: int, index: int, size: Tuple[int, int]) -> Tuple[np.ndarray, np.ndarray]:
    """Scene `index` of the world `seed` at `size` (h, w): uint8 (h, w, 3) RGB, uint8 (h, w) train ids.

    The scene is the same at every size; only its pixels differ. 255 marks what no class covers.
    """
    dice = c.Dice(np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, index]))))
    dusk = dice.chance(0.14)
    light, zenith, rim, cloudy = _weather(dice, dusk)
    plan = _plan(dice)
    own = plan.lanes[-1][0]
    canvas = c.Canvas(
        size,
        light,
        horizon=dice.between(0.36, 0.5),
        camera=(own + dice.between(-0.5, 0.5), dice.between(1.3, 1.9)),
        bend=(dice.between(-0.05, 0.05), dice.between(-0.0022, 0.0022)),
    )
    street.sky(canvas, dice, zenith, rim, cloudy)
    if dice.chance(0.75):
        street.backdrop(canvas, dice, "trees" if plan.kind in ("suburb", "park") else "skyline")
    _ground(canvas, dice, plan)
    things: List[Thing] = []
    shadows: List[Tuple[List[c.Point], int]] = []
    _line_streets(canvas, dice, plan, things, dusk)
    _traffic(canvas, dice, plan, things, shadows, dusk)
    _pavements(canvas, dice, plan, things, shadows, dusk)
    _sun_shadows(canvas, dice, plan, shadows)
    canvas.darken(shadows)
    for thing in sorted(things, key=lambda thing: -thing.z):
        thing.paint()
    if dice.chance(0.25):
        _bonnet(canvas, dice)
    textures.lay_over(canvas.image, canvas.label, dice)
    return canvas.image, canvas.label


def _weather(dice: c.Dice, dusk: bool):
    """Light, sky colours at the top and the horizon, and how cloudy it is (0..1)."""
    if dusk:
        zenith, rim = dice.vary((52, 62, 104), 12), dice.vary((226, 150, 104), 22)
        ambient = dice.vary((0.5, 0.46, 0.5), 0.0)
        gain = dice.between(0.9, 1.25)
        return (
            c.Light(tuple(gain * a for a in ambient), dice.vary((150, 112, 100), 10), 110.0, 0),
            zenith,
            rim,
            0.4,
        )
    mood = dice.random()
    if mood < 0.5:  # sun
        zenith, rim = dice.vary((84, 134, 196), 20), dice.vary((188, 210, 228), 14)
        light = c.Light(
            (1.04, 1.0, 0.95), (196, 208, 220), dice.between(160, 320), dice.pick((-1, 1))
        )
        return light, zenith, rim, dice.between(0.2, 1.0)
    if mood < 0.82:  # overcast
        grey = dice.between(-20, 12)
        zenith, rim = (176 + grey, 184 + grey, 194 + grey), (208 + grey, 212 + grey, 216 + grey)
        light = c.Light((0.9, 0.92, 0.95), (190, 196, 202), dice.between(110, 240), 0)
        return light, zenith, rim, dice.between(0.3, 0.7)
    rim = dice.vary((206, 208, 208), 8)  # haze
    light = c.Light((0.96, 0.96, 0.96), rim, dice.between(34, 70), 0)
    return light, dice.vary((190, 198, 206), 8), rim, 0.2


def _plan(dice: c.Dice) -> Street:
    kind = dice.pick(("street", "street", "street", "suburb", "park", "yard"))
    ours, theirs = dice.pick(((1, 1), (1, 1), (2, 1), (2, 2), (1, 0)))
    middle = 0.0
    lanes = [(middle - _LANE * (i + 0.5), True) for i in range(theirs)]
    lanes += [(middle + _LANE * (i + 0.5), False) for i in range(ours)]
    left, right = -_LANE * theirs - 0.5, _LANE * ours + 0.5
    rails: Tuple[Tuple[float, bool], ...] = ()
    if dice.chance(0.42):  # a track of its own beside the lanes, or shared with the oncoming lane
        rails = ((left - 1.6, dice.chance(0.6)),)
        left -= 3.4
    if dice.chance(0.5):  # room to park
        right += 2.2
    verge = (0.0, 0.0) if kind == "street" else (dice.between(0.8, 5.0), dice.between(0.8, 5.0))
    return Street(
        kind,
        left,
        right,
        dice.between(1.8, 4.2),
        dice.between(1.8, 4.2),
        *verge,
        tuple(lanes),
        rails,
        dice.between(14.0, 30.0) if dice.chance(0.34) else 0.0,
    )


def _ground(canvas: c.Canvas, dice: c.Dice, plan: Street) -> None:
    grass = dice.vary(dice.pick(street.GRASS), 12)
    paving = dice.vary(
        dice.pick(((160, 156, 152), (148, 138, 132), (170, 160, 144), (132, 132, 136))), 12
    )
    asphalt = dice.vary(
        dice.pick(((92, 92, 96), (104, 102, 104), (78, 80, 86), (112, 106, 102))), 10
    )
    kerb = tuple(min(255.0, 1.25 * v) for v in paving)
    wide = 400.0
    outside = (grass, c.TERRAIN) if plan.kind != "street" else (paving, c.SIDEWALK)
    street.strip(canvas, -wide, wide, *outside)
    if plan.verge_left > 0:
        street.strip(
            canvas, plan.front_left - 2.0, plan.left - plan.pavement_left, grass, c.TERRAIN
        )
        street.strip(
            canvas, plan.right + plan.pavement_right, plan.front_right + 2.0, grass, c.TERRAIN
        )
    street.strip(canvas, plan.left - plan.pavement_left, plan.left, paving, c.SIDEWALK)
    street.strip(canvas, plan.right, plan.right + plan.pavement_right, paving, c.SIDEWALK)
    street.strip(canvas, plan.left, plan.right, asphalt, c.ROAD)
    for x in (plan.left - 0.25, plan.right):
        street.strip(canvas, x, x + 0.25, kerb, c.SIDEWALK)
    if plan.crossing:
        near, far = plan.crossing, plan.crossing + 8.0
        street.strip(canvas, -60.0, 60.0, asphalt, c.ROAD, near, far)
    if dice.chance(0.4):  # a mended place
        left = dice.between(plan.left, plan.right - 2.0)
        z = dice.between(4.0, 16.0)
        street.strip(canvas, left, left + 2.0, tuple(0.82 * v for v in asphalt), c.ROAD, z, z + 4.0)
    paint = dice.vary((222, 222, 214), 14)
    for x in sorted({middle + _LANE / 2 for middle, _ in plan.lanes[:-1]}):
        if plan.lanes[0][1] and abs(x) < 0.1 and dice.chance(0.5):
            street.line(canvas, x, 0.14, paint)
        else:
            street.dashes(canvas, x, 0.16, 3.0, 4.0, paint)
    street.line(canvas, plan.lanes[-1][0] + _LANE / 2 + 0.1, 0.14, paint)
    for middle, _ in plan.rails:
        for x in (middle - 0.72, middle + 0.72):
            street.line(canvas, x, 0.13, (58, 54, 52))
    if dice.chance(0.3) or plan.crossing:
        z = plan.crossing - 4.2 if plan.crossing else dice.between(6.0, 20.0)
        street.crosswalk(canvas, plan.left, plan.right, z, paint)
    street.haze_over_ground(canvas)


def _line_streets(canvas, dice, plan: Street, things: List[Thing], dusk: bool) -> None:
    """Rows of buildings, walls, fences and hedges on both sides, as far as they can be told apart."""
    building, wall, fence, hedge, _ = _KINDS[plan.kind]
    for side, x in ((-1, plan.front_left), (1, plan.front_right)):
        z = dice.between(-8.0, 1.0)
        while z < 120.0:
            draw = dice.random()
            length = dice.between(8.0, 20.0)
            if plan.crossing and z < plan.crossing + 9.0 and z + length > plan.crossing - 1.0:
                if z < plan.crossing - 4.0:
                    length = plan.crossing - 1.0 - z
                else:
                    z = plan.crossing + 9.0
                    continue
            end = z + length
            # Things do not share their dice: each carries its own choices with it.
            if end > c.NEAR + 0.5:
                own = c.Dice(np.random.Generator(np.random.PCG64(int(dice.random() * 2**53))))
                near, far = z, end
                if draw < building:
                    paint = _bound(street.building, canvas, own, x, near, far, dusk)
                elif draw < building + wall:
                    paint = _bound(street.wall, canvas, own, x, near, far)
                elif draw < building + wall + fence:
                    paint = _bound(street.fence, canvas, own, x, near, far)
                elif draw < building + wall + fence + hedge:
                    paint = _bound(street.hedge, canvas, own, x, near, far)
                else:
                    paint = None
                if paint is not None:
                    things.append(Thing(far, paint))
                if draw > building and plan.kind != "street" and dice.chance(0.75):
                    # Behind anything low stand trees or houses.
                    behind = x + side * dice.between(3.0, 7.0)
                    if dice.chance(0.5):
                        things.append(
                            Thing(
                                far + 0.2,
                                _bound(
                                    furniture.tree,
                                    canvas,
                                    own,
                                    behind,
                                    max(0.5 * (near + far), 4.0),
                                ),
                            )
                        )
                    else:
                        things.append(
                            Thing(
                                far + 0.2,
                                _bound(
                                    street.building, canvas, own, behind + side * 3, near, far, dusk
                                ),
                            )
                        )
            z = end + (dice.between(0.0, 3.0) if dice.chance(0.25) else 0.0)


def _bound(paint: Callable, *arguments) -> Callable[[], None]:
    return lambda: paint(*arguments)


_VEHICLES = {
    c.CAR: (vehicles.car, 4.2),
    c.BUS: (vehicles.bus, 11.0),
    c.TRUCK: (vehicles.truck, 7.5),
}


def _traffic(canvas, dice, plan: Street, things, shadows, dusk: bool) -> None:
    for number, (middle, oncoming) in enumerate(plan.lanes):
        own = number == len(plan.lanes) - 1
        z = dice.between(6.0, 16.0) if own else dice.between(2.5, 12.0)
        while z < 75.0:
            length = _vehicle(
                canvas, dice, middle + dice.between(-0.3, 0.3), z, oncoming, things, shadows, dusk
            )
            z += length + dice.between(3.0, 22.0)
    for middle, oncoming in plan.rails:
        if dice.chance(0.85):
            z = dice.between(4.0, 26.0)
            shadows.append(
                (vehicles.Box(canvas, middle - 1.25, middle + 1.25, z, z + 26).shadow(), 90)
            )
            things.append(Thing(z, _bound(vehicles.train, canvas, dice, middle, z, oncoming, dusk)))
    parked = plan.lanes[-1][0] + _LANE / 2 + 1.3
    if plan.right - parked > 0.8:
        z = dice.between(2.0, 8.0)
        while z < 60.0:
            if dice.chance(0.75):
                shadows.append(
                    (vehicles.Box(canvas, parked - 0.9, parked + 0.9, z, z + 4.2).shadow(), 110)
                )
                things.append(
                    Thing(z, _bound(vehicles.car, canvas, dice, parked, z, dice.chance(0.2), False))
                )
            z += dice.between(5.2, 8.0)
    if plan.crossing:
        for z in (plan.crossing + 6.0, plan.crossing + 2.2):
            x = dice.between(-16.0, 4.0)
            for _ in range(dice.whole(0, 2)):
                kind = dice.pick((c.CAR, c.CAR, c.BUS, c.TRUCK, c.TRAIN))
                half = {c.CAR: 2.1, c.BUS: 5.5, c.TRUCK: 3.8, c.TRAIN: 13.0}[kind]
                x += half
                outline = vehicles.Box(canvas, x - half, x + half, z - 1.0, z + 0.8).shadow()
                shadows.append((outline, 110))
                things.append(Thing(z, _bound(vehicles.crossing, canvas, dice, kind, x, z)))
                x += half + dice.between(1.0, 8.0)


def _vehicle(canvas, dice, x, z, oncoming, things, shadows, dusk) -> float:
    """Put something on a lane at depth z; returns how long it is."""
    draw = dice.random()
    if draw < 0.24:
        ride = people.bicycle if draw < 0.12 else people.motorcycle
        shadows.append((vehicles.Box(canvas, x - 0.7, x + 0.7, z - 0.3, z + 0.3).shadow(), 130))
        things.append(Thing(z, _bound(ride, canvas, dice, x, z, True)))
        return 1.8
    kind = c.CAR if draw < 0.64 else c.TRUCK if draw < 0.82 else c.BUS
    paint, length = _VEHICLES[kind]
    half = 0.9 if kind == c.CAR else 1.27
    shadows.append((vehicles.Box(canvas, x - half, x + half, z, z + length).shadow(), 90))
    things.append(Thing(z, _bound(paint, canvas, dice, x, z, oncoming, dusk)))
    return length


def _pavements(canvas, dice, plan: Street, things, shadows, dusk: bool) -> None:
    def put(paint, x, z, *more, radius=0.35, kept=150):
        if radius:
            shadows.append(
                (vehicles.Box(canvas, x - radius, x + radius, z - 0.15, z + 0.15).shadow(), kept)
            )
        things.append(Thing(z, _bound(paint, canvas, dice, x, z, *more)))

    for side, edge, width in (
        (-1, plan.left, plan.pavement_left),
        (1, plan.right, plan.pavement_right),
    ):
        kerb = edge + side * 0.45
        z = dice.between(4.0, 9.0)
        trees = dice.chance(0.45)
        while z < 60.0:
            draw = dice.random()
            if draw < 0.26:
                put(furniture.sign, kerb, z)
            elif draw < 0.46:
                put(furniture.lamp_post, kerb, z, dusk)
            elif draw < 0.66:
                put(furniture.traffic_light, kerb, z, dusk)
            elif draw < 0.86 and trees:
                put(furniture.tree, kerb + side * 0.3, z, radius=1.2, kept=165)
            elif draw < 0.92:
                put(furniture.bin_or_box, kerb + side * 0.5, z)
            else:
                for step in range(3):
                    put(furniture.bollard, kerb, z + 1.6 * step)
            z += dice.between(3.5, 11.0)
        for _ in range(dice.whole(1, 5)):
            z = 4.0 + 30.0 * dice.random() * dice.random()
            for _ in range(dice.pick((1, 1, 2, 3))):
                put(
                    people.person,
                    edge + side * dice.between(0.5, width + 0.3),
                    z + dice.between(-0.5, 0.5),
                )
        for _ in range(dice.whole(0, 3)):
            z = 5.0 + 22.0 * dice.random() * dice.random()
            ride = dice.pick((people.bicycle, people.bicycle, people.motorcycle))
            put(ride, edge + side * dice.between(0.9, width), z, False, radius=0.8)
        verge = plan.verge_left if side < 0 else plan.verge_right
        if verge > 1.0:
            for _ in range(dice.whole(1, 6)):
                z = dice.between(4.0, 40.0)
                x = edge + side * (width + dice.between(0.6, verge))
                put(dice.pick((furniture.tree, furniture.bush)), x, z, radius=0.9)
    if plan.crossing or dice.chance(0.2):
        for _ in range(dice.whole(0, 3)):  # people crossing
            z = (plan.crossing - 3.0 if plan.crossing else dice.between(8.0, 20.0)) + dice.between(
                -0.8, 0.8
            )
            put(people.person, dice.between(plan.left, plan.right), z)


def _sun_shadows(canvas, dice, plan: Street, shadows) -> None:
    """With the sun at the side, the row on that side throws its shadow over part of the street."""
    sun = canvas.light.sun_side
    if sun == 0 or plan.kind != "street" or dice.chance(0.3):
        return
    start = plan.front_left if sun < 0 else plan.front_right
    reach = -sun * dice.between(2.0, 0.8 * (plan.right - plan.left) + 4.0)
    depths = (1.2, 3.0, 6.0, 12.0, 25.0, 60.0, 150.0)
    outline = [canvas.project(start, 0.0, z) for z in depths]
    outline += [
        canvas.project(start + reach + dice.between(-0.6, 0.6), 0.0, z) for z in reversed(depths)
    ]
    shadows.insert(0, (outline, 150))


def _bonnet(canvas: c.Canvas, dice: c.Dice) -> None:
    """The front of the car that carries the camera; no class, ignored."""
    width, height = canvas.width, canvas.height
    top = height * dice.between(0.9, 0.97)
    points = [
        (-0.05 * width, height + 2),
        (0.1 * width, top + 0.25 * (height - top)),
        (0.32 * width, top),
        (0.68 * width, top),
        (0.9 * width, top + 0.25 * (height - top)),
        (1.05 * width, height + 2),
    ]
    canvas.paint(points, canvas.light((44, 46, 50), 0.0), c.IGNORE)

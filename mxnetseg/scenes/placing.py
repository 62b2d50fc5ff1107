"""What stands and drives where, and in which order it is painted."""

from __future__ import annotations

from typing import Callable, List, NamedTuple, Sequence, Tuple

from mxnetseg.scenes import canvas as c
from mxnetseg.scenes import furniture, people, street, vehicles

# Shares of what lines the street: building, wall, fence, hedge; the rest is a gap.
_ROWS = {
    "street": (0.58, 0.17, 0.14, 0.05),
    "suburb": (0.20, 0.20, 0.38, 0.17),
    "park": (0.10, 0.24, 0.40, 0.18),
    "yard": (0.16, 0.42, 0.34, 0.04),
}
# Depth beyond which nothing can be told apart, metres.
_HORIZON = 120.0

_LANED = {c.CAR: (vehicles.car, 4.2), c.BUS: (vehicles.bus, 11.0), c.TRUCK: (vehicles.truck, 7.5)}
_HALF_LENGTH = {c.CAR: 2.1, c.BUS: 5.5, c.TRUCK: 3.8, c.TRAIN: 13.0}


class Thing(NamedTuple):
    """Something at x that reaches from depth z to `far`."""

    z: float
    far: float
    x: float
    paint: Callable[[], None]


class Things:
    """Everything that stands on the ground of one scene, and the shadows it throws."""

    def __init__(self, canvas: c.Canvas):
        self.canvas = canvas
        self.things: List[Thing] = []
        self.shadows: List[Tuple[List[c.Point], int]] = []

    def put(
        self,
        paint: Callable,
        dice: c.Dice,
        x: float,
        z: float,
        *more,
        half: float = 0.35,
        length: float = 0.3,
        dark: int = 150,
        order: float = 0.0,
    ) -> None:
        """`paint(canvas, dice, x, z, *more)`, with a shadow 2 * `half` wide that keeps `dark` of 255.

        `order`: paint it as if it stood at that depth.
        """
        own = dice.fork()
        if dark < 255:
            near = z if length > 1 else z - length / 2
            box = vehicles.Box(self.canvas, x - half, x + half, near, near + length)
            self.shadows.append((box.shadow(), dark))
        far = z + (length if length > 1 else 0.0)
        depth, far = (order, order) if order else (z, far)
        self.things.append(Thing(depth, far, x, lambda: paint(self.canvas, own, x, z, *more)))

    def put_front(self, paint: Callable, dice: c.Dice, x: float, near: float, far: float, *more):
        """A row along the street. Nothing inside the street lies behind it."""
        own = dice.fork()
        self.things.append(Thing(far, far, x, lambda: paint(self.canvas, own, x, near, far, *more)))

    def paint(self) -> None:
        self.canvas.darken(self.shadows)
        for thing in self._far_to_near():
            thing.paint()

    def _far_to_near(self) -> Sequence[Thing]:
        order = sorted(self.things, key=lambda thing: -thing.z)
        for long in [thing for thing in order if thing.far > thing.z + 3.0 and thing.z < 40.0]:
            # Beside a long vehicle, what is nearer the camera's line is seen in front of its flank
            # although it may stand farther away than the vehicle's near end.
            place = order.index(long)
            offset = abs(long.x - self.canvas.camera_x)
            inside = [
                thing
                for thing in order[:place]
                if thing.z < long.far
                and abs(thing.x - self.canvas.camera_x) < offset - 1.0
                and (thing.x - self.canvas.camera_x) * (long.x - self.canvas.camera_x) > -2.0
            ]
            if inside:
                moved = set(map(id, inside))
                rest = [thing for thing in order if id(thing) not in moved]
                place = rest.index(long) + 1
                order = rest[:place] + inside + rest[place:]
        return order


def line_street(things: Things, dice: c.Dice, plan, dusk: bool) -> None:
    """Rows of buildings, walls, fences and hedges on both sides."""
    for side, x in ((-1, plan.front_left), (1, plan.front_right)):
        z = dice.between(-8.0, 1.0)
        while z < _HORIZON:
            end = z + dice.between(8.0, 20.0)
            if plan.crossing and z < plan.crossing + 9.0 and end > plan.crossing - 1.0:
                if z > plan.crossing - 4.0:
                    z = plan.crossing + 9.0
                    continue
                end = plan.crossing - 1.0
            if end > c.NEAR + 0.5:
                _put_row(things, dice, plan.kind, side, x, z, end, dusk)
            z = end + (dice.between(0.0, 3.0) if dice.chance(0.25) else 0.0)


def _put_row(things: Things, dice: c.Dice, kind: str, side: int, x, near, far, dusk: bool) -> None:
    building, wall, fence, hedge = _ROWS[kind]
    draw = dice.random()
    if draw < building:
        things.put_front(street.building, dice, x, near, far, dusk)
        return
    if kind != "street" and dice.chance(0.75):
        # Behind anything low stand trees or houses.
        behind = x + side * dice.between(3.0, 7.0)
        if dice.chance(0.5):
            z = max(0.5 * (near + far), 4.0)
            # Painted before the row whatever its own depth: it stands behind it.
            things.put(furniture.tree, dice, behind, z, dark=255, order=far + 0.2)
        else:
            things.put_front(street.building, dice, behind + 3.0 * side, near, far + 0.2, dusk)
    draw -= building
    for share, paint in ((wall, street.wall), (fence, street.fence), (hedge, street.hedge)):
        if draw < share:
            things.put_front(paint, dice, x, near, far)
            return
        draw -= share


def put_railings(things: Things, dice: c.Dice, plan) -> None:
    """Fences right at the kerb, as they keep people off the road."""
    for side, kerb in ((-1, plan.left), (1, plan.right)):
        if dice.chance(0.22):
            near = dice.between(1.5, 9.0)
            far = near + dice.between(8.0, 25.0)
            if plan.crossing:
                far = min(far, plan.crossing - 5.0)
            if far > near + 2.0:
                things.put_front(street.fence, dice, kerb + 0.35 * side, near, far, 1.15)


def run_traffic(things: Things, dice: c.Dice, plan, dusk: bool) -> None:
    """Vehicles in their lanes, trams on rails, parked cars, and what crosses."""
    own_lane = plan.lanes[-1][0]
    for middle, oncoming in plan.lanes:
        z = dice.between(7.0, 16.0) if middle == own_lane else dice.between(2.5, 12.0)
        while z < 75.0:
            x = middle + dice.between(-0.3, 0.3)
            z += _put_vehicle(things, dice, x, z, oncoming, dusk, middle == own_lane)
            z += dice.between(3.0, 22.0)
    for middle, oncoming in plan.rails:
        if dice.chance(0.85):
            z = dice.between(5.0, 26.0)
            things.put(vehicles.train, dice, middle, z, oncoming, dusk, half=1.25, length=26.0, dark=90)
    edge = own_lane + 1.65
    if plan.cycle_lane:
        z = dice.between(4.0, 12.0)
        while z < 40.0:
            ride = people.bicycle if dice.chance(0.7) else people.motorcycle
            things.put(ride, dice, edge + 1.0, z, True, half=0.7, dark=130)
            z += dice.between(4.0, 18.0)
        edge += 1.5
    if plan.parking:
        z = dice.between(2.0, 8.0)
        while z < 60.0:
            if dice.chance(0.75):
                things.put(
                    vehicles.car,
                    dice,
                    edge + 1.2,
                    z,
                    dice.chance(0.2),
                    False,
                    half=0.9,
                    length=4.2,
                    dark=110,
                )
            z += dice.between(5.2, 8.0)
    if plan.crossing:
        _put_crossing_traffic(things, dice, plan.crossing)


def _put_vehicle(things, dice, x, z, oncoming: bool, dusk: bool, own_lane: bool) -> float:
    """Something on a lane at depth z; returns its length."""
    draw = dice.random()
    if draw < 0.24:
        ride = people.bicycle if draw < 0.12 else people.motorcycle
        things.put(ride, dice, x, z, True, half=0.7, dark=130)
        return 1.8
    kind = c.CAR if draw < 0.62 else c.TRUCK if draw < 0.81 else c.BUS
    if own_lane and kind != c.CAR:
        z += 5.0  # not so near that nothing else is seen
    paint, length = _LANED[kind]
    half = 0.9 if kind == c.CAR else 1.27
    things.put(paint, dice, x, z, oncoming, dusk, half=half, length=length, dark=90)
    return length + (5.0 if own_lane and kind != c.CAR else 0.0)


def _put_crossing_traffic(things: Things, dice: c.Dice, depth: float) -> None:
    for z in (depth + 6.0, depth + 2.2):
        x = dice.between(-16.0, 4.0)
        for _ in range(dice.whole(0, 2)):
            kind = dice.pick((c.CAR, c.CAR, c.BUS, c.TRUCK, c.TRAIN))
            half = _HALF_LENGTH[kind]
            x += half
            things.put(
                lambda canvas, own, x, z, kind: vehicles.crossing(canvas, own, kind, x, z),
                dice,
                x,
                z,
                kind,
                half=half,
                length=1.0,
                dark=110,
            )
            x += half + dice.between(1.0, 8.0)


def populate_pavements(things: Things, dice: c.Dice, plan, dusk: bool) -> None:
    """Furniture along the kerbs, people, parked bicycles and motorcycles, greenery on the verge."""
    left = (-1, plan.left, plan.pavement_left, plan.verge_left)
    right = (1, plan.right, plan.pavement_right, plan.verge_right)
    for side, edge, width, verge in (left, right):
        _put_kerb_furniture(things, dice, edge + side * 0.45, side, dusk)
        for _ in range(dice.whole(1, 5)):
            z = 4.0 + 30.0 * dice.random() * dice.random()
            for _ in range(dice.pick((1, 1, 2, 3))):
                x = edge + side * dice.between(0.5, width + 0.3)
                things.put(people.person, dice, x, z + dice.between(-0.5, 0.5))
        for _ in range(dice.whole(0, 3)):
            z = 5.0 + 22.0 * dice.random() * dice.random()
            ride = dice.pick((people.bicycle, people.bicycle, people.motorcycle))
            things.put(ride, dice, edge + side * dice.between(0.9, width), z, False, half=0.8)
        if verge > 1.0:
            for _ in range(dice.whole(1, 5)):
                x = edge + side * (width + dice.between(0.6, verge))
                paint = dice.pick((furniture.tree, furniture.bush))
                things.put(paint, dice, x, dice.between(5.0, 40.0), half=0.9)
    if plan.crossing or dice.chance(0.2):
        depth = plan.crossing - 3.0 if plan.crossing else dice.between(8.0, 20.0)
        for _ in range(dice.whole(0, 3)):
            x = dice.between(plan.left, plan.right)
            things.put(people.person, dice, x, depth + dice.between(-0.8, 0.8))


def _put_kerb_furniture(things: Things, dice: c.Dice, kerb: float, side: int, dusk: bool) -> None:
    z = dice.between(4.0, 9.0)
    trees = dice.chance(0.45)
    while z < 60.0:
        draw = dice.random()
        if draw < 0.26:
            things.put(furniture.sign, dice, kerb, z)
        elif draw < 0.44:
            things.put(furniture.lamp_post, dice, kerb, z, dusk)
        elif draw < 0.64:
            things.put(furniture.traffic_light, dice, kerb, z, dusk)
        elif draw < 0.84 and trees:
            things.put(furniture.tree, dice, kerb + side * 0.3, z, half=1.2, dark=165)
        elif draw < 0.92:
            things.put(furniture.bin_or_box, dice, kerb + side * 0.5, z)
        else:
            for step in range(3):
                things.put(furniture.bollard, dice, kerb, z + 1.6 * step)
        z += dice.between(3.5, 11.0)

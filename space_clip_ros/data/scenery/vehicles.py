"""Cars, vans, lorries, buses and people: x forward, y left, z up, origin on the ground below the middle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from space_clip_ros.data.scenery.atlas import Atlas
from space_clip_ros.data.scenery.mesh import CUTOUT, DECAL, Mesh, box, concatenate, quads
from space_clip_ros.data.scenery.noise import Rng


@dataclass(frozen=True)
class CarShape:
    """Side view of a car: lengths in shares of its own, heights in metres.

    Attributes:
        size: length, width, height, metres.
        belt: height of the lower edge of the windows.
        bonnet: height of the front edge.
        cabin: where the rear window starts below and above, and the windscreen ends above and below.
    """

    size: tuple[float, float, float]
    belt: float
    bonnet: float
    cabin: tuple[float, float, float, float]


_SHAPES = (
    CarShape((3.8, 1.68, 1.48), 0.92, 0.74, (0.0, 0.07, 0.55, 0.76)),
    CarShape((4.2, 1.76, 1.47), 0.92, 0.72, (0.01, 0.1, 0.53, 0.73)),
    CarShape((4.5, 1.8, 1.44), 0.94, 0.72, (0.15, 0.27, 0.55, 0.72)),
    CarShape((4.7, 1.82, 1.5), 0.94, 0.74, (0.0, 0.07, 0.53, 0.71)),
    CarShape((4.6, 1.87, 1.72), 1.06, 0.92, (0.0, 0.06, 0.56, 0.74)),
    CarShape((4.4, 1.8, 1.83), 1.06, 0.95, (0.0, 0.03, 0.62, 0.82)),
    CarShape((5.0, 1.95, 1.97), 1.15, 1.0, (0.0, 0.02, 0.66, 0.84)),
    CarShape((5.9, 2.05, 2.55), 1.35, 1.05, (0.0, 0.01, 0.7, 0.86)),
)
_PAINTS = (
    (0.02, 0.02, 0.02),
    (0.05, 0.05, 0.055),
    (0.13, 0.13, 0.14),
    (0.4, 0.41, 0.42),
    (0.55, 0.56, 0.57),
    (0.85, 0.85, 0.84),
    (0.3, 0.02, 0.02),
    (0.03, 0.06, 0.2),
    (0.05, 0.12, 0.3),
    (0.02, 0.08, 0.05),
    (0.45, 0.38, 0.25),
    (0.6, 0.4, 0.02),
)
_GROUND_CLEARANCE = 0.22


def car(atlas: Atlas, rng: Rng) -> Mesh:
    """Return a car or van of random shape and colour."""
    shape = _SHAPES[rng.choice(len(_SHAPES), p=(0.16, 0.22, 0.14, 0.18, 0.1, 0.1, 0.06, 0.04))]
    length, width, height = np.asarray(shape.size) * rng.uniform(0.96, 1.04, 3)
    paint = np.asarray(_PAINTS[rng.integers(len(_PAINTS))]) * rng.uniform(0.8, 1.2)
    x = np.asarray(shape.cabin) * length - length / 2
    rear, front, belt, bonnet, foot = -length / 2, length / 2, shape.belt, shape.bonnet, _GROUND_CLEARANCE
    half, roof = width / 2, width / 2 - 0.22 * (height - belt)
    side = atlas.number(str(rng.choice(atlas.family("car_side"))))
    glass, body = atlas.number("car_glass"), atlas.number("car_paint")

    def across(x0: float, z0: float, y0: float, x1: float, z1: float, y1: float, texture: int) -> Mesh:
        """A face across the car; seen from outside when (x0, z0) lies behind (x1, z1) going over the roof."""
        return quads([(x0, y0, z0), (x0, -y0, z0), (x1, -y1, z1), (x1, y1, z1)], texture, tint=tints[texture])

    tints = {glass: (1.0, 1.0, 1.0), body: paint, side: paint}
    rear_face = atlas.number(str(rng.choice(atlas.family("car_rear"))))
    front_face = atlas.number(str(rng.choice(atlas.family("car_front"))))
    cabin = atlas.number("car_cabin")
    tints |= {rear_face: paint, front_face: paint, cabin: paint}
    faces = [
        across(rear, foot, half, rear, belt, half, rear_face),
        across(x[0], belt, half, x[1], height, roof, glass),
        across(x[1], height, roof, x[2], height, roof, body),
        across(x[2], height, roof, x[3], belt, half, glass),
        across(x[3], belt, half, front, bonnet, half, body),
        quads(
            [(front, -half, foot), (front, half, foot), (front, half, bonnet), (front, -half, bonnet)],
            front_face,
            tint=tints[front_face],
        ),
    ]
    if x[0] > rear + 0.05:
        faces.append(across(rear, belt, half, x[0], belt, half, body))
    low = [(rear, foot), (x[3], foot), (x[3], belt), (rear, belt)]
    nose = [(x[3], foot), (front, foot), (front, bonnet), (x[3], belt)]
    window = [(x[0], belt), (x[3], belt), (x[2], height), (x[1], height)]
    for outline, texture, bounds, inset in (
        (low, side, (rear, front, foot, belt), 0.0),
        (nose, side, (rear, front, foot, belt), 0.0),
        (window, cabin, (x[0], x[3], belt, height), half - roof),
    ):
        faces += _flanks(outline, texture, bounds, half, inset, belt, height, tints[texture])
    faces += [_wheel(atlas, share * length - length / 2, half, 0.31) for share in (0.19, 0.81)]
    return concatenate([*faces, _contact_shadow(atlas, length, width)])


def lorry(atlas: Atlas, rng: Rng) -> Mesh:
    """Return a lorry: box body or tank, with a cab in front."""
    length, width, body_height = rng.uniform(5, 11), rng.uniform(2.3, 2.55), rng.uniform(2.0, 2.8)
    floor = rng.uniform(0.9, 1.2)
    color = np.asarray(_PAINTS[rng.integers(3, len(_PAINTS))]) if rng.random() < 0.6 else np.full(3, 0.75)
    tarp = atlas.number(str(rng.choice(atlas.family("tarp"))))
    dark, rear = atlas.number("rubber"), atlas.number("lorry_rear")
    cab = rng.uniform(1.8, 2.3)
    if rng.random() < 0.25:
        body = _tank(length, width / 2, floor, atlas.number("metal"), rng)
    else:
        body = box((length, width, body_height), tarp, ends=rear, tint=color, base=floor)
    start = length / 2 + 0.3 + cab / 2
    head = _cab(atlas, cab, width, rng).placed((start, 0, 0), 0.0)
    chassis = box((length + cab, width * 0.75, floor - 0.5), dark, base=0.5).placed((cab / 2, 0, 0), 0.0)
    axles = [length / 2 + 0.9, -length / 2 + 1.0, -length / 2 + 2.2]
    wheels = [_wheel(atlas, at, width / 2, 0.5) for at in axles]
    shadow = _contact_shadow(atlas, length + cab, width).placed((cab / 2, 0, 0), 0.0)
    whole = concatenate([body, head, chassis, *wheels, shadow])
    return whole.placed((-cab / 2, 0, 0), 0.0)


def bus(atlas: Atlas, rng: Rng) -> Mesh:
    """Return a bus or tram."""
    length, width, height = rng.uniform(9, 16), 2.5, rng.uniform(2.9, 3.4)
    color = _PAINTS[rng.integers(3, len(_PAINTS))]
    paint = atlas.number("car_paint")
    body = box((length, width, height - 0.3), atlas.number("bus_side"), paint, tint=color, base=0.3)
    wheels = [_wheel(atlas, at, width / 2, 0.48) for at in (-length * 0.3, length * 0.32)]
    return concatenate([body, *wheels, _contact_shadow(atlas, length, width)])


def person(atlas: Atlas, rng: Rng, cycling: bool = False) -> Mesh:
    """Return a pedestrian or cyclist: a flat figure across the direction of travel."""
    names = atlas.family("cyclist" if cycling else "person")
    height = rng.uniform(1.55, 1.9)
    half = 0.29 * height / 1.75
    figure = [(0, half, 0), (0, -half, 0), (0, -half, height), (0, half, height)]
    return quads(figure, atlas.number(str(rng.choice(names))), kind=CUTOUT, tint=rng.uniform(0.6, 1.2, 3))


def _flanks(
    outline: list[tuple[float, float]],
    texture: int,
    bounds: tuple[float, float, float, float],
    half: float,
    inset: float,
    belt: float,
    height: float,
    tint: object,
) -> list[Mesh]:
    """Both sides of a car part given as (x, z); it leans inwards by ``inset`` from belt to roof."""
    left, right, low, high = bounds
    uv = np.array([((x - left) / (right - left), (high - z) / (high - low)) for x, z in outline])
    y = np.array([half - inset * max(z - belt, 0.0) / (height - belt) for _, z in outline])
    flat = np.asarray(outline)
    near = np.stack([flat[:, 0], -y, flat[:, 1]], axis=1)
    far = np.stack([flat[:, 0], y, flat[:, 1]], axis=1)[::-1]
    return [quads(near, texture, uv, tint=tint), quads(far, texture, uv[::-1], tint=tint)]  # type: ignore[arg-type]


def _wheel(atlas: Atlas, x: float, half: float, radius: float) -> Mesh:
    y = half + 0.01
    sides = [
        [(x - radius, -y, 0), (x + radius, -y, 0), (x + radius, -y, 2 * radius), (x - radius, -y, 2 * radius)],
        [(x + radius, y, 0), (x - radius, y, 0), (x - radius, y, 2 * radius), (x + radius, y, 2 * radius)],
    ]
    return quads(sides, atlas.number("wheel"), kind=CUTOUT)


def _contact_shadow(atlas: Atlas, length: float, width: float) -> Mesh:
    x, y = length / 2 + 0.25, width / 2 + 0.3
    return quads([(-x, -y, 0), (x, -y, 0), (x, y, 0), (-x, y, 0)], atlas.number("contact_shadow"), kind=DECAL)


def _cab(atlas: Atlas, length: float, width: float, rng: Rng) -> Mesh:
    color = _PAINTS[rng.integers(len(_PAINTS))]
    height = rng.uniform(2.2, 2.9)
    shell = box((length, width, height), atlas.number("car_paint"), tint=color, base=0.5)
    x, y = length / 2 + 0.02, width / 2 - 0.1
    glass = atlas.number("car_glass")
    low, high = 0.5 + height * 0.45, 0.5 + height * 0.85
    screen = quads([(x, -y, low), (x, y, low), (x, y, high), (x, -y, high)], glass)
    side = width / 2 + 0.02
    windows = [
        [(-0.2, -side, low), (length / 2, -side, low), (length / 2, -side, high), (-0.2, -side, high)],
        [(length / 2, side, low), (-0.2, side, low), (-0.2, side, high), (length / 2, side, high)],
    ]
    return concatenate([shell, screen, quads(windows, glass)])


def _tank(length: float, radius: float, floor: float, texture: int, rng: Rng) -> Mesh:
    """A lying cylinder of ten sides, closed behind and ahead."""
    count = 10
    angles = (np.arange(count + 1) + 0.5) * (2 * np.pi / count)
    y, z = radius * np.cos(angles), radius * np.sin(angles) + floor + radius
    x = length / 2
    tint = np.full(3, rng.uniform(1.0, 2.5))
    faces = [
        quads(
            [(-x, y[i], z[i]), (-x, y[i + 1], z[i + 1]), (x, y[i + 1], z[i + 1]), (x, y[i], z[i])], texture, tint=tint
        )
        for i in range(count)
    ]
    middle = floor + radius
    for i in range(count):
        faces.append(quads([(-x, 0, middle), (-x, y[i + 1], z[i + 1]), (-x, y[i], z[i]), (-x, y[i], z[i])], texture))
        faces.append(
            quads([(x, 0, middle), (x, y[i], z[i]), (x, y[i + 1], z[i + 1]), (x, y[i + 1], z[i + 1])], texture)
        )
    return concatenate(faces)

"""Cars and vans: x forward, y left, z up, origin on the ground below the middle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from space_clip_ros.data.labels import Label
from space_clip_ros.synthetic.atlas import Atlas
from space_clip_ros.synthetic.mesh import Color, Mesh, concatenate, quads
from space_clip_ros.synthetic.noise import Rng
from space_clip_ros.synthetic.vehicle_parts import PAINTS, contact_shadow, wheel


@dataclass(frozen=True)
class CarShape:
    """Side view of a car.

    Attributes:
        size: length, width, height, metres.
        belt: height of the lower edge of the windows, metres.
        bonnet: height of the bonnet's front edge, metres.
        cabin: bottom and top of the rear window, top and bottom of the windscreen, from the rear, as shares of the
            length.
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
_GROUND_CLEARANCE = 0.22


def car(atlas: Atlas, rng: Rng) -> Mesh:
    """Return a car or van of random shape and colour."""
    return _body(_SHAPES[rng.choice(len(_SHAPES), p=(0.16, 0.22, 0.14, 0.18, 0.1, 0.1, 0.06, 0.04))], atlas, rng)


def van(atlas: Atlas, rng: Rng) -> Mesh:
    """Return a small or large van of random colour."""
    return _body(_SHAPES[-1 - int(rng.integers(2))], atlas, rng)


def _body(shape: CarShape, atlas: Atlas, rng: Rng) -> Mesh:
    length, width, height = np.asarray(shape.size) * rng.uniform(0.96, 1.04, 3)
    paint = np.asarray(PAINTS[rng.integers(len(PAINTS))]) * rng.uniform(0.8, 1.2)
    x = np.asarray(shape.cabin) * length - length / 2
    rear, front, belt, bonnet, foot = -length / 2, length / 2, shape.belt, shape.bonnet, _GROUND_CLEARANCE
    half, half_roof = width / 2, width / 2 - 0.22 * (height - belt)
    side = atlas.pick_variant(rng, "car_side")
    glass, body = atlas.index("car_glass"), atlas.index("car_paint")

    def across(x0: float, z0: float, y0: float, x1: float, z1: float, y1: float, texture: int) -> Mesh:
        """Return a face across the car; (x0, z0) must come before (x1, z1) going over the roof from the rear."""
        return quads([(x0, y0, z0), (x0, -y0, z0), (x1, -y1, z1), (x1, y1, z1)], texture, tint=tints[texture])

    tints: dict[int, Color] = {glass: (1.0, 1.0, 1.0), body: paint, side: paint}
    rear_face = atlas.pick_variant(rng, "car_rear")
    front_face = atlas.pick_variant(rng, "car_front")
    cabin = atlas.index("car_cabin")
    tints |= {rear_face: paint, front_face: paint, cabin: paint}
    faces = [
        across(rear, foot, half, rear, belt, half, rear_face),
        across(x[0], belt, half, x[1], height, half_roof, glass),
        across(x[1], height, half_roof, x[2], height, half_roof, body),
        across(x[2], height, half_roof, x[3], belt, half, glass),
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
        (window, cabin, (x[0], x[3], belt, height), half - half_roof),
    ):
        faces += _flanks(outline, texture, bounds, half, inset, belt, height, tints[texture])
    faces += [wheel(atlas, share * length - length / 2, half, 0.31) for share in (0.19, 0.81)]
    return concatenate([*faces, contact_shadow(atlas, length, width)]).labelled(Label.CAR)


def _flanks(
    outline: list[tuple[float, float]],
    texture: int,
    bounds: tuple[float, float, float, float],
    half: float,
    inset: float,
    belt: float,
    height: float,
    tint: Color,
) -> list[Mesh]:
    """Return both sides of a car part given as (x, z), which leans inwards by ``inset`` from the belt to the roof."""
    left, right, low, high = bounds
    uv = np.array([((x - left) / (right - left), (high - z) / (high - low)) for x, z in outline])
    y = np.array([half - inset * max(z - belt, 0.0) / (height - belt) for _, z in outline])
    flat = np.asarray(outline)
    near = np.stack([flat[:, 0], -y, flat[:, 1]], axis=1)
    far = np.stack([flat[:, 0], y, flat[:, 1]], axis=1)[::-1]
    return [quads(near, texture, uv, tint=tint), quads(far, texture, uv[::-1], tint=tint)]

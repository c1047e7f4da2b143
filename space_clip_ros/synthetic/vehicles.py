"""Lorries, buses and people: x forward, y left, z up, origin on the ground below the middle."""

from __future__ import annotations

import numpy as np

from space_clip_ros.data.labels import Label
from space_clip_ros.synthetic.atlas import Atlas
from space_clip_ros.synthetic.mesh import CUTOUT, Mesh, box, concatenate, quads
from space_clip_ros.synthetic.noise import Rng
from space_clip_ros.synthetic.vehicle_parts import PAINTS, contact_shadow, wheel


def lorry(atlas: Atlas, rng: Rng) -> Mesh:
    """Return a lorry with a box body or a tank."""
    length, width, body_height = rng.uniform(5, 11), rng.uniform(2.3, 2.55), rng.uniform(2.0, 2.8)
    floor = rng.uniform(0.9, 1.2)
    color = np.asarray(PAINTS[rng.integers(3, len(PAINTS))]) if rng.random() < 0.6 else np.full(3, 0.75)
    tarp = atlas.pick_variant(rng, "tarp")
    dark, rear = atlas.index("rubber"), atlas.index("lorry_rear")
    cab = rng.uniform(1.8, 2.3)
    if rng.random() < 0.25:
        body = _tank(length, width / 2, floor, atlas.index("metal"), rng)
    else:
        body = box((length, width, body_height), tarp, ends=rear, tint=color, base=floor)
    start = length / 2 + 0.3 + cab / 2
    head = _cab(atlas, cab, width, rng).placed((start, 0, 0), 0.0)
    chassis = box((length + cab, width * 0.75, floor - 0.5), dark, base=0.5).placed((cab / 2, 0, 0), 0.0)
    axles = [length / 2 + 0.9, -length / 2 + 1.0, -length / 2 + 2.2]
    wheels = [wheel(atlas, at, width / 2, 0.5) for at in axles]
    shadow = contact_shadow(atlas, length + cab, width).placed((cab / 2, 0, 0), 0.0)
    whole = concatenate([body, head, chassis, *wheels, shadow])
    return whole.placed((-cab / 2, 0, 0), 0.0).labelled(Label.TRUCK)


def bus(atlas: Atlas, rng: Rng) -> Mesh:
    """Return a bus or tram."""
    length, width, height = rng.uniform(9, 16), 2.5, rng.uniform(2.9, 3.4)
    color = PAINTS[rng.integers(3, len(PAINTS))]
    paint = atlas.index("car_paint")
    # Only scenes with varied streets have a separate texture for the rear.
    rear = atlas.index("bus_rear") if atlas.family("bus_rear") else None
    body = box((length, width, height - 0.3), atlas.index("bus_side"), paint, ends=rear, tint=color, base=0.3)
    wheels = [wheel(atlas, at, width / 2, 0.48) for at in (-length * 0.3, length * 0.32)]
    return concatenate([body, *wheels, contact_shadow(atlas, length, width)]).labelled(Label.TRUCK)


def person(atlas: Atlas, rng: Rng, cycling: bool = False) -> Mesh:
    """Return a pedestrian or cyclist: a flat figure across the direction of travel."""
    height = rng.uniform(1.55, 1.9)
    half = 0.29 * height / 1.75
    texture = atlas.pick_variant(rng, "cyclist" if cycling else "person")
    figure = [(0, half, 0), (0, -half, 0), (0, -half, height), (0, half, height)]
    return quads(figure, texture, kind=CUTOUT, tint=rng.uniform(0.6, 1.2, 3)).labelled(Label.PERSON)


def _cab(atlas: Atlas, length: float, width: float, rng: Rng) -> Mesh:
    color = PAINTS[rng.integers(len(PAINTS))]
    height = rng.uniform(2.2, 2.9)
    shell = box((length, width, height), atlas.index("car_paint"), tint=color, base=0.5)
    x, y = length / 2 + 0.02, width / 2 - 0.1
    glass = atlas.index("car_glass")
    low, high = 0.5 + height * 0.45, 0.5 + height * 0.85
    screen = quads([(x, -y, low), (x, y, low), (x, y, high), (x, -y, high)], glass)
    side = width / 2 + 0.02
    windows = [
        [(-0.2, -side, low), (length / 2, -side, low), (length / 2, -side, high), (-0.2, -side, high)],
        [(length / 2, side, low), (-0.2, side, low), (-0.2, side, high), (length / 2, side, high)],
    ]
    return concatenate([shell, screen, quads(windows, glass)])


def _tank(length: float, radius: float, floor: float, texture: int, rng: Rng) -> Mesh:
    """Return a lying cylinder of ten sides, closed at both ends."""
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

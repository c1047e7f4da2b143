"""Street furniture: lamps, signs, traffic lights, rails, fences, walls, bridges. x runs along the road."""

from __future__ import annotations

import numpy as np

from space_clip_ros.data.labels import Label
from space_clip_ros.synthetic.atlas import Atlas
from space_clip_ros.synthetic.mesh import CUTOUT, Mesh, box, concatenate, loft, prism, quads, upright
from space_clip_ros.synthetic.noise import Rng


def lamp(atlas: Atlas, rng: Rng, reach: float) -> Mesh:
    """Return a street lamp whose arm reaches ``reach`` metres to the left."""
    height = rng.uniform(5, 9.5)
    metal = atlas.pick(rng, ["metal", "dark_metal"])
    arm = box((0.1, abs(reach) + 0.1, 0.1), metal, base=height).placed((0, reach / 2, 0), 0.0)
    head = box((0.3, 0.7, 0.14), metal, base=height - 0.05, bottom=True).placed((0, reach, 0), 0.0)
    return concatenate([prism(0.08, height, metal), arm, head]).labelled(Label.POLE)


def sign(atlas: Atlas, rng: Rng) -> Mesh:
    """Return a traffic sign on a pole, facing traffic that comes along x."""
    low = rng.uniform(1.8, 2.4)
    plates = [_plate(atlas.pick_variant(rng, "sign"), low, rng.uniform(0.6, 0.9))]
    if rng.random() < 0.2:
        plates.append(_plate(atlas.pick_variant(rng, "sign"), low + 0.85, 0.7))
    return concatenate([prism(0.035, low + 0.5, atlas.index("metal"), sides=4), *plates]).labelled(Label.POLE)


def board(atlas: Atlas, rng: Rng) -> Mesh:
    """Return a direction board or poster on two posts."""
    width, height, low = rng.uniform(1.5, 4), rng.uniform(1, 2.5), rng.uniform(0.8, 2.5)
    metal, texture = atlas.index("metal"), atlas.index("panel")
    posts = [prism(0.05, low + height, metal, sides=4).placed((0.06, y, 0), 0.0) for y in (-width / 3, width / 3)]
    face = [(0, width / 2, low), (0, -width / 2, low), (0, -width / 2, low + height), (0, width / 2, low + height)]
    return concatenate([*posts, quads(face, texture, kind=CUTOUT)]).labelled(Label.POLE)


def traffic_light(atlas: Atlas, reach: float = 0.0) -> Mesh:
    """Return a traffic light; with ``reach``, a second one hangs over the road, that many metres to the left."""
    metal, lamps = atlas.index("dark_metal"), atlas.index("traffic_light")
    head = box((0.3, 0.32, 0.9), metal, ends=lamps)
    parts = [prism(0.07, 3.4, metal), head.placed((-0.2, 0, 2.4), 0.0)]
    if reach:
        parts.append(prism(0.09, 5.8, metal))
        parts.append(box((0.12, abs(reach), 0.12), metal, base=5.7, bottom=True).placed((0, reach / 2, 0), 0.0))
        parts.append(head.placed((-0.2, reach, 5.1), 0.0))
    return concatenate(parts).labelled(Label.POLE)


def guard_rail(atlas: Atlas, length: float) -> Mesh:
    """Return a steel guard rail along x."""
    ends = (-length / 2, 0, 0), (length / 2, 0, 0)
    rail = upright(*ends, 0.75, atlas.index("guard_rail"), (length / 4, 1), kind=CUTOUT)
    return rail.labelled(Label.WALL)


def fence(atlas: Atlas, rng: Rng, length: float) -> Mesh:
    """Return a wooden or wire fence along x."""
    ends = (-length / 2, 0, 0), (length / 2, 0, 0)
    height = rng.uniform(0.8, 1.8)
    texture = atlas.pick(rng, ["fence", "mesh_fence"], p=[0.75, 0.25])
    return upright(*ends, height, texture, (length / height, 1), kind=CUTOUT).labelled(Label.WALL)


def wall(atlas: Atlas, rng: Rng, length: float, height: float) -> Mesh:
    """Return a wall along x: plaster, brick, stone or concrete."""
    texture = atlas.pick(rng, ["wall_0", "wall_1", "bricks", "stones", "concrete"])
    size = (length, rng.uniform(0.2, 0.4), height + 0.5)
    return box(size, texture, atlas.index("concrete"), repeat=3.0, base=-0.5).labelled(Label.WALL)


def bollard(atlas: Atlas, rng: Rng) -> Mesh:
    """Return a bollard, bin or junction box."""
    if rng.random() < 0.5:
        post = prism(rng.uniform(0.05, 0.12), rng.uniform(0.7, 1.1), atlas.index("dark_metal"))
        return post.labelled(Label.POLE)
    size = (rng.uniform(0.4, 1.2), rng.uniform(0.4, 0.8), rng.uniform(0.8, 1.5))
    return box(size, atlas.pick(rng, ["metal", "dark_metal", "concrete"]), tint=rng.uniform(0.4, 1.2, 3))


def bridge(atlas: Atlas, rng: Rng, reach: float, road: float) -> Mesh:
    """Return a bridge across the road.

    Args:
        atlas: where the textures are.
        rng: source of randomness.
        reach: length to either side, metres.
        road: width without pillars, metres.
    """
    concrete = atlas.index("concrete")
    clearance, thickness, width = rng.uniform(4.8, 6.5), rng.uniform(0.9, 1.6), rng.uniform(6, 14)
    tint = np.full(3, rng.uniform(0.5, 1.1))
    deck = box((width, 2 * reach, thickness), concrete, repeat=5.0, base=clearance, tint=tint, bottom=True)
    rail = box((0.15, 2 * reach, 1.0), concrete, repeat=5.0, base=clearance + thickness, tint=tint)
    pillars = [
        box((1.2, 1.2, clearance), concrete, repeat=5.0, tint=tint).placed((x, side * (road / 2 + 1.5), 0), 0.0)
        for side in (-1, 1)
        for x in (-width / 4, width / 4)
    ]
    rails = [rail.placed((side * (width / 2 - 0.1), 0, 0), 0.0) for side in (-1, 1)]
    return concatenate([deck, *rails, *pillars]).labelled(Label.BUILDING)


def gantry(atlas: Atlas, rng: Rng, left: float, right: float) -> Mesh:
    """Return a sign gantry over the road between two lateral positions, metres."""
    metal, panel = atlas.index("metal"), atlas.index("panel")
    posts = [prism(0.18, 6.8, metal).placed((0, y, 0), 0.0) for y in (left, right)]
    beam = box((0.4, left - right, 0.5), metal, base=6.3, bottom=True).placed((0, (left + right) / 2, 0), 0.0)
    boards = []
    for y in np.arange(right + 2, left - 3, 5.0).tolist():
        if rng.random() < 0.7:
            face = [(-0.3, y + 3.5, 5.4), (-0.3, y, 5.4), (-0.3, y, 7.6), (-0.3, y + 3.5, 7.6)]
            boards.append(quads(face, panel, kind=CUTOUT))
    return concatenate([*posts, beam, *boards]).labelled(Label.POLE)


def underpass(atlas: Atlas, rng: Rng, length: float, half: float) -> Mesh:
    """Return a tunnel along x: walls, ceiling, and the bank above.

    Args:
        atlas: where the textures are.
        rng: source of randomness.
        length: metres.
        half: distance of either wall from the middle, metres.
    """
    texture = atlas.pick(rng, ["concrete", "concrete", "bricks", "stones"])
    height, dark = rng.uniform(3.6, 5.5), np.full(3, rng.uniform(0.15, 0.6))
    walls = [
        box((length, 0.8, height + 0.5), texture, repeat=4.0, base=-0.5, tint=dark).placed((0, side * half, 0), 0.0)
        for side in (-1, 1)
    ]
    roof = box((length, 2 * half + 40, rng.uniform(1, 2)), texture, repeat=4.0, base=height, tint=dark, bottom=True)
    wings = [
        box((1.0, 20.0, height + 0.5), texture, repeat=4.0, base=-0.5).placed((x, side * (half + 10.4), 0), 0.0)
        for side in (-1, 1)
        for x in (-length / 2 + 0.5, length / 2 - 0.5)
    ]
    return concatenate([*walls, roof, *wings]).labelled(Label.BUILDING)


def delineator(atlas: Atlas, rng: Rng) -> Mesh:
    """Return a white post with a black band, as found along country roads."""
    white, black = (rng.uniform(0.6, 1.0),) * 3, (0.02, 0.02, 0.02)
    paint = atlas.index("car_paint")
    parts = [(0.0, 0.68, white), (0.68, 0.2, black), (0.88, 0.14, white)]
    post = concatenate([box((0.1, 0.12, tall), paint, tint=tint, base=base) for base, tall, tint in parts])
    return post.labelled(Label.POLE)


def post(atlas: Atlas, rng: Rng) -> Mesh:
    """Return a bare pole: of steel or wood, thin or thick, low or high."""
    texture = atlas.pick(rng, ["metal", "dark_metal", "dark_metal", "bark", "concrete"])
    height = float(rng.choice([0.9, 1.1, 2.5, 3.5, 6.0, 9.0])) * rng.uniform(0.85, 1.15)
    radius = rng.uniform(0.03, 0.07) if height < 4 else rng.uniform(0.06, 0.16)
    return prism(radius, height, texture, sides=6).labelled(Label.POLE)


def barrier(atlas: Atlas, rng: Rng) -> Mesh:
    """Return a red and white beacon or cone, as used at road works."""
    stripes, paint = atlas.index("stripes_red"), atlas.index("car_paint")
    if rng.random() < 0.6:
        foot = box((0.4, 0.8, 0.12), atlas.index("rubber"))
        return concatenate([foot, box((0.06, 0.28, 1.1), stripes, base=0.12)]).labelled(Label.POLE)
    rings = [(0.0, 0.0, 0.04 + 0.16 * k, 0.16 - 0.03 * k) for k in range(5)]
    colors = ((0.7, 0.1, 0.02), (0.8, 0.8, 0.8))
    cone = [loft(rings[k : k + 2], paint, 6, tint=colors[k % 2]) for k in range(4)]
    return concatenate([box((0.4, 0.4, 0.04), atlas.index("rubber")), *cone]).labelled(Label.POLE)


def kiosk(atlas: Atlas, rng: Rng) -> Mesh:
    """Return an advertising column, a bus shelter, or a row of bins."""
    draw = rng.random()
    if draw < 0.3:
        return prism(rng.uniform(0.5, 0.8), rng.uniform(2.5, 3.5), atlas.index("panel"), sides=9)
    if draw < 0.6:
        glass, metal = atlas.index("car_glass"), atlas.index("dark_metal")
        roof = box((4.0, 1.6, 0.12), metal, base=2.4, bottom=True)
        back = box((4.0, 0.06, 1.9), glass, base=0.3).placed((0, 0.7, 0), 0.0)
        ends = [box((0.06, 1.3, 2.3), atlas.index("panel")).placed((x, 0, 0), 0.0) for x in (-1.95, 1.95)]
        return concatenate([roof, back, *ends])
    bins = [
        box((0.55, 0.6, rng.uniform(0.95, 1.15)), atlas.index("car_paint"), tint=rng.uniform(0.02, 0.3, 3)).placed(
            (0.65 * k, rng.normal(0, 0.05), 0), rng.normal(0, 0.1)
        )
        for k in range(int(rng.integers(1, 5)))
    ]
    return concatenate(bins)


def _plate(texture: int, low: float, size: float) -> Mesh:
    half = size / 2
    face = [(-0.05, half, low), (-0.05, -half, low), (-0.05, -half, low + size), (-0.05, half, low + size)]
    return quads(face, texture, kind=CUTOUT)

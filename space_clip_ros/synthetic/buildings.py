"""Houses: the front runs along x at y = 0 and faces -y, the ground is z = 0, the house extends to the left."""

from __future__ import annotations

import itertools

import numpy as np

from space_clip_ros.data.labels import Label
from space_clip_ros.synthetic.atlas import Atlas
from space_clip_ros.synthetic.mesh import Floats, Mesh, box, concatenate, quads, upright
from space_clip_ros.synthetic.noise import Rng

_AXIS, _STOREY = 3.0, 3.0
_FOUNDATION = 2.0


def block(atlas: Atlas, rng: Rng, length: float, height: float, depth: float = 12.0, shop: bool = False) -> Mesh:
    """Return a town house with a flat or gabled roof.

    Args:
        atlas: where the textures are.
        rng: source of randomness.
        length: along the street, metres.
        height: to the eaves, metres.
        depth: away from the street, metres.
        shop: whether the ground floor has shops.
    """
    facade = atlas.pick_variant(rng, "facade")
    tint = np.full(3, rng.uniform(0.6, 1.25)) * rng.normal(1, 0.04, 3)
    base = rng.uniform(3.2, 4.2) if shop else 0.0
    walls = _walls(facade, length, depth, base, height - base, tint)
    if shop:
        texture = atlas.pick_variant(rng, "shop")
        walls.append(upright((0, 0, 0), (length, 0, 0), base, texture, (round(length / 6) or 1, 1)))
        walls.append(upright((length, 0, 0), (length, depth, 0), base, texture, (2, 1)))
        walls.append(upright((0, depth, 0), (0, 0, 0), base, texture, (2, 1)))
    roof = atlas.pick_variant(rng, "roof")
    rise = rng.uniform(2, 4.5) if rng.random() < 0.7 else 0.0
    parts = [
        *walls,
        *_roof(roof, facade, length, depth, height, rise, tint, overhang=0.3),
        _foundation(atlas, length, depth),
    ]
    if rng.random() < 0.25:
        parts += _bays(facade, rng, length, base, height, tint)
    return concatenate(parts).labelled(Label.BUILDING)


def house(atlas: Atlas, rng: Rng) -> Mesh:
    """Return a detached house of one or two storeys whose gabled roof runs along or across the street."""
    length, depth = rng.uniform(8, 14), rng.uniform(8, 12)
    height, rise = rng.uniform(2.8, 6.2), rng.uniform(2.5, 5)
    facade = atlas.pick(rng, atlas.family("facade")[:6])
    roof = atlas.pick_variant(rng, "roof")
    tint = np.full(3, rng.uniform(0.7, 1.3))
    walls = _walls(facade, length, depth, 0.0, height, tint)
    parts = [
        *walls,
        *_roof(roof, facade, length, depth, height, rise, tint, overhang=0.5),
        _foundation(atlas, length, depth),
    ]
    if rng.random() < 0.5:
        garage = box((rng.uniform(3, 6), 6, 2.6), atlas.index("wall_0"), atlas.index("roof_0"), repeat=3.0)
        parts.append(garage.placed((length + 3, 4, 0), 0.0))
    whole = concatenate(parts)
    if rng.random() < 0.4:
        whole = whole.placed((0, 0, 0), np.pi / 2).placed((depth, 0, 0), 0.0)
    return whole.labelled(Label.BUILDING)


def shed(atlas: Atlas, rng: Rng) -> Mesh:
    """Return an industrial hall with blank walls."""
    size = (rng.uniform(15, 40), rng.uniform(12, 25), rng.uniform(5, 9))
    wall = atlas.pick(rng, [*atlas.family("wall"), "bricks", "concrete"])
    tint = rng.uniform(0.6, 1.3, 3) ** 0.5
    hall = box(size, wall, atlas.index("concrete"), repeat=6.0, tint=tint).labelled(Label.BUILDING)
    return hall.placed((size[0] / 2, size[1] / 2, -0.5), 0.0)


def _walls(texture: int, length: float, depth: float, base: float, height: float, tint: Floats) -> list[Mesh]:
    """Return four walls, textured so that whole windows and storeys of about their real size fit."""

    def repeat(across: float) -> tuple[float, float]:
        return max(round(across / _AXIS), 1) / 4, max(round(height / _STOREY), 1) / 4

    ring = [(0.0, 0.0), (length, 0.0), (length, depth), (0.0, depth), (0.0, 0.0)]
    return [
        upright(
            (*start, base), (*end, base), height, texture, repeat(float(np.hypot(*np.subtract(end, start)))), tint=tint
        )
        for start, end in itertools.pairwise(ring)
    ]


def _roof(
    tiles: int,
    gable: int,
    length: float,
    depth: float,
    eaves: float,
    rise: float,
    tint: Floats,
    overhang: float,
) -> list[Mesh]:
    """Return a gabled roof whose ridge runs along x, or a flat one if ``rise`` is 0."""
    if not rise:
        lid = [(0, 0, eaves), (length, 0, eaves), (length, depth, eaves), (0, depth, eaves)]
        return [quads(lid, tiles)]
    middle, top = depth / 2, eaves + rise
    drop = rise / middle * overhang
    a, b = -overhang, length + overhang
    uv = [(0, 2), (length / 4, 2), (length / 4, 0), (0, 0)]
    low = eaves - drop
    slopes = [
        [(a, -overhang, low), (b, -overhang, low), (b, middle, top), (a, middle, top)],
        [(b, depth + overhang, low), (a, depth + overhang, low), (a, middle, top), (b, middle, top)],
    ]
    gables = [
        [(length, 0.0, eaves), (length, depth, eaves), (length, middle, top), (length, middle, top)],
        [(0.0, depth, eaves), (0.0, 0.0, eaves), (0.0, middle, top), (0.0, middle, top)],
    ]
    corner = [(0.02, 0.02), (0.03, 0.02), (0.03, 0.0), (0.03, 0.0)]
    return [quads(slopes, tiles, uv), quads(gables, gable, corner, tint=tint)]


def _bays(facade: int, rng: Rng, length: float, base: float, height: float, tint: Floats) -> list[Mesh]:
    """Return bay windows that stand out from the front."""
    out = rng.uniform(0.6, 1.4)
    width = rng.uniform(2, 3.5)
    tall = height - max(base, 3.0) - rng.uniform(0, 2)
    starts: list[float] = np.arange(2.0, length - width - 1, width + rng.uniform(2, 5)).tolist()
    return [
        box((width, out, tall), facade, repeat=12.0, tint=tint, base=max(base, 3.0), bottom=True).placed(
            (start + width / 2, -out / 2, 0), 0.0
        )
        for start in starts
    ]


def _foundation(atlas: Atlas, length: float, depth: float) -> Mesh:
    """Return a cellar, which closes the gap above sloping ground."""
    cellar = box((length, depth, _FOUNDATION), atlas.index("concrete"), repeat=3.0, base=-_FOUNDATION)
    return cellar.placed((length / 2, depth / 2, 0), 0.0)

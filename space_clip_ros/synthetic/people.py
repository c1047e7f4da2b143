"""People with volume, on foot and on two wheels: x forward, y left, z up, origin on the ground below the middle."""

from __future__ import annotations

import numpy as np

from space_clip_ros.data.labels import Label
from space_clip_ros.synthetic.atlas import Atlas
from space_clip_ros.synthetic.mesh import CUTOUT, Color, Mesh, box, concatenate, loft, quads
from space_clip_ros.synthetic.noise import Rng

_CLOTHES = (
    (0.02, 0.02, 0.025),
    (0.05, 0.05, 0.06),
    (0.03, 0.05, 0.14),
    (0.06, 0.1, 0.25),
    (0.15, 0.15, 0.16),
    (0.3, 0.28, 0.25),
    (0.6, 0.6, 0.58),
    (0.8, 0.8, 0.78),
    (0.35, 0.03, 0.03),
    (0.1, 0.16, 0.06),
    (0.25, 0.15, 0.07),
    (0.6, 0.35, 0.05),
    (0.08, 0.3, 0.45),
    (0.5, 0.2, 0.3),
)
_HAIR = ((0.01, 0.008, 0.006), (0.04, 0.025, 0.015), (0.12, 0.07, 0.03), (0.35, 0.26, 0.14), (0.4, 0.4, 0.4))
_SHOE = (0.02, 0.02, 0.02)
_BICYCLE_M = (1.75, 1.05)


def pedestrian(atlas: Atlas, rng: Rng, walking: bool = True) -> Mesh:
    """Return a grown-up or child who walks or stands, maybe with a bag."""
    child = rng.random() < 0.12
    height = rng.uniform(1.0, 1.45) if child else rng.uniform(1.55, 1.92)
    stout = rng.uniform(0.88, 1.2)
    stride = rng.uniform(0.1, 0.38) * height / 1.75 if walking else rng.uniform(0.0, 0.06)
    coat = rng.random() < 0.3
    top, trousers = _cloth(rng), _cloth(rng, 8)
    parts = [
        *_legs(atlas, height, stout, stride, trousers),
        _torso(atlas, height, stout, top, coat),
        *_arms(atlas, rng, height, stout, stride, top),
        *_head(atlas, rng, (0.0, 0.0, height)),
    ]
    if rng.random() < 0.3:
        bag = box((0.16, 0.3, 0.42), atlas.pick_variant(rng, "cloth"), tint=_cloth(rng), base=0.58 * height)
        parts.append(bag.placed((-0.19 * stout, 0.0, 0.0), 0.0))
    return concatenate(parts).labelled(Label.PERSON)


def bicycle(atlas: Atlas, rng: Rng) -> Mesh:
    """Return a bicycle without a rider."""
    return _two_wheeler(atlas, rng, "bicycle", _BICYCLE_M, 0.045, 0.56)


def cyclist(atlas: Atlas, rng: Rng) -> Mesh:
    """Return somebody on a bicycle."""
    return concatenate([bicycle(atlas, rng), _rider(atlas, rng, seat=0.92, hands=(0.42, 1.02), foot=0.32)])


def motorcyclist(atlas: Atlas, rng: Rng) -> Mesh:
    """Return somebody on a motorcycle or scooter."""
    machine = _two_wheeler(atlas, rng, "motorcycle", (2.05, 1.15), 0.16, 0.7)
    tank = box((0.6, 0.3, 0.3), atlas.index("car_paint"), tint=_cloth(rng), base=0.5, bottom=True)
    rider = _rider(atlas, rng, seat=0.82, hands=(0.5, 1.02), foot=0.3, helmet=True)
    return concatenate([machine, tank.labelled(Label.CYCLE), rider])


def _cloth(rng: Rng, count: int | None = None) -> Color:
    """Return the linear colour of a piece of clothing, one of the first ``count``."""
    return np.asarray(_CLOTHES[rng.integers(count or len(_CLOTHES))]) * rng.uniform(0.7, 1.4)


def _legs(atlas: Atlas, height: float, stout: float, stride: float, tint: Color) -> list[Mesh]:
    cloth, parts = atlas.index("cloth_0"), []
    for side in (-1, 1):
        x, y = side * stride, side * 0.05 * height
        foot, knee, hip = (x, y, 0.04), (0.4 * x + 0.03, y, 0.27 * height), (0.0, 0.9 * y, 0.53 * height)
        rings = [(*foot, 0.05 * stout), (*knee, 0.06 * stout), (*hip, 0.092 * stout)]
        parts.append(loft(rings, cloth, 5, tint=tint))
        shoe = box((0.27, 0.1, 0.09), cloth, tint=_SHOE)
        parts.append(shoe.placed((x + 0.05, y, 0.0), 0.0))
    return parts


def _torso(atlas: Atlas, height: float, stout: float, tint: Color, coat: bool) -> Mesh:
    half = 0.115 * height * stout
    profile = [(0.47, 0.82), (0.6, 0.8), (0.73, 1.0), (0.81, 0.95), (0.845, 0.4)]
    if coat:
        profile[0] = (0.3, 1.05)
    rings = [(0.0, 0.0, level * height, share * half) for level, share in profile]
    return loft(rings, atlas.index("cloth_1"), 7, depth=0.62, tint=tint)


def _arms(atlas: Atlas, rng: Rng, height: float, stout: float, swing: float, tint: Color) -> list[Mesh]:
    skin, cloth, parts = _skin(rng), atlas.index("cloth_0"), []
    bare = rng.random() < 0.35
    for side in (-1, 1):
        y = side * 0.125 * height * stout
        hand = (-side * swing * 0.8 + 0.05, 1.12 * y, 0.42 * height)
        elbow = (-side * swing * 0.3 - 0.02, 1.15 * y, 0.61 * height)
        shoulder = (0.0, y, 0.81 * height)
        lower, upper = [(*hand, 0.035), (*elbow, 0.043)], [(*elbow, 0.045 * stout), (*shoulder, 0.055 * stout)]
        parts.append(loft(lower, cloth, 4, tint=skin if bare else tint))
        parts.append(loft(upper, cloth, 4, tint=tint))
    return parts


def _head(atlas: Atlas, rng: Rng, crown: tuple[float, float, float], helmet: bool = False) -> list[Mesh]:
    """Return a head whose top is at ``crown``."""
    x, y, z = crown
    cloth = atlas.index("cloth_0")
    face = [(x, y, z - 0.3, 0.055), (x + 0.01, y, z - 0.23, 0.07), (x + 0.01, y, z - 0.1, 0.08)]
    size = 1.35 if helmet else 1.0
    hair = [
        (x - 0.02, y, z - (0.26 if helmet else 0.15), 0.08 * size),
        (x - 0.02, y, z - 0.08, 0.088 * size),
        (x - 0.015, y, z - 0.02, 0.06 * size),
        (x - 0.01, y, z, 0.005),
    ]
    cover = _cloth(rng) if helmet or rng.random() < 0.15 else _HAIR[rng.integers(len(_HAIR))]
    return [loft(face, cloth, 6, tint=_skin(rng)), loft(hair, cloth, 6, tint=cover)]


def _skin(rng: Rng) -> Color:
    return np.array([0.6, 0.36, 0.25]) * rng.uniform(0.25, 1.1)


def _rider(
    atlas: Atlas, rng: Rng, seat: float, hands: tuple[float, float], foot: float, helmet: bool | None = None
) -> Mesh:
    """Return somebody who sits ``seat`` metres high, hands on bars at x, z."""
    top, trousers, cloth = _cloth(rng), _cloth(rng, 8), atlas.index("cloth_0")
    lean = rng.uniform(0.08, 0.4)
    back = rng.uniform(0.5, 0.58)
    hip, shoulder = (-0.22, 0.0, seat), (-0.22 + lean, 0.0, seat + back)
    middle = (-0.22 + 0.4 * lean, 0.0, seat + 0.55 * back)
    torso = [(*hip, 0.17), (*middle, 0.185), (*shoulder, 0.17), (shoulder[0], 0.0, shoulder[2] + 0.06, 0.06)]
    parts = [loft(torso, atlas.index("cloth_1"), 7, depth=0.65, tint=top)]
    wears = rng.random() < 0.4 if helmet is None else helmet
    parts += _head(atlas, rng, (shoulder[0] + 0.06, 0.0, shoulder[2] + 0.33), helmet=wears)
    pedal = rng.uniform(-0.16, 0.16)
    for side in (-1, 1):
        low = (0.02, side * 0.12, foot + side * pedal)
        knee = (0.14, side * 0.13, 0.5 * (seat + low[2]) + 0.08)
        parts.append(loft([(*low, 0.05), (*knee, 0.07)], cloth, 5, tint=trousers))
        parts.append(loft([(*knee, 0.08), (-0.15, side * 0.1, seat + 0.06, 0.11)], cloth, 5, tint=trousers))
        grip = (hands[0], side * 0.26, hands[1])
        parts.append(loft([(*grip, 0.045), (shoulder[0], side * 0.19, shoulder[2], 0.06)], cloth, 4, tint=top))
    return concatenate(parts).labelled(Label.PERSON)


def _two_wheeler(atlas: Atlas, rng: Rng, texture: str, size: tuple[float, float], tyre: float, bars: float) -> Mesh:
    """Return two wheels and a frame: a cut-out seen from the side, thin tyres and bars seen from the front."""
    length, height = size
    x, rubber = length / 2, atlas.index("rubber")
    side = [(-x, 0, 0), (x, 0, 0), (x, 0, height), (-x, 0, height)]
    radius = 0.34
    parts = [quads(side, atlas.index(texture), kind=CUTOUT, tint=1.5 * np.asarray(_cloth(rng)))]
    for at in (radius - x, x - radius):
        tread = [(at, tyre / 2, 0), (at, -tyre / 2, 0), (at, -tyre / 2, 2 * radius), (at, tyre / 2, 2 * radius)]
        parts.append(quads(tread, rubber, kind=CUTOUT))
    bar = box((0.05, bars, 0.05), rubber, base=height - 0.06, bottom=True)
    parts.append(bar.placed((0.24 * length, 0.0, 0.0), 0.0))
    return concatenate(parts).labelled(Label.CYCLE)

"""Ground textures: road with markings, pavements, grass, fields, and decals on the ground."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from space_clip_ros.data.labels import Label
from space_clip_ros.synthetic.atlas import Atlas
from space_clip_ros.synthetic.noise import Rng, fractal
from space_clip_ros.synthetic.paint import (
    Color,
    FloatImage,
    Opacity,
    finish,
    grained,
    plain,
    polygon,
    rectangle,
    shuffled_color,
)

MARKING_PERIOD_M = 24.0
"""Length of road after which its markings repeat, metres."""

_ROAD_SIZE = 512
_PAINT = (205.0, 205.0, 198.0)


class Marking(NamedTuple):
    """A line painted along the road.

    Attributes:
        position: of the line's middle, metres from the carriageway's right edge.
        width: metres.
        share: painted share of each 12 m; 1 is an unbroken line.
    """

    position: float
    width: float
    share: float


_NATURAL = ("grass", "lawn", "dry_grass", "soil", "gravel", "field")


def ground_label(texture: str) -> Label:
    """Return the class of ground beside the carriageway, by the name of its texture."""
    return Label.TERRAIN if texture in _NATURAL else Label.PAVEMENT


def add_ground(atlas: Atlas, rng: Rng) -> None:
    """Add every ground texture except the road's to the atlas."""
    asphalt = rng.uniform(72, 112)
    atlas.add("asphalt", finish(_asphalt(rng, asphalt, 256)))
    atlas.add("pavement", finish(_slabs(rng, shuffled_color(rng, (140, 135, 128)), int(rng.choice([8, 16])))))
    atlas.add("kerb", finish(grained(rng, shuffled_color(rng, (145, 143, 138)), 0.08)))
    atlas.add("cobble", finish(_slabs(rng, shuffled_color(rng, (115, 108, 100)), 32)))
    atlas.add("grass", finish(_grass(rng, shuffled_color(rng, (88, 98, 50)))))
    atlas.add("lawn", finish(_grass(rng, shuffled_color(rng, (82, 104, 52)))))
    atlas.add("dry_grass", finish(_grass(rng, shuffled_color(rng, (125, 118, 72)))))
    atlas.add("soil", finish(grained(rng, shuffled_color(rng, (112, 92, 70)), 0.18)))
    atlas.add("gravel", finish(grained(rng, shuffled_color(rng, (135, 130, 122)), 0.2, coarse=32)))
    atlas.add("field", finish(_rows(rng, shuffled_color(rng, (120, 115, 65)))))
    atlas.add("concrete", finish(_stained(rng, shuffled_color(rng, (150, 147, 140)))))
    for name, image, opacity in _decals(rng):
        atlas.add(name, finish(image, opacity))


SURFACES = ("asphalt", "paving", "concrete")
"""What a carriageway may be made of."""


def add_road(atlas: Atlas, rng: Rng, width: float, markings: Sequence[Marking], surface: str = "asphalt") -> None:
    """Add the carriageway's texture, ``road``, which covers its width and MARKING_PERIOD_M along it.

    Args:
        atlas: where to add it.
        rng: source of randomness.
        width: of the carriageway, metres.
        markings: lines to paint.
        surface: one of :data:`SURFACES`.
    """
    image = _surface(rng, surface)
    across = np.arange(_ROAD_SIZE, dtype=np.float32) / _ROAD_SIZE * width
    lane = 3.2
    worn = 0.05 * np.cos((across - width / 2) * (4 * np.pi / lane)) * rng.uniform(-1, 1)
    image *= 1 + worn[None, :, None]
    for _ in range(rng.integers(0, 5)):  # tar seams and patches
        x, y, w, h = rng.uniform(0, 1), rng.uniform(0, 0.8), rng.uniform(0.02, 0.3), rng.uniform(0.05, 0.2)
        columns = slice(int(x * _ROAD_SIZE), int(min(x + w, 1) * _ROAD_SIZE))
        image[int(y * _ROAD_SIZE) : int((y + h) * _ROAD_SIZE), columns] *= rng.uniform(0.75, 1.15)
    wear = (fractal(rng, _ROAD_SIZE, 16, 5, 0.8) * 0.5 + rng.uniform(0.6, 2.0)).clip(0, 1)
    for position, thickness, share in markings:
        mask = np.zeros((_ROAD_SIZE, _ROAD_SIZE, 1), np.float32)
        for start in (0.0, 0.5):
            left, right = (position - thickness / 2) / width, (position + thickness / 2) / width
            rectangle(mask, left, start, right, start + 0.5 * share, (1.0,))
        blend = mask * wear[..., None]
        image = image * (1 - blend) + np.asarray(_PAINT, np.float32) * blend
    atlas.add("road", finish(image))


def _surface(rng: Rng, surface: str) -> FloatImage:
    """Return a carriageway without markings."""
    if surface == "asphalt":
        return _asphalt(rng, rng.uniform(72, 118), _ROAD_SIZE)
    if surface == "concrete":
        image = grained(rng, shuffled_color(rng, (150, 147, 140)), 0.06, size=_ROAD_SIZE)
        image[:: _ROAD_SIZE // 4] *= 0.6
        return image
    color = ((118, 110, 102), (150, 112, 92), (135, 130, 124))[rng.integers(3)]
    image = grained(rng, shuffled_color(rng, color), 0.08, size=_ROAD_SIZE)
    step = 4
    stones = 1 + 0.16 * rng.standard_normal((_ROAD_SIZE // step, _ROAD_SIZE // 16, 1), dtype=np.float32)
    image *= np.kron(stones, np.ones((step, 16, 1), np.float32))
    image[::step] *= 0.85
    return np.asarray(image, np.float32)


def _asphalt(rng: Rng, brightness: float, size: int) -> FloatImage:
    image = grained(rng, shuffled_color(rng, (brightness,) * 3, 0.03), 0.07, coarse=4, size=size, hue=0.1)
    return np.asarray(image + rng.standard_normal((size, size, 1), dtype=np.float32) * rng.uniform(3, 9), np.float32)


def _slabs(rng: Rng, color: Color, count: int) -> FloatImage:
    image = grained(rng, color, 0.07)
    step = image.shape[0] // count
    tone = 1 + 0.06 * rng.standard_normal((count, count, 1)).astype(np.float32)
    image *= np.kron(tone, np.ones((step, step, 1), np.float32))
    image[::step] *= 0.75
    image[:, ::step] *= 0.75
    return image


def _grass(rng: Rng, color: Color) -> FloatImage:
    image = grained(rng, color, 0.2, coarse=4, hue=0.2)
    return np.asarray(image * (1 + 0.25 * rng.standard_normal(image.shape[:2], dtype=np.float32)[..., None]))


def _rows(rng: Rng, color: Color) -> FloatImage:
    image = _grass(rng, color)
    rows = np.sin(np.arange(image.shape[0]) * (2 * np.pi / 16))
    return np.asarray(image * (1 + rng.uniform(0.1, 0.3) * rows[:, None, None]), np.float32)


def _stained(rng: Rng, color: Color) -> FloatImage:
    image = grained(rng, color, 0.06)
    streaks = fractal(rng, image.shape[0], 32, 3)[:1]
    return np.asarray(image * (1 + 0.08 * streaks[..., None]), np.float32)


def _decals(rng: Rng) -> list[tuple[str, FloatImage, Opacity]]:
    """Return the name, color and opacity of each decal."""
    size = 128
    stripes = np.zeros((size, size, 1), np.float32)
    for stripe in range(8):
        rectangle(stripes, stripe / 8, 0, stripe / 8 + 1 / 16, 1, (1.0,))
    arrow = np.zeros((size, size, 1), np.float32)
    polygon(arrow, [(0.44, 1), (0.56, 1), (0.56, 0.4), (0.75, 0.4), (0.5, 0), (0.25, 0.4), (0.44, 0.4)], (1.0,))
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / (size - 1) * 2 - 1
    soft = ((1 - np.abs(x)) / 0.35).clip(0, 1) * ((1 - np.abs(y)) / 0.25).clip(0, 1)
    lid = ((0.95 - np.hypot(x, y)) * 30).clip(0, 1)
    spots = fractal(rng, size, 4, 5)
    wear = (fractal(rng, size, 16, 4) * 0.4 + 0.9).clip(0, 1)
    return [
        ("stripes", plain(_PAINT, size), stripes[..., 0] * wear),
        ("arrow", plain(_PAINT, size), arrow[..., 0] * wear),
        ("line", plain(_PAINT, size), wear),
        ("contact_shadow", plain((6, 6, 7), size), 0.85 * soft),
        ("manhole", grained(rng, (62, 58, 55), 0.15, size=size), lid),
        ("patch", grained(rng, (66, 66, 68), 0.1, size=size), np.full((size, size), 0.8, np.float32)),
        ("stain", plain((45, 43, 42), size), (0.5 * soft * (spots + 0.5)).clip(0, 0.7)),
    ]

"""Textures of leaves, needles, hedges and bark."""

from __future__ import annotations

import numpy as np

from space_clip_ros.synthetic.atlas import Atlas
from space_clip_ros.synthetic.noise import Field, Rng, fractal
from space_clip_ros.synthetic.paint import SIZE, FloatImage, finish, grained, shuffled_color

_GREENS = ((70, 82, 38), (56, 74, 36), (86, 92, 44), (100, 96, 46), (62, 66, 40))


def add_plants(atlas: Atlas, rng: Rng) -> None:
    """Add leaves (3), needles (2), hedges (2), bushes (2), tall grass, forest walls (2) and bark."""
    y, x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32) / (SIZE - 1) * 2 - 1
    for kind in range(3):
        shape = 1.15 - np.hypot(x, y) * 1.15
        atlas.add(f"leaves_{kind}", finish(_leaves(rng), _ragged(rng, shape, 0.45)))
    for kind in range(2):
        shape = (y + 1) / 2 * 0.9 - np.abs(x) + 0.12 * np.sin(y * 40 + 3 * np.abs(x))
        image = grained(rng, shuffled_color(rng, (42, 56, 36)), 0.35, coarse=16)
        atlas.add(f"needles_{kind}", finish(image, _ragged(rng, shape * 2, 0.3)))
    for kind in range(2):
        atlas.add(f"hedge_{kind}", finish(_leaves(rng)))
        shape = 1 - np.sqrt(x**2 + ((y - 1) / 2) ** 2 * 1.2)
        atlas.add(f"bush_{kind}", finish(_leaves(rng), _ragged(rng, shape * 1.5, 0.35)))
        shape = (y + 0.55 + 0.25 * _skyline(rng)[None, :]) * 3
        atlas.add(f"forest_{kind}", finish(_leaves(rng, coarse=8), _ragged(rng, shape, 0.5)))
    blades = (y + 0.3 + 0.5 * rng.standard_normal(SIZE)[None, :]) * 2
    atlas.add("tall_grass", finish(grained(rng, shuffled_color(rng, (112, 112, 58)), 0.3), _ragged(rng, blades, 0.2)))
    bark = grained(rng, shuffled_color(rng, (84, 74, 62)), 0.2)
    atlas.add("bark", finish(np.asarray(bark * (1 + 0.25 * fractal(rng, SIZE, 32, 3)[:1, :, None]), np.float32)))


_BRIGHT_GREENS = ((126, 140, 52), (104, 124, 54), (86, 104, 54), (150, 142, 62), (136, 142, 54), (170, 112, 52))


def add_more_plants(atlas: Atlas, rng: Rng) -> None:
    """Add loose foliage (4) of strong contrast, and a second bark."""
    y, x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32) / (SIZE - 1) * 2 - 1
    for kind in range(4):
        color = shuffled_color(rng, _BRIGHT_GREENS[rng.integers(len(_BRIGHT_GREENS))], 0.12)
        speckle = fractal(rng, SIZE, 32, 3, 0.9)
        clumps = fractal(rng, SIZE, 8, 6, 0.85)
        lit = clumps - np.roll(clumps, SIZE // 48, axis=0)
        tone = (1 + 0.45 * clumps + 0.5 * speckle + 0.45 * lit).clip(0.08, 2.4)[..., None]
        image = grained(rng, color, 0.1, coarse=4, hue=0.4) * tone
        shape = 0.95 - np.hypot(x, y) * 1.05 + 0.28 * speckle
        atlas.add(f"foliage_{kind}", finish(np.asarray(image, np.float32), _ragged(rng, shape, 0.55)))
    bark = grained(rng, shuffled_color(rng, (104, 98, 86)), 0.25, coarse=8)
    atlas.add("bark_1", finish(np.asarray(bark * (1 + 0.3 * fractal(rng, SIZE, 16, 4)[:1, :, None]), np.float32)))


def _leaves(rng: Rng, coarse: int = 8) -> FloatImage:
    """Return clumps of leaves, lit from above."""
    color = shuffled_color(rng, _GREENS[rng.integers(len(_GREENS))], 0.12)
    clumps = fractal(rng, SIZE, coarse, 6, 0.8)
    lit = clumps - np.roll(clumps, SIZE // 64, axis=0)
    tone = (1 + 0.35 * clumps + 0.5 * lit).clip(0.12, 2.4)[..., None]
    image = grained(rng, color, 0.12, coarse=4, hue=0.3) * tone
    return np.asarray(image, np.float32)


def _ragged(rng: Rng, shape: Field, roughness: float) -> Field:
    """Return the opacity of a shape (positive inside) with noise in its edge and interior."""
    broken = shape + roughness * fractal(rng, SIZE, 8, 6, 0.85) + 0.12
    return np.asarray((broken * 8).clip(0, 1), np.float32)


def _skyline(rng: Rng) -> Field:
    return np.asarray(fractal(rng, SIZE, 4, 4)[0])

"""Textures of signs, traffic lights, guard rails and bare metal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from space_clip_ros.synthetic.atlas import Atlas
from space_clip_ros.synthetic.noise import Rng
from space_clip_ros.synthetic.paint import (
    SIZE,
    Color,
    FloatImage,
    Opacity,
    disc,
    finish,
    grained,
    plain,
    polygon,
    rectangle,
)

Corners = Sequence[tuple[float, float]]

_RED, _BLUE, _WHITE, _BLACK, _YELLOW = (
    (190.0, 25.0, 25.0),
    (25.0, 60.0, 150.0),
    (230.0, 230.0, 225.0),
    (15.0, 15.0, 15.0),
    (235.0, 190.0, 30.0),
)


def add_furniture(atlas: Atlas, rng: Rng) -> None:
    """Add signs (5), panel, traffic light, guard rail, metal and dark metal."""
    for kind, sign in enumerate((_round_sign, _blue_sign, _warning_sign, _give_way_sign, _priority_sign)):
        atlas.add(f"sign_{kind}", finish(*sign()))
    atlas.add("panel", finish(_panel(rng)))
    atlas.add("traffic_light", finish(_traffic_light(rng)))
    atlas.add("guard_rail", finish(*_guard_rail(rng)))
    atlas.add("metal", finish(grained(rng, (125, 127, 130), 0.1)))
    atlas.add("dark_metal", finish(grained(rng, (50, 54, 52), 0.12)))


def add_more_furniture(atlas: Atlas) -> None:
    """Add the slanted red and white stripes of road works."""
    image = plain(_WHITE)
    for at in np.arange(-1.0, 1.0, 0.5).tolist():
        polygon(image, [(0.0, at + 0.5), (1.0, at + 0.25), (1.0, at + 0.5), (0.0, at + 0.75)], _RED)
    atlas.add("stripes_red", finish(image))


def _blank() -> tuple[FloatImage, FloatImage]:
    return plain((150.0, 150.0, 150.0)), np.zeros((SIZE, SIZE, 1), np.float32)


def _round_sign() -> tuple[FloatImage, Opacity]:
    image, opacity = _blank()
    disc(opacity, 0.5, 0.5, 0.49, (1.0,))
    disc(image, 0.5, 0.5, 0.5, _RED)
    disc(image, 0.5, 0.5, 0.36, _WHITE)
    for left in (0.28, 0.54):
        rectangle(image, left, 0.32, left + 0.18, 0.68, _BLACK)
        rectangle(image, left + 0.06, 0.4, left + 0.12, 0.6, _WHITE)
    return image, opacity[..., 0]


def _blue_sign() -> tuple[FloatImage, Opacity]:
    image, opacity = _blank()
    disc(opacity, 0.5, 0.5, 0.49, (1.0,))
    disc(image, 0.5, 0.5, 0.5, _BLUE)
    polygon(
        image, [(0.44, 0.85), (0.56, 0.85), (0.56, 0.45), (0.7, 0.45), (0.5, 0.15), (0.3, 0.45), (0.44, 0.45)], _WHITE
    )
    return image, opacity[..., 0]


def _warning_sign() -> tuple[FloatImage, Opacity]:
    outer, inner = [(0.5, 0.02), (0.99, 0.9), (0.01, 0.9)], [(0.5, 0.22), (0.8, 0.78), (0.2, 0.78)]
    image, opacity = _polygon_sign(outer, _RED, inner, _WHITE)
    rectangle(image, 0.46, 0.38, 0.54, 0.62, _BLACK)
    return image, opacity


def _give_way_sign() -> tuple[FloatImage, Opacity]:
    outer, inner = [(0.01, 0.1), (0.99, 0.1), (0.5, 0.98)], [(0.2, 0.21), (0.8, 0.21), (0.5, 0.76)]
    return _polygon_sign(outer, _RED, inner, _WHITE)


def _priority_sign() -> tuple[FloatImage, Opacity]:
    outer = [(0.5, 0.0), (1.0, 0.5), (0.5, 1.0), (0.0, 0.5)]
    return _polygon_sign(outer, _WHITE, [(0.5, 0.16), (0.84, 0.5), (0.5, 0.84), (0.16, 0.5)], _YELLOW)


def _polygon_sign(outer: Corners, rim: Color, inner: Corners, face: Color) -> tuple[FloatImage, Opacity]:
    image, opacity = _blank()
    polygon(opacity, outer, (1.0,))
    polygon(image, outer, rim)
    polygon(image, inner, face)
    return image, opacity[..., 0]


def _panel(rng: Rng) -> FloatImage:
    """Return a direction board or poster."""
    board, ink = (_BLUE, _WHITE) if rng.random() < 0.5 else (_YELLOW, _BLACK)
    image = plain(board)
    for row in (0.15, 0.42, 0.69):
        for letter in np.arange(0.1, rng.uniform(0.5, 0.9), 0.06).tolist():
            rectangle(image, letter, row, letter + rng.uniform(0.015, 0.045), row + 0.16, ink)
    return image


def _traffic_light(rng: Rng) -> FloatImage:
    image = plain((22.0, 24.0, 22.0))
    lit = rng.integers(3)
    for lamp, color in enumerate(((255.0, 50.0, 30.0), (255.0, 190.0, 40.0), (60.0, 255.0, 150.0))):
        dim = 1.0 if lamp == lit else 0.2
        disc(image, 0.5, 0.18 + 0.32 * lamp, 0.14, [value * dim for value in color])
    return image


def _guard_rail(rng: Rng) -> tuple[FloatImage, Opacity]:
    """Return a rail of 0.32 m on posts of 0.75 m, with one post per texture."""
    image = grained(rng, (140, 142, 145), 0.06)
    rows = np.arange(SIZE) / SIZE
    image *= (1 + 0.3 * np.cos(rows * (2 * np.pi / 0.21)))[:, None, None].astype(np.float32)
    opacity = np.zeros((SIZE, SIZE, 1), np.float32)
    rectangle(opacity, 0, 0.02, 1, 0.45, (1.0,))
    rectangle(opacity, 0.48, 0.02, 0.53, 1, (1.0,))
    return image, opacity[..., 0]

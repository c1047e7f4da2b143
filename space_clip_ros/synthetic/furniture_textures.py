"""Textures of signs, traffic lights, guard rails and bare metal."""

from __future__ import annotations

import numpy as np

from space_clip_ros.synthetic.atlas import Atlas
from space_clip_ros.synthetic.noise import Rng
from space_clip_ros.synthetic.paint import SIZE, Opacity, Picture, disc, finish, grained, plain, polygon, rectangle

_RED, _BLUE, _WHITE, _BLACK, _YELLOW = (
    (190.0, 25.0, 25.0),
    (25.0, 60.0, 150.0),
    (230.0, 230.0, 225.0),
    (15.0, 15.0, 15.0),
    (235.0, 190.0, 30.0),
)


def add_furniture(atlas: Atlas, rng: Rng) -> None:
    """Add signs (5), panel, traffic light, guard rail, metal and painted steel."""
    for kind, sign in enumerate((_round_sign, _blue_sign, _warning_sign, _give_way_sign, _priority_sign)):
        atlas.add(f"sign_{kind}", finish(*sign()))
    atlas.add("panel", finish(_panel(rng)))
    atlas.add("traffic_light", finish(_traffic_light(rng)))
    atlas.add("guard_rail", finish(*_guard_rail(rng)))
    atlas.add("metal", finish(grained(rng, (125, 127, 130), 0.1)))
    atlas.add("dark_metal", finish(grained(rng, (50, 54, 52), 0.12)))


def _blank() -> tuple[Picture, Picture]:
    return plain((150.0, 150.0, 150.0)), np.zeros((SIZE, SIZE, 1), np.float32)


def _round_sign() -> tuple[Picture, Opacity]:
    picture, opacity = _blank()
    disc(opacity, 0.5, 0.5, 0.49, (1.0,))
    disc(picture, 0.5, 0.5, 0.5, _RED)
    disc(picture, 0.5, 0.5, 0.36, _WHITE)
    for left in (0.28, 0.54):
        rectangle(picture, left, 0.32, left + 0.18, 0.68, _BLACK)
        rectangle(picture, left + 0.06, 0.4, left + 0.12, 0.6, _WHITE)
    return picture, opacity[..., 0]


def _blue_sign() -> tuple[Picture, Opacity]:
    picture, opacity = _blank()
    disc(opacity, 0.5, 0.5, 0.49, (1.0,))
    disc(picture, 0.5, 0.5, 0.5, _BLUE)
    polygon(
        picture, [(0.44, 0.85), (0.56, 0.85), (0.56, 0.45), (0.7, 0.45), (0.5, 0.15), (0.3, 0.45), (0.44, 0.45)], _WHITE
    )
    return picture, opacity[..., 0]


def _warning_sign() -> tuple[Picture, Opacity]:
    picture, opacity = _blank()
    outer = [(0.5, 0.02), (0.99, 0.9), (0.01, 0.9)]
    polygon(opacity, outer, (1.0,))
    polygon(picture, outer, _RED)
    polygon(picture, [(0.5, 0.22), (0.8, 0.78), (0.2, 0.78)], _WHITE)
    rectangle(picture, 0.46, 0.38, 0.54, 0.62, _BLACK)
    return picture, opacity[..., 0]


def _give_way_sign() -> tuple[Picture, Opacity]:
    picture, opacity = _blank()
    outer = [(0.01, 0.1), (0.99, 0.1), (0.5, 0.98)]
    polygon(opacity, outer, (1.0,))
    polygon(picture, outer, _RED)
    polygon(picture, [(0.2, 0.21), (0.8, 0.21), (0.5, 0.76)], _WHITE)
    return picture, opacity[..., 0]


def _priority_sign() -> tuple[Picture, Opacity]:
    picture, opacity = _blank()
    outer = [(0.5, 0.0), (1.0, 0.5), (0.5, 1.0), (0.0, 0.5)]
    polygon(opacity, outer, (1.0,))
    polygon(picture, outer, _WHITE)
    polygon(picture, [(0.5, 0.16), (0.84, 0.5), (0.5, 0.84), (0.16, 0.5)], _YELLOW)
    return picture, opacity[..., 0]


def _panel(rng: Rng) -> Picture:
    """A direction board or poster."""
    board, ink = (_BLUE, _WHITE) if rng.random() < 0.5 else (_YELLOW, _BLACK)
    picture = plain(board)
    for row in (0.15, 0.42, 0.69):
        for letter in np.arange(0.1, rng.uniform(0.5, 0.9), 0.06).tolist():
            rectangle(picture, letter, row, letter + rng.uniform(0.015, 0.045), row + 0.16, ink)
    return picture


def _traffic_light(rng: Rng) -> Picture:
    picture = plain((22.0, 24.0, 22.0))
    lit = rng.integers(3)
    for lamp, color in enumerate(((255.0, 50.0, 30.0), (255.0, 190.0, 40.0), (60.0, 255.0, 150.0))):
        dim = 1.0 if lamp == lit else 0.2
        disc(picture, 0.5, 0.18 + 0.32 * lamp, 0.14, [value * dim for value in color])
    return picture


def _guard_rail(rng: Rng) -> tuple[Picture, Opacity]:
    """A rail of 0.32 m on posts of 0.75 m, one post a tile."""
    picture = grained(rng, (140, 142, 145), 0.06)
    rows = np.arange(SIZE) / SIZE
    picture *= (1 + 0.3 * np.cos(rows * (2 * np.pi / 0.21)))[:, None, None].astype(np.float32)
    opacity = np.zeros((SIZE, SIZE, 1), np.float32)
    rectangle(opacity, 0, 0.02, 1, 0.45, (1.0,))
    rectangle(opacity, 0.48, 0.02, 0.53, 1, (1.0,))
    return picture, opacity[..., 0]

"""Textures of facades, shops, roofs, walls and fences. A facade's texture is four storeys by four windows."""

from __future__ import annotations

import numpy as np

from space_clip_ros.synthetic.atlas import Atlas
from space_clip_ros.synthetic.noise import Rng, fractal
from space_clip_ros.synthetic.paint import (
    SIZE,
    Color,
    FloatImage,
    Opacity,
    finish,
    grained,
    plain,
    rectangle,
    shuffled_color,
)

FACADES = 8
_PLASTER = (
    (190, 178, 150),
    (205, 200, 190),
    (175, 150, 120),
    (165, 165, 160),
    (200, 185, 165),
    (150, 110, 90),
    (130, 90, 75),
    (185, 175, 120),
)
_ROOFS = ((120, 70, 55), (95, 60, 52), (70, 66, 66), (88, 80, 74))


def add_buildings(atlas: Atlas, rng: Rng) -> None:
    """Add facades, shops, roofs, blank walls, bricks, stones and fences."""
    for kind in range(FACADES):
        paint = (_glass_front, _brick_front)[kind % 2] if kind >= FACADES - 2 else _window_front
        atlas.add(f"facade_{kind}", finish(paint(rng)))
    for kind in range(2):
        atlas.add(f"shop_{kind}", finish(_shop(rng)))
        atlas.add(f"roof_{kind}", finish(_tiles(rng, shuffled_color(rng, _ROOFS[rng.integers(len(_ROOFS))]))))
        atlas.add(f"wall_{kind}", finish(_weathered(rng, shuffled_color(rng, _PLASTER[rng.integers(len(_PLASTER))]))))
    atlas.add("bricks", finish(_courses(rng, shuffled_color(rng, (135, 85, 68)), 32, 16)))
    atlas.add("stones", finish(_courses(rng, shuffled_color(rng, (130, 122, 110)), 16, 8)))
    atlas.add("fence", finish(*_pickets(rng)))
    atlas.add("mesh_fence", finish(*_wires(rng)))


def _weathered(rng: Rng, color: Color) -> FloatImage:
    image = grained(rng, color, 0.04)
    fade = 1 + 0.08 * np.linspace(1, -1, SIZE, dtype=np.float32)
    return np.asarray(image * fade[:, None, None] * (1 + 0.03 * fractal(rng, SIZE, 32, 3)[:1, :, None]), np.float32)


def _window_front(rng: Rng) -> FloatImage:
    image = _weathered(rng, shuffled_color(rng, _PLASTER[rng.integers(len(_PLASTER))]))
    width, height = rng.uniform(0.09, 0.15), rng.uniform(0.11, 0.16)
    frame = (225.0,) * 3 if rng.random() < 0.6 else tuple(rng.uniform(50, 120, 3))
    shutters = rng.random() < 0.3
    shutter = rng.uniform(50, 140, 3)
    balcony = rng.random() < 0.3
    for row in range(4):
        y = row / 4 + 0.125 - height / 2
        if rng.random() < 0.2:
            rectangle(image, 0, row / 4, 1, row / 4 + 0.012, image.mean(axis=(0, 1)) * 0.8)
        for column in range(4):
            x = column / 4 + 0.125 - width / 2
            if shutters:
                rectangle(image, x - 0.05, y, x + width + 0.05, y + height, shutter)
            rectangle(image, x - 0.01, y - 0.01, x + width + 0.01, y + height + 0.012, frame)
            _pane(image, rng, x, y, x + width, y + height)
            rectangle(image, x + width / 2 - 0.006, y, x + width / 2 + 0.006, y + height, frame)
            if balcony and column % 2:
                rectangle(image, x - 0.05, y + height * 0.55, x + width + 0.05, y + height + 0.02, frame)
    return image


def _pane(image: FloatImage, rng: Rng, left: float, top: float, right: float, bottom: float) -> None:
    """Paint a window pane: dark, or with an upper part that is curtained or reflects the sky."""
    mood = rng.random()
    dark = rng.uniform(18, 50) * np.array([0.95, 1.0, 1.08])
    bright = dark if mood < 0.5 else rng.uniform(70, 190) * np.array([0.93, 1.0, 1.07])
    rectangle(image, left, top, right, bottom, dark)
    rectangle(image, left, top, right, top + (bottom - top) * rng.uniform(0.2, 0.8), bright)


def _glass_front(rng: Rng) -> FloatImage:
    color = rng.uniform(60, 110) * np.array([0.85, 1.0, 1.12])
    image = grained(rng, color, 0.2, coarse=4)
    cells = 1 + 0.25 * rng.standard_normal((8, 8, 1)).astype(np.float32)
    image *= np.kron(cells, np.ones((SIZE // 8, SIZE // 8, 1), np.float32)).clip(0.4, 1.8)
    frame = rng.uniform(60, 180)
    band = rng.uniform(0.01, 0.06)
    for step in range(8):
        rectangle(image, step / 8, 0, step / 8 + 0.01, 1, (frame,) * 3)
    for step in range(4):
        rectangle(image, 0, step / 4, 1, step / 4 + band, (frame,) * 3)
    return image


def _brick_front(rng: Rng) -> FloatImage:
    bricks = _courses(rng, shuffled_color(rng, (140, 92, 74)), 64, 32)
    front = _window_front(rng)
    wall = np.median(front.reshape(-1, 3), axis=0)
    is_wall = (np.abs(front - wall).max(axis=-1) < 0.15 * wall.max())[..., None]
    return np.asarray(np.where(is_wall, bricks, front), np.float32)


def _shop(rng: Rng) -> FloatImage:
    """Return a ground floor with shop windows, a door and a sign."""
    image = _weathered(rng, shuffled_color(rng, (130, 125, 118)))
    for start in (0.03, 0.36, 0.69):
        _pane(image, rng, start, 0.3, start + 0.28, 0.93)
    rectangle(image, 0.4, 0.3, 0.5, 1.0, rng.uniform(20, 110, 3))
    rectangle(image, 0.03, 0.08, 0.97, 0.24, rng.uniform(20, 230, 3))
    for letter in np.arange(0.2, 0.8, 0.05).tolist():
        rectangle(image, letter, 0.12, letter + rng.uniform(0.01, 0.035), 0.2, rng.uniform(20, 240, 3))
    return image


def _tiles(rng: Rng, color: Color) -> FloatImage:
    image = grained(rng, color, 0.1)
    wave = np.sin(np.arange(SIZE) * (2 * np.pi / 8))
    image *= 1 + 0.1 * wave[None, :, None].astype(np.float32)
    image[:: SIZE // 16] *= 0.7
    return image


def _courses(rng: Rng, color: Color, rows: int, columns: int) -> FloatImage:
    tone = 1 + 0.14 * rng.standard_normal((rows, columns, 1)).astype(np.float32)
    image = grained(rng, color, 0.06) * np.kron(tone, np.ones((SIZE // rows, SIZE // columns, 1), np.float32))
    joint = np.asarray(color) * 1.15
    height, width = SIZE // rows, SIZE // columns
    for row in range(rows):
        image[row * height, :] = joint
        image[row * height : (row + 1) * height, (row % 2) * width // 2 :: width] = joint
    return np.asarray(image, np.float32)


def _pickets(rng: Rng) -> tuple[FloatImage, Opacity]:
    color = (220, 218, 210) if rng.random() < 0.3 else shuffled_color(rng, (110, 85, 62))
    opacity = np.zeros((SIZE, SIZE, 1), np.float32)
    width = rng.uniform(0.06, 0.11)
    for start in np.arange(0, 1, 0.125).tolist():
        rectangle(opacity, start, 0.06 * rng.random(), start + width, 1, (1.0,))
    for rail in (0.25, 0.75):
        rectangle(opacity, 0, rail, 1, rail + 0.07, (1.0,))
    return grained(rng, color, 0.12), opacity[..., 0]


def _wires(rng: Rng) -> tuple[FloatImage, Opacity]:
    opacity = np.zeros((SIZE, SIZE, 1), np.float32)
    opacity[:: SIZE // 16, :] = 0.8
    opacity[:, :: SIZE // 32] = 0.8
    rectangle(opacity, 0, 0, 0.03, 1, (1.0,))
    rectangle(opacity, 0, 0, 1, 0.02, (1.0,))
    return plain(rng.uniform(60, 140) * np.array([0.95, 1.0, 0.97])), opacity[..., 0]

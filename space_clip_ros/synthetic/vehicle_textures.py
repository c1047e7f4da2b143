"""Textures of cars, lorries and people. Body paint is white here; each vehicle's tint colours it."""

from __future__ import annotations

import numpy as np

from space_clip_ros.synthetic.atlas import Atlas
from space_clip_ros.synthetic.noise import Rng, fractal
from space_clip_ros.synthetic.paint import (
    SIZE,
    FloatImage,
    Opacity,
    disc,
    finish,
    grained,
    plain,
    polygon,
    rectangle,
    tinted,
)

_BODY = (250.0, 250.0, 250.0)
_DARK = (28.0, 28.0, 30.0)


def add_vehicles(atlas: Atlas, rng: Rng) -> None:
    """Add car parts, lorry bodies, wheels, pedestrians and cyclists."""
    for kind in range(3):
        atlas.add(f"car_side_{kind}", tinted(_side(rng), _BODY))
        atlas.add(f"car_rear_{kind}", tinted(_rear(rng), _BODY))
        atlas.add(f"tarp_{kind}", finish(_tarp(rng)))
    for kind in range(2):
        atlas.add(f"car_front_{kind}", tinted(_front(rng), _BODY))
    atlas.add("car_cabin", tinted(_cabin(rng), _BODY))
    atlas.add("car_glass", finish(_glass(rng)))
    atlas.add("car_paint", finish(grained(rng, _BODY, 0.03, hue=0.0)))
    atlas.add("wheel", finish(*_wheel(rng)))
    atlas.add("rubber", finish(grained(rng, (30, 30, 31), 0.15)))
    atlas.add("lorry_rear", finish(_lorry_rear(rng)))
    atlas.add("bus_side", tinted(_bus(rng), _BODY))
    for kind in range(4):
        atlas.add(f"person_{kind}", finish(*_person(rng)))
    for kind in range(2):
        atlas.add(f"cyclist_{kind}", finish(*_cyclist(rng)))


def _shaded(rng: Rng) -> FloatImage:
    """Return white body paint that gets brighter upwards."""
    fade = np.linspace(1.0, rng.uniform(0.6, 0.85), SIZE, dtype=np.float32)
    return np.asarray(plain(_BODY) * fade[:, None, None], np.float32)


def _side(rng: Rng) -> FloatImage:
    """Return the side of the body below the windows, rear at the left."""
    image = _shaded(rng)
    for x in (0.34, 0.57, 0.77):
        rectangle(image, x, 0.0, x + 0.006, 0.9, _DARK)
    for x in (0.36, 0.59):
        rectangle(image, x, 0.22, x + 0.05, 0.28, (90.0,) * 3)
    rectangle(image, 0, 0.86, 1, 1, _DARK)
    for x in (0.19, 0.81):
        disc(image, x, 1.02, 0.11, (14.0, 14.0, 14.0))
    rectangle(image, 0, 0.15, 0.05, 0.4, (140.0, 22.0, 18.0))
    rectangle(image, 0.95, 0.3, 1.0, 0.5, (218.0, 214.0, 200.0))
    return image


def _cabin(rng: Rng) -> FloatImage:
    """Return the side windows, rear at the left: glass with pillars in body colour."""
    image = _glass(rng)
    rectangle(image, 0, 0, 1, 0.08, _BODY)
    for x in (0.0, 0.28, 0.56, 0.93):
        rectangle(image, x, 0, x + 0.045, 1, _BODY)
    return image


def _glass(rng: Rng) -> FloatImage:
    image = grained(rng, rng.uniform(22, 55) * np.array([0.95, 1.0, 1.05]), 0.12, coarse=2)
    top = rng.uniform(20, 90) * np.linspace(1, 0, SIZE, dtype=np.float32) ** 2
    return np.asarray(image + top[:, None, None], np.float32)


def _rear(rng: Rng) -> FloatImage:
    """Return the rear below the window: lights, number plate, bumper."""
    image = _shaded(rng)
    width, top = rng.uniform(0.08, 0.2), rng.uniform(0.02, 0.2)
    height = rng.uniform(0.2, 0.4)
    lit = rng.random() < 0.4
    red = (255.0, 60.0, 40.0) if lit else (150.0, 24.0, 20.0)
    for left in (0.02, 0.98 - width):
        rectangle(image, left, top, left + width, top + height, red)
        rectangle(image, left, top + height * 0.4, left + width, top + height * 0.55, (190.0, 150.0, 120.0))
    plate = rng.uniform(0.25, 0.6)
    rectangle(image, 0.34, plate, 0.66, plate + 0.13, (222.0, 218.0, 205.0))
    rectangle(image, 0.36, plate + 0.03, 0.64, plate + 0.1, (110.0,) * 3)
    rectangle(image, 0, 0.62, 1, 0.64, _DARK)
    rectangle(image, 0, rng.uniform(0.75, 0.9), 1, 1, _DARK)
    return image


def _front(rng: Rng) -> FloatImage:
    """Return the front below the bonnet: headlamps, grille, number plate."""
    image = _shaded(rng)
    for left in (0.03, 0.77):
        rectangle(image, left, 0.1, left + 0.2, 0.35, (228.0, 224.0, 212.0))
        disc(image, left + 0.1, 0.22, 0.06, (120.0, 125.0, 130.0))
    rectangle(image, 0.27, 0.12, 0.73, 0.4, _DARK)
    rectangle(image, 0.34, 0.55, 0.66, 0.68, (222.0, 218.0, 205.0))
    rectangle(image, 0.1, 0.75, 0.9, 1.0, _DARK)
    return image


def _wheel(rng: Rng) -> tuple[FloatImage, Opacity]:
    image = plain((22.0, 22.0, 23.0))
    opacity = np.zeros((SIZE, SIZE, 1), np.float32)
    disc(opacity, 0.5, 0.5, 0.495, (1.0,))
    disc(image, 0.5, 0.5, 0.31, (130.0, 132.0, 135.0))
    for angle in np.arange(5) * (2 * np.pi / 5) + rng.uniform(0, 1):
        disc(image, 0.5 + 0.19 * np.cos(angle), 0.5 + 0.19 * np.sin(angle), 0.06, (45.0, 45.0, 46.0))
    return image, opacity[..., 0]


def _tarp(rng: Rng) -> FloatImage:
    """Return a lorry's side: folds, lettering and maybe a big painted stripe."""
    image = plain(_BODY)
    folds = np.sin(np.arange(SIZE) * (2 * np.pi / SIZE) * rng.integers(10, 30)) * rng.uniform(0, 0.08)
    image *= 1 + folds[None, :, None].astype(np.float32) + 0.05 * fractal(rng, SIZE, 4, 4)[..., None]
    color = rng.uniform(20, 220, 3)
    if rng.random() < 0.5:
        rectangle(image, 0, rng.uniform(0.1, 0.5), 1, rng.uniform(0.55, 0.9), color)
    for letter in np.arange(0.1, rng.uniform(0.3, 0.9), 0.07).tolist():
        rectangle(image, letter, 0.35, letter + rng.uniform(0.015, 0.05), 0.6, 255 - color)
    return image


def _lorry_rear(rng: Rng) -> FloatImage:
    image = _tarp(rng)
    rectangle(image, 0.49, 0, 0.51, 0.85, (90.0,) * 3)
    rectangle(image, 0, 0.85, 1, 1, _DARK)
    for left in (0.03, 0.82):
        rectangle(image, left, 0.88, left + 0.15, 0.95, (200.0, 30.0, 25.0))
    return image


def _bus(rng: Rng) -> FloatImage:
    image = plain(_BODY)
    rectangle(image, 0, 0.2, 1, 0.6, _DARK)
    for x in np.arange(0, 1, 0.14).tolist():
        rectangle(image, x + 0.01, 0.22, x + 0.13, 0.58, rng.uniform(25, 90) * np.ones(3))
    rectangle(image, 0, 0.92, 1, 1, _DARK)
    return image


def add_more_vehicles(atlas: Atlas, rng: Rng) -> None:
    """Add the rear of a bus."""
    image = _shaded(rng)
    rectangle(image, 0.08, 0.1, 0.92, rng.uniform(0.35, 0.5), (45.0, 48.0, 52.0))
    rectangle(image, 0.3, 0.02, 0.7, 0.08, (30.0, 26.0, 10.0))
    for left in (0.03, 0.87):
        rectangle(image, left, 0.55, left + 0.1, 0.8, (150.0, 24.0, 20.0))
    rectangle(image, 0.25, 0.6, 0.75, 0.85, (95.0,) * 3)
    rectangle(image, 0, 0.92, 1, 1, _DARK)
    atlas.add("bus_rear", tinted(image, _BODY))


def _person(rng: Rng) -> tuple[FloatImage, Opacity]:
    image, opacity = plain((60.0, 55.0, 50.0)), np.zeros((SIZE, SIZE, 1), np.float32)
    shirt = rng.uniform(20, 200) + rng.uniform(-25, 25, 3)
    trousers = rng.uniform(20, 90) + rng.uniform(-10, 15, 3)
    skin = rng.uniform(0.6, 1) * np.array([205, 165, 140])
    gap = rng.uniform(0.02, 0.15)
    legs = [(0.36, 0.5), (0.64, 0.5), (0.6 + gap, 1), (0.5 + gap, 1), (0.5, 0.62), (0.5 - gap, 1), (0.4 - gap, 1)]
    torso = [(0.3, 0.16), (0.7, 0.16), (0.78, 0.5), (0.66, 0.55), (0.34, 0.55), (0.22, 0.5)]
    for shape, color in ((legs, trousers), (torso, shirt)):
        polygon(image, shape, color)
        polygon(opacity, shape, (1.0,))
    disc(image, 0.5, 0.085, 0.1, skin)
    disc(opacity, 0.5, 0.085, 0.08, (1.0,))
    return np.asarray(image * (1 + 0.1 * fractal(rng, SIZE, 8, 4)[..., None]), np.float32), opacity[..., 0]


def _cyclist(rng: Rng) -> tuple[FloatImage, Opacity]:
    """Return a cyclist seen from behind or ahead."""
    image, opacity = _person(rng)
    frame = np.zeros((SIZE, SIZE, 1), np.float32)
    rectangle(frame, 0.46, 0.55, 0.54, 1.0, (1.0,))
    rectangle(frame, 0.2, 0.42, 0.8, 0.46, (1.0,))
    opacity[int(0.85 * SIZE) :] = 0
    rectangle(image, 0.46, 0.7, 0.54, 1.0, (20.0, 20.0, 20.0))
    return image, np.maximum(opacity, frame[..., 0])

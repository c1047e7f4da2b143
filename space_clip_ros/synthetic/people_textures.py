"""Textures of cloth, bicycles and motorcycles."""

from __future__ import annotations

import cv2
import numpy as np

from space_clip_ros.synthetic.atlas import Atlas
from space_clip_ros.synthetic.noise import Rng, fractal
from space_clip_ros.synthetic.paint import SIZE, FloatImage, Opacity, finish, grained, plain

_TYRE = (20.0, 20.0, 21.0)
_FRAME = (190.0, 190.0, 190.0)


def add_people(atlas: Atlas, rng: Rng) -> None:
    """Add cloth (2), a bicycle and a motorcycle seen from the side, front to the right."""
    for kind in range(2):
        atlas.add(f"cloth_{kind}", finish(_cloth(rng)))
    atlas.add("bicycle", finish(*_bicycle()))
    atlas.add("motorcycle", finish(*_motorcycle()))


def _cloth(rng: Rng) -> FloatImage:
    """Return white cloth with folds."""
    folds = fractal(rng, 128, 8, 4) * 0.5 + fractal(rng, 128, 8, 3)[:1] * 0.3
    return np.asarray(grained(rng, (225,) * 3, 0.06, size=128) * (1 + 0.16 * folds[..., None]), np.float32)


class _Drawing:
    """A side view, drawn into colour and opacity at once, in metres from the lower left corner."""

    def __init__(self, length: float, height: float) -> None:
        self.image, self.opacity = plain(_TYRE), np.zeros((SIZE, SIZE, 1), np.float32)
        self._scale = np.array([SIZE / length, -SIZE / height])

    def line(self, points: list[tuple[float, float]], width: float, color: tuple[float, ...] = _FRAME) -> None:
        at = (np.asarray(points) * self._scale + (0, SIZE)).round().astype(np.int32)
        thick = max(round(width * float(np.abs(self._scale).mean())), 1)
        for canvas, value in ((self.image, color), (self.opacity, (1.0,))):
            cv2.polylines(canvas, [at], False, value, thick)

    def ring(self, x: float, z: float, radius: float, width: float) -> None:
        center = tuple((np.array([x, z]) * self._scale + (0, SIZE)).round().astype(int).tolist())
        axes = tuple((radius * np.abs(self._scale)).round().astype(int).tolist())
        thick = max(round(width * float(np.abs(self._scale).mean())), 1)
        for canvas, value in ((self.image, _TYRE), (self.opacity, (1.0,))):
            cv2.ellipse(canvas, center, axes, 0, 0, 360, value, thick)

    def area(self, points: list[tuple[float, float]], color: tuple[float, ...]) -> None:
        at = (np.asarray(points) * self._scale + (0, SIZE)).round().astype(np.int32)
        for canvas, value in ((self.image, color), (self.opacity, (1.0,))):
            cv2.fillPoly(canvas, [at], value)

    def finished(self) -> tuple[FloatImage, Opacity]:
        return self.image, self.opacity[..., 0]


def _bicycle() -> tuple[FloatImage, Opacity]:
    drawing = _Drawing(1.75, 1.05)
    for x in (0.34, 1.41):
        for angle in np.arange(4) * (np.pi / 4):
            reach = 0.3 * np.array([np.cos(angle), np.sin(angle)])
            drawing.line([tuple(np.array([x, 0.34]) - reach), tuple(np.array([x, 0.34]) + reach)], 0.008, (90.0,) * 3)
        drawing.ring(x, 0.34, 0.31, 0.06)
    crank, saddle, head = (0.8, 0.3), (0.66, 0.9), (1.22, 0.86)
    drawing.line([(0.34, 0.34), crank, head, (0.7, 0.74), (0.34, 0.34)], 0.045)
    drawing.line([crank, saddle], 0.045)
    drawing.line([(1.41, 0.34), (1.22, 0.86), (1.18, 1.0), (1.3, 1.02)], 0.045)
    drawing.line([(0.56, 0.92), (0.8, 0.92)], 0.07, _TYRE)
    drawing.line([(0.16, 0.7), (0.62, 0.7)], 0.04, (60.0,) * 3)
    return drawing.finished()


def _motorcycle() -> tuple[FloatImage, Opacity]:
    drawing = _Drawing(2.05, 1.15)
    for x in (0.34, 1.71):
        drawing.ring(x, 0.34, 0.27, 0.14)
    drawing.area([(0.2, 0.75), (0.75, 0.72), (1.3, 0.85), (1.35, 0.6), (1.2, 0.25), (0.7, 0.25)], _FRAME)
    drawing.area([(0.7, 0.25), (1.2, 0.25), (1.2, 0.55), (0.75, 0.55)], (70.0,) * 3)
    drawing.line([(1.71, 0.34), (1.4, 0.9), (1.36, 1.08), (1.28, 1.1)], 0.07)
    drawing.line([(0.34, 0.34), (0.9, 0.4)], 0.07, (80.0,) * 3)
    return drawing.finished()

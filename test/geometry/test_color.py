from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from space_clip_ros.config import COLORMAPS
from space_clip_ros.errors import InputError
from space_clip_ros.geometry.color import color_position, color_ramp, color_table, colorize


def metres(*values: float) -> np.ndarray:
    return np.array([values], np.float32)


@pytest.mark.parametrize("colormap", COLORMAPS)
def test_near_is_the_bright_end_and_far_the_dark_end(colormap: str) -> None:
    table = color_table(colormap)[:, 0]
    image = colorize(metres(1, 80), colormap, 1.0, 80.0)
    assert image.dtype == np.uint8 and image.shape == (1, 2, 3)
    np.testing.assert_array_equal(image[0], [table[255], table[1]])


def test_colours_are_rgb() -> None:
    # Jet's last colour is a dark red.
    red, green, blue = colorize(metres(1), "jet", 1.0, 80.0)[0, 0]
    assert red > 100 and green == 0 and blue == 0
    bgr = cv2.applyColorMap(np.array([[200]], np.uint8), cv2.COLORMAP_TURBO)[0, 0]
    np.testing.assert_array_equal(color_table("turbo")[200, 0], bgr[::-1])


def test_the_scale_is_the_documented_one() -> None:
    depth = np.linspace(0.1, 80, 500, dtype=np.float32).reshape(20, 25)
    t = np.log(81 / (1 + depth.astype(np.float64))) / math.log(81 / 1.1)
    expected = np.rint(1 + 254 * t).astype(int)
    image = colorize(depth, "viridis", 0.1, 80.0)
    table = color_table("viridis")[:, 0].astype(int)
    near = np.stack([table[np.clip(expected + step, 1, 255)] for step in (-1, 0, 1)])
    # Float32 rounding may change the index by one, not more.
    assert (near == image).all(axis=-1).any(axis=0).all()
    assert (table[expected] == image).all(axis=-1).mean() > 0.98


@pytest.mark.parametrize("shape", [(1, 1), (3, 7)])
def test_invalid_and_out_of_range_is_black(shape: tuple[int, int]) -> None:
    for value in (math.nan, math.inf, -math.inf, 0.0, -1.0, 0.49, 80.01):
        assert not colorize(np.full(shape, value, np.float32), "turbo", 0.5, 80.0).any()
    assert colorize(np.full(shape, 80.0, np.float32), "turbo", 0.5, 80.0).all(axis=-1).any()


def test_a_ramp_has_every_colour_and_positions_lie_on_it() -> None:
    ramp = color_ramp(0.5, 80.0, 255)
    shown = colorize(ramp[None], "turbo", 0.5, 80.0)[0]
    assert (shown == color_table("turbo")[:0:-1, 0]).all()
    positions = [color_position(float(depth), 0.5, 80.0) for depth in ramp]
    assert positions == pytest.approx(np.linspace(0.0, 1.0, 255), abs=1e-6)


def test_zero_metres_is_black_even_when_the_scale_starts_there() -> None:
    assert not colorize(metres(0, 0), "turbo", 0.0, 10.0).any()


def test_strided_and_float64_depth_give_the_same_image() -> None:
    depth = np.random.default_rng(0).uniform(0, 90, (12, 14)).astype(np.float32)
    expected = colorize(np.ascontiguousarray(depth[::2, ::2]), "turbo", 0.1, 80.0)
    np.testing.assert_array_equal(colorize(depth[::2, ::2], "turbo", 0.1, 80.0), expected)
    np.testing.assert_array_equal(colorize(depth[::2, ::2].astype(np.float64), "turbo", 0.1, 80.0), expected)


def test_rejects_what_it_cannot_colour() -> None:
    with pytest.raises(InputError, match="turbo, inferno"):
        colorize(metres(1), "rainbow", 0.1, 80.0)
    for low, high in ((2.0, 2.0), (-1.0, 2.0), (0.1, math.inf), (math.nan, 1.0)):
        with pytest.raises(InputError, match="scale"):
            colorize(metres(1), "turbo", low, high)
    with pytest.raises(InputError, match="shape"):
        colorize(np.ones((2, 2, 1), np.float32), "turbo", 0.1, 80.0)
    with pytest.raises(InputError, match="uint16"):
        colorize(np.ones((2, 2), np.uint16), "turbo", 0.1, 80.0)

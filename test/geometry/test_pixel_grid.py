"""Picked pixels and their camera, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from space_clip_ros.errors import InputError
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.cloud import Projector
from space_clip_ros.geometry.pixel_grid import EVERY_PIXEL, PixelGrid

CAMERA = PinholeCamera(width=8, height=6, fx=4.0, fy=5.0, cx=3.5, cy=2.5)


def test_the_middle_pixel_of_each_block_is_picked() -> None:
    columns = np.arange(10)[None].repeat(7, axis=0)
    assert PixelGrid(1, 2).of(columns)[0].tolist() == [0, 2, 4, 6, 8]
    assert PixelGrid(1, 3).of(columns)[0].tolist() == [1, 4, 7]
    assert PixelGrid(1, 4).of(columns)[0].tolist() == [1, 5, 9]
    assert PixelGrid(3, 1).of(columns.T)[:, 0].tolist() == [1, 4, 7]


def test_every_pixel_is_the_array_itself() -> None:
    image = np.zeros((3, 4, 3), np.uint8)
    assert EVERY_PIXEL.of(image) is image
    assert EVERY_PIXEL.camera(CAMERA) == CAMERA
    assert PixelGrid(2, 2).of(image).flags.c_contiguous


def test_the_nearest_of_each_block_of_the_picked_row() -> None:
    nan = float("nan")
    depth = np.array([[1, 1, 1, 1, 1], [9, 5, 7, 3, nan], [1, 1, 1, 1, 1], [1, 1, 1, 1, 1], [nan, nan, nan, 4, 2]])
    nearest = PixelGrid(3, 3).nearest(depth.astype(np.float32))
    np.testing.assert_array_equal(nearest, np.array([[5, 3], [nan, 2]], np.float32))
    # The last block of five columns has none of its middle pixel, so it is not picked.
    np.testing.assert_array_equal(PixelGrid(3, 4).nearest(depth.astype(np.float32)), [[3], [4]])
    assert PixelGrid(3, 4).of(depth).shape == (2, 1)
    assert EVERY_PIXEL.nearest(depth) is depth


def test_a_grid_of_larger_steps() -> None:
    assert PixelGrid(1, 4).at_least(2) == PixelGrid(2, 4)
    assert PixelGrid(3, 4).at_least(1) == PixelGrid(3, 4)


def test_the_camera_of_half_the_pixels() -> None:
    # Pixels 0, 2, 4 and 6 of 8: the principal point, at 3.5, lies at 1.75 among them.
    assert PixelGrid(2, 2).camera(CAMERA) == PinholeCamera(4, 3, 2.0, 2.5, 1.75, 1.25)


def test_the_camera_of_every_third_pixel() -> None:
    # Pixels 1, 4 and 7 of 8, and 1 and 4 of 6: 3.5 lies 2.5 pixels, or 2.5 / 3 steps, behind pixel 1.
    assert PixelGrid(3, 3).camera(CAMERA) == PinholeCamera(3, 2, 4.0 / 3, 5.0 / 3, 2.5 / 3, 0.5)


def test_odd_sizes() -> None:
    camera = PinholeCamera(1242, 375, 721.5, 722.5, 609.6, 172.9)
    half, quarter = PixelGrid(2, 2).camera(camera), PixelGrid(4, 4).camera(camera)
    assert (half.width, half.height) == (621, 188)
    assert (quarter.width, quarter.height) == (311, 94)
    assert quarter.cx == (609.6 - 1) / 4


@pytest.mark.parametrize("grid", [PixelGrid(2, 2), PixelGrid(3, 5), PixelGrid(4, 4)])
def test_points_stay_where_they_are(grid: PixelGrid) -> None:
    camera = PinholeCamera(61, 43, 50.0, 55.0, 31.2, 19.7)
    depth = np.random.default_rng(0).uniform(1.0, 80.0, (43, 61)).astype(np.float32)
    whole = Projector(camera).project(depth)
    picked = Projector(grid.camera(camera)).project(grid.of(depth))
    np.testing.assert_allclose(picked, grid.of(whole), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("steps", [(0, 1), (1, -2)])
def test_steps_below_one(steps: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="at least 1"):
        PixelGrid(*steps)


def test_an_image_without_a_picked_pixel() -> None:
    with pytest.raises(InputError, match="at least 1x1"):
        PixelGrid(1, 9).camera(PinholeCamera(4, 4, 1.0, 1.0, 1.5, 1.5))


def test_shares_are_the_middles_of_the_picked_pixels():
    rows, columns = PixelGrid(2, 3).shares(8, 9)
    # Rows 0, 2, 4, 6 and columns 1, 4, 7.
    np.testing.assert_allclose(rows * 8 - 0.5, [0, 2, 4, 6])
    np.testing.assert_allclose(columns * 9 - 0.5, [1, 4, 7])
    assert [len(axis) for axis in PixelGrid(2, 3).shares(8, 9, stride=2)] == [2, 2]
    image = np.arange(72).reshape(8, 9)
    np.testing.assert_array_equal(PixelGrid(2, 3).of(image)[:, 0], rows * 72 - 4.5 + 1)

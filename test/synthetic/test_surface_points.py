from __future__ import annotations

import numpy as np

from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.synthetic.surface_points import SurfacePoints, pixels_to_rays

CAMERA = PinholeCamera(8, 5, 10.0, 20.0, 3.5, 2.0)


def test_a_slice_and_its_pixels_are_the_same_points() -> None:
    pixel = np.arange(8, 24)
    inverse = np.linspace(0.1, 1, 16, dtype=np.float32)
    sliced, listed = (SurfacePoints.at(CAMERA, which, pixel, inverse) for which in (slice(8, 24), pixel))
    for name in ("x", "y", "jitter", "facet", "depth"):
        np.testing.assert_array_equal(getattr(sliced, name), getattr(listed, name))
    assert sliced.x.tolist() == [*range(8)] * 2
    assert sliced.y.tolist() == [1] * 8 + [2] * 8
    np.testing.assert_array_equal(sliced.depth, 1 / inverse)


def test_jitter_stays_within_half_a_texel_and_differs_between_axes() -> None:
    wide = PinholeCamera(300, 100, 100.0, 100.0, 150.0, 50.0)  # more pixels than there are stored jitters
    across, down = SurfacePoints.at(
        wide, slice(0, 30_000), np.zeros(30_000, np.intp), np.ones(30_000, np.float32)
    ).jitter
    assert max(abs(across).max(), abs(down).max()) <= 0.5
    assert abs(np.corrcoef(across, down)[0, 1]) < 0.05


def test_ray_of_a_pixel_worked_out_by_hand() -> None:
    np.testing.assert_allclose(pixels_to_rays(CAMERA) @ [7, 4, 1], [0.35, 0.1, 1])

from __future__ import annotations

import numpy as np

from space_clip_ros.synthetic import lidar
from space_clip_ros.synthetic.atlas import Atlas
from space_clip_ros.synthetic.lidar import (
    AZIMUTH_STEP_RAD,
    ELEVATIONS_RAD,
    FIELD_OF_VIEW_RAD,
    MAX_RANGE_M,
    RANGE_NOISE_M,
    SCAN_CAMERA,
    scan,
)
from space_clip_ros.synthetic.mesh import GROUND, Mesh, concatenate, quads


def scene() -> tuple[Mesh, Atlas]:
    """A wall 20 m ahead on level ground."""
    atlas = Atlas()
    atlas.add("gray", np.full((8, 8, 4), (190, 190, 190, 255), np.uint8))
    ground = quads([(-10, -400, 0), (400, -400, 0), (400, 400, 0), (-10, 400, 0)], 0, kind=GROUND)
    wall = quads([(20, 300, 0), (20, -300, 0), (20, -300, 30), (20, 300, 30)], 0)
    return concatenate([ground, wall]), atlas


POSE = np.eye(4)
POSE[2, 3] = 1.73


def test_returns_lie_on_the_surfaces() -> None:
    points = scan(*scene(), POSE, np.random.default_rng(0))
    assert points.dtype == np.float32
    x, _, z = points[:, :3].T.astype(float)
    on_ground, on_wall = np.abs(z + 1.73), np.abs(x - 20.0)
    assert np.percentile(np.minimum(on_ground, on_wall), 99.9) < 4 * RANGE_NOISE_M
    assert (on_wall < 0.1).sum() > 1000
    assert ((points[:, 3] >= 0) & (points[:, 3] < 1)).all()


def test_field_range_and_beams() -> None:
    points = scan(*scene(), POSE, np.random.default_rng(1)).astype(float)
    distance = np.linalg.norm(points[:, :3], axis=1)
    assert distance.max() < MAX_RANGE_M + 5 * RANGE_NOISE_M
    azimuth = np.arctan2(points[:, 1], points[:, 0])
    assert np.abs(azimuth).max() <= FIELD_OF_VIEW_RAD / 2 + 0.004
    elevation = np.arcsin(points[:, 2] / distance)
    assert np.abs(elevation[:, None] - ELEVATIONS_RAD).min(axis=1).max() < 1e-4
    assert len(ELEVATIONS_RAD) == 64


def test_some_returns_are_lost_and_a_seed_repeats() -> None:
    first, again, other = (scan(*scene(), POSE, np.random.default_rng(seed)) for seed in (2, 2, 3))
    np.testing.assert_array_equal(first, again)
    assert len(first) != len(other)
    assert 0.6 < len(first) / (64 * FIELD_OF_VIEW_RAD / np.radians(0.1728)) < 0.99


def test_every_beam_has_a_pixel_of_its_row() -> None:
    # The last firing of a scan that begins late lies a little outside the field of view.
    firings = np.arange(-FIELD_OF_VIEW_RAD / 2, FIELD_OF_VIEW_RAD / 2, AZIMUTH_STEP_RAD) + AZIMUTH_STEP_RAD
    pixels = lidar._pixels(firings).reshape(64, -1)
    rows, columns = np.divmod(pixels, SCAN_CAMERA.width)
    assert (np.diff(columns, axis=1) <= 0).all() and (np.diff(rows, axis=0) >= 0).all()
    assert rows.min() >= 0 and rows.max() < SCAN_CAMERA.height


def test_an_empty_sky_returns_nothing() -> None:
    atlas = Atlas()
    atlas.add("gray", np.full((8, 8, 4), 190, np.uint8))
    behind = quads([(-20, 3, 0), (-20, -3, 0), (-20, -3, 3), (-20, 3, 3)], 0)
    assert scan(behind, atlas, POSE, np.random.default_rng(0)).shape == (0, 4)

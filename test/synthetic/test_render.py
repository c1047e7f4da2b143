from __future__ import annotations

import numpy as np
import pytest

from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.synthetic.atlas import Atlas
from space_clip_ros.synthetic.light import Light, random_light
from space_clip_ros.synthetic.mesh import CUTOUT, DECAL, GROUND, Mesh, box, concatenate, quads
from space_clip_ros.synthetic.render import CameraView
from space_clip_ros.synthetic.sensor import Sensor, expose, random_sensor

CAMERA = PinholeCamera(80, 60, 60.0, 60.0, 39.5, 29.5)
POSE = np.array([[0.0, 0.0, 1.0, 0.0], [-1.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 1.5], [0.0, 0.0, 0.0, 1.0]])
"""At x = 0, 1.5 m above the ground, looking along x."""


@pytest.fixture
def atlas() -> Atlas:
    atlas = Atlas()
    atlas.add("gray", np.full((8, 8, 4), (128, 128, 128, 255), np.uint8))
    hole = np.full((8, 8, 4), (128, 128, 128, 255), np.uint8)
    hole[:, :4, 3] = 0
    atlas.add("half", hole)
    atlas.add("paint", np.full((8, 8, 4), (250, 250, 250, 255), np.uint8))
    return atlas


def ground(atlas: Atlas) -> Mesh:
    corners = [(-10, -50, 0), (300, -50, 0), (300, 50, 0), (-10, 50, 0)]
    return quads(corners, atlas.index("gray"), kind=GROUND)


def weather(elevation: float = 45.0, sun: float = 1.0) -> Light:
    angle = np.radians(elevation)
    blank = np.zeros(3)
    return Light(
        to_sun=np.array([0.0, np.cos(angle), np.sin(angle)]),
        sun=np.full(3, sun),
        sky=np.full(3, 0.2),
        bounce=blank,
        zenith=np.full(3, 0.5),
        horizon=np.full(3, 0.5),
        haze=0.0,
        clouds=0.0,
        cloud_field=np.zeros((4, 4), np.float32),
    )


def test_depth_of_ground_and_box_worked_out_by_hand(atlas: Atlas) -> None:
    # A 2 m cube whose near face stands at x = 9: it spans z = 9, and 1.5 m below the axis is the ground.
    cube = box((2.0, 2.0, 2.0), atlas.index("gray")).placed((10.0, 0.0, 0.0), 0.0)
    depth = CameraView(concatenate([ground(atlas), cube]), atlas, CAMERA, POSE).depth()
    assert depth.dtype == np.float32
    for row in range(40, 60):
        expected = 1.5 * 60 / (row - 29.5)
        np.testing.assert_allclose(depth[row, [0, 79]], expected, rtol=1e-5)
    # The face is 1 m to both sides: +-60 / 9 pixels; from 0.5 m above the axis to the ground 10 pixels below.
    np.testing.assert_allclose(depth[27:39, 34:46], 9.0, rtol=1e-6)
    assert depth[30, 32] != pytest.approx(9.0)
    assert np.isnan(depth[10, 40])
    # The lid is 0.5 m above the camera, so its top cannot be seen.
    assert np.isnan(depth[25, 40])


def test_holes_show_what_is_behind(atlas: Atlas) -> None:
    corners = [(5, 1, 0.5), (5, -1, 0.5), (5, -1, 2.5), (5, 1, 2.5)]
    screen = quads(corners, atlas.index("half"), kind=CUTOUT)
    wall = quads([(20, 30, 0), (20, -30, 0), (20, -30, 9), (20, 30, 9)], atlas.index("gray"))
    depth = CameraView(concatenate([screen, wall]), atlas, CAMERA, POSE).depth()
    row = depth[30]
    assert row[32] == pytest.approx(20.0)  # left half: a hole
    assert row[47] == pytest.approx(5.0)


def test_decals_colour_the_ground_but_not_the_depth(atlas: Atlas) -> None:
    stripe = quads([(5, -1, 0), (8, -1, 0), (8, 1, 0), (5, 1, 0)], atlas.index("paint"), kind=DECAL)
    plain = CameraView(ground(atlas), atlas, CAMERA, POSE)
    painted = CameraView(concatenate([ground(atlas), stripe]), atlas, CAMERA, POSE)
    np.testing.assert_array_equal(plain.depth(), painted.depth())
    change = (painted.color(weather()) - plain.color(weather())).mean(axis=-1)
    rows = 29.5 + 1.5 * 60 / np.array([8.0, 5.0])
    assert change[int(rows.mean()), 40] > 0.1
    assert not change[: int(rows[0]) - 1].any()


def test_decals_stay_off_what_stands_on_the_ground(atlas: Atlas) -> None:
    stripe = quads([(5, -1, 0), (30, -1, 0), (30, 1, 0), (5, 1, 0)], atlas.index("paint"), kind=DECAL)
    cube = box((2, 4, 2), atlas.index("gray")).placed((10, 0, 0), 0.0)
    bare = CameraView(concatenate([ground(atlas), cube]), atlas, CAMERA, POSE).color(weather())
    painted = CameraView(concatenate([ground(atlas), stripe, cube]), atlas, CAMERA, POSE).color(weather())
    np.testing.assert_array_equal(bare[30:38, 38:42], painted[30:38, 38:42])


def test_shadow_lies_away_from_the_sun(atlas: Atlas) -> None:
    # Sun from the left (y > 0) at 45 degrees: a wall 2 m tall along x shades 2 m to its right.
    wall = box((40.0, 0.2, 2.0), atlas.index("gray")).placed((20.0, 2.0, 0.0), 0.0)
    view = CameraView(concatenate([ground(atlas), wall]), atlas, CAMERA, POSE)
    color = view.color(weather()).mean(axis=-1)
    row = 48
    z = 1.5 * 60 / (row - 29.5)
    shaded, lit = (color[row, round(39.5 - y / z * 60)] for y in (1.0, -2.0))
    gray = (128 / 255) ** 2
    assert lit == pytest.approx(gray * (0.2 + np.sqrt(0.5)), rel=0.02)
    assert shaded == pytest.approx(gray * 0.2, rel=0.02)


def test_thick_haze_shows_the_colour_of_the_horizon(atlas: Atlas) -> None:
    thick = weather()
    thick = Light(**{**thick.__dict__, "haze": 10.0})
    color = CameraView(ground(atlas), atlas, CAMERA, POSE).color(thick)
    np.testing.assert_allclose(color[50], 0.4, rtol=1e-3)


def test_exposure_reaches_its_target_for_dark_and_bright_scenes() -> None:
    rng = np.random.default_rng(0)
    ramp = np.linspace(0.05, 0.5, 60 * 80 * 3, dtype=np.float32).reshape(60, 80, 3)
    for factor in (0.01, 1.0, 30.0):
        image = expose(ramp * np.float32(factor), Sensor(brightness=100.0, vignette=0.0), rng)
        assert image.dtype == np.uint8
        assert abs(image[20:].mean() - 100) < 15


def test_random_weather_and_sensor_are_usable() -> None:
    for seed in range(20):
        light = random_light(np.random.default_rng(seed))
        assert np.linalg.norm(light.to_sun) == pytest.approx(1.0)
        assert light.to_sun[2] > 0.2
    sensor = random_sensor(np.random.default_rng(1))
    wide = np.full((600, 300, 3), 0.2, np.float32)  # taller than the stored noise
    assert expose(wide, sensor, np.random.default_rng(2)).shape == (600, 300, 3)

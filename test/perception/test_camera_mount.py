"""A camera's mount: from parameters, and what cannot be one."""

from __future__ import annotations

import math

import pytest

from space_clip_ros.config import ScaleConfig
from space_clip_ros.errors import InputError
from space_clip_ros.geometry.ground_plane import LEVEL
from space_clip_ros.perception.camera_mount import CameraMount, configured_mount


def test_it_is_level_and_of_unknown_height_unless_given() -> None:
    assert CameraMount() == CameraMount(0.0, LEVEL)
    mount = configured_mount(ScaleConfig())
    assert mount.height_m == 0.0
    assert mount.up == pytest.approx(LEVEL)


def test_pitch_and_roll_count_where_the_height_is_unknown_too() -> None:
    # Looking down by 0.1, up leans back towards the camera; turned clockwise by 0.2, it leans left.
    pitched = configured_mount(ScaleConfig(camera_height=1.65, camera_pitch=0.1))
    assert pitched.height_m == 1.65
    assert pitched.up == pytest.approx((0.0, -math.cos(0.1), -math.sin(0.1)))
    assert configured_mount(ScaleConfig(camera_roll=0.2)).up == pytest.approx((-math.sin(0.2), -math.cos(0.2), 0.0))


@pytest.mark.parametrize("height", [-0.1, math.inf, math.nan])
def test_impossible_heights_are_refused(height: float) -> None:
    with pytest.raises(InputError, match="must be 0 metres or more"):
        CameraMount(height)

"""A calibration carried over to the images that are cut out of the sensor."""

from __future__ import annotations

import dataclasses

import pytest

from space_clip_ros.errors import InputError
from space_clip_ros.geometry.calibration import CameraCalibration

SENSOR = CameraCalibration(
    width=256,
    height=192,
    K=(200.0, 0.0, 140.0, 0.0, 200.0, 100.0, 0.0, 0.0, 1.0),
    D=(),
    R=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0),
    P=(200.0, 0.0, 140.0, 0.0, 0.0, 200.0, 100.0, 0.0, 0.0, 0.0, 1.0, 0.0),
    distortion_model="plumb_bob",
)


def test_region_and_binning():
    image = dataclasses.replace(SENSOR, binning=(2, 2), roi=(64, 48, 128, 96)).delivered()
    assert (image.width, image.height) == (64, 48)
    # (140 - 64 + 0.5) / 2 - 0.5 and (100 - 48 + 0.5) / 2 - 0.5
    assert (image.K[0, 0], image.K[0, 2], image.K[1, 2]) == pytest.approx((100.0, 37.75, 25.75))


def test_the_rectifier_stays_the_same_object():
    assert SENSOR.rectifier() is dataclasses.replace(SENSOR).rectifier()
    assert SENSOR.rectifier().identity


@pytest.mark.parametrize("fields", [{"K": (0.0,) * 9}, {"width": 0}, {"roi": (200, 0, 100, 100)}])
def test_what_cannot_be_used(fields):
    with pytest.raises(InputError):
        dataclasses.replace(SENSOR, **fields).delivered()

"""A calibration carried over to the images that are cut out of the sensor."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from space_clip_ros.errors import InputError
from space_clip_ros.geometry.calibration import CameraCalibration
from space_clip_ros.geometry.camera import PinholeCamera

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
    assert SENSOR.rectifier(256, 192) is dataclasses.replace(SENSOR).rectifier(256, 192)
    assert SENSOR.rectifier(256, 192).identity


@pytest.mark.parametrize("size", [(128, 96), (512, 384), (300, 225), (85, 64)])
def test_another_resolution_of_the_same_shape_scales_the_camera(size):
    image = SENSOR.of_image(*size)
    expected = PinholeCamera(256, 192, 200.0, 200.0, 140.0, 100.0).resized(*size)
    np.testing.assert_allclose(image.K, expected.K)
    np.testing.assert_allclose(image.P[:, :3], expected.K)


def test_a_region_scales_as_well():
    image = dataclasses.replace(SENSOR, roi=(64, 48, 128, 96)).of_image(64, 48)
    assert (image.K[0, 0], image.K[0, 2], image.K[1, 2]) == pytest.approx((100.0, 37.75, 25.75))


def test_another_shape_is_refused_with_both_sizes():
    with pytest.raises(InputError, match=r"images of 256x192 pixels .* but they are 256x144, which is another shape"):
        SENSOR.of_image(256, 144)


@pytest.mark.parametrize(
    "P",
    [
        (0.0,) * 12,
        # One stray entry.
        (0.0,) * 10 + (1.0, 0.0),
        (0.0, 0.0, 140.0, 0.0, 0.0, 0.0, 100.0, 0.0, 0.0, 0.0, 1.0, 0.0),
        # The identity, as drivers without a calibration leave it.
        (1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0),
    ],
)
def test_k_stands_in_for_a_p_without_a_focal_length(P):
    np.testing.assert_allclose(dataclasses.replace(SENSOR, P=P).delivered().P[:, :3], np.reshape(SENSOR.K, (3, 3)))


@pytest.mark.parametrize(
    "fields", [{"K": (0.0,) * 9}, {"K": (1.0, 0, 0, 0, 1, 0, 0, 0, 1)}, {"width": 0}, {"roi": (200, 0, 100, 100)}]
)
def test_what_cannot_be_used(fields):
    with pytest.raises(InputError):
        dataclasses.replace(SENSOR, **fields).delivered()

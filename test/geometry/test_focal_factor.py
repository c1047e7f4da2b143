"""The first-order correction for another field of view."""

from __future__ import annotations

import pytest

from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.focal_factor import focal_factor

TRAINED = (1242.0, 375.0, 721.5, 721.5)


def test_the_training_camera_needs_no_correction():
    assert focal_factor(PinholeCamera(1242, 375, 721.5, 721.5, 609.6, 172.9), TRAINED) == pytest.approx(1.0)


def test_resizing_an_image_changes_nothing():
    camera = PinholeCamera(1242, 375, 721.5, 721.5, 609.6, 172.9)
    assert focal_factor(camera.resized(640, 192), TRAINED) == pytest.approx(1.0)


def test_half_the_focal_length_halves_depth():
    # The object looks half as large, the network says twice as far, so depth is halved.
    assert focal_factor(PinholeCamera(1242, 375, 360.75, 360.75, 609.6, 172.9), TRAINED) == pytest.approx(0.5)


def test_a_crop_in_one_direction_counts_by_its_root():
    # Half the height makes everything twice as tall in the squeezed picture: apparent area is doubled.
    camera = PinholeCamera(1242, 188, 721.5, 721.5, 0.0, 0.0)
    assert focal_factor(camera, (1242, 376, 721.5, 721.5)) == pytest.approx(2**0.5)


def test_the_documented_example():
    """The numbers of docs/metric_scale.md."""
    camera = PinholeCamera(640, 480, 525.0, 525.0, 319.5, 239.5)
    assert focal_factor(camera, TRAINED) == pytest.approx(0.896, abs=5e-4)
    assert focal_factor(camera.cropped(0, 143, 640, 193), TRAINED) == pytest.approx(1.413, abs=5e-4)

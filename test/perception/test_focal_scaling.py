"""The first-order correction for another field of view."""

from __future__ import annotations

import pytest

from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.perception.focal_scaling import focal_factor, focal_scaling

TRAINED = (1242.0, 375.0, 721.5, 721.5)
CAMERA = PinholeCamera(640, 480, 525.0, 525.0, 319.5, 239.5)


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


def test_a_calibration_of_the_same_camera_changes_no_number():
    # KITTI's camera on another day: 0.6 % off by its calibration, and no reason to scale.
    other_day = PinholeCamera(1224, 370, 707.0493, 707.0493, 604.1, 180.5)
    assert focal_factor(other_day, TRAINED) == pytest.approx(0.9938, abs=1e-4)
    assert focal_scaling("auto", other_day, TRAINED).factor == 1.0


def test_the_decision_says_the_factor_and_both_fields_of_view():
    # 2 atan(320 / 525) = 62.7 and 2 atan(240 / 525) = 49.1 degrees
    found = focal_scaling("auto", CAMERA, TRAINED)
    assert found.factor == pytest.approx(0.896, abs=5e-4)
    assert found.text == (
        "depth x 0.896 for the field of view: this camera sees 63 x 49 degrees, the training camera 81 x 29"
    )
    assert found.problem == ""


@pytest.mark.parametrize(("camera", "trained"), [(None, TRAINED), (CAMERA, None), (None, None)])
def test_an_unknown_camera_is_a_problem_only_for_always(camera, trained):
    auto, always = (focal_scaling(mode, camera, trained) for mode in ("auto", "always"))
    assert (auto.factor, auto.problem, always.factor) == (1.0, "", 1.0)
    assert always.problem == f"focal_scaling is always, but {auto.text}"


def test_never_is_never():
    found = focal_scaling("never", CAMERA, TRAINED)
    assert (found.factor, found.problem) == (1.0, "")
    assert found.text.endswith("focal_scaling is never")

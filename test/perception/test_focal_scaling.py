"""What is decided about another field of view."""

from __future__ import annotations

import pytest

from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.focal_factor import focal_factor
from space_clip_ros.perception.focal_scaling import focal_scaling

TRAINED = (1242.0, 375.0, 721.5, 721.5)
CAMERA = PinholeCamera(640, 480, 525.0, 525.0, 319.5, 239.5)


def test_a_calibration_of_the_same_camera_changes_no_number():
    # KITTI's camera on another day: 0.6 % off by its calibration, and no reason to scale.
    other_day = PinholeCamera(1224, 370, 707.0493, 707.0493, 604.1, 180.5)
    assert focal_factor(other_day, TRAINED) == pytest.approx(0.9938, abs=1e-4)
    assert focal_scaling("auto", other_day, TRAINED).factor == 1.0


def test_the_decision_says_the_factor_and_both_fields_of_view():
    # 2 atan(320 / 525) = 62.7 and 2 atan(240 / 525) = 49.1 degrees
    focal = focal_scaling("auto", CAMERA, TRAINED)
    assert focal.factor == pytest.approx(0.896, abs=5e-4)
    assert focal.text == (
        "depth x 0.896 for the field of view: this camera sees 63 x 49 degrees, the training camera 81 x 29"
    )
    assert focal.problem == ""


@pytest.mark.parametrize(("camera", "trained"), [(None, TRAINED), (CAMERA, None), (None, None)])
def test_an_unknown_camera_is_a_problem_only_for_always(camera, trained):
    auto, always = (focal_scaling(mode, camera, trained) for mode in ("auto", "always"))
    assert (auto.factor, auto.problem, always.factor) == (1.0, "", 1.0)
    assert always.problem == f"focal_scaling is always, but {auto.text}"


def test_never_is_never():
    focal = focal_scaling("never", CAMERA, TRAINED)
    assert (focal.factor, focal.problem) == (1.0, "")
    assert focal.text.endswith("focal_scaling is never")

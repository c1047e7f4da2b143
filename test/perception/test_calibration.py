"""Which camera an image has, from the newest calibration of its frame."""

from __future__ import annotations

from dataclasses import replace

import pytest

from space_clip_ros.geometry.calibration import CameraCalibration
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.perception.calibration import CalibrationStore, Rectification

CAMERA = PinholeCamera(64, 48, 50.0, 52.0, 31.0, 23.0)
PLAIN = CameraCalibration(
    width=64,
    height=48,
    K=(50.0, 0.0, 31.0, 0.0, 52.0, 23.0, 0.0, 0.0, 1.0),
    D=(0.0,) * 5,
    R=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0),
    P=(50.0, 0.0, 31.0, 0.0, 0.0, 52.0, 23.0, 0.0, 0.0, 0.0, 1.0, 0.0),
    distortion_model="plumb_bob",
)


def with_focal_length(f: float) -> CameraCalibration:
    return replace(PLAIN, P=(f, 0, 31, 0, 0, f, 23, 0, 0, 0, 1, 0))


@pytest.fixture
def store() -> CalibrationStore:
    return CalibrationStore("/camera_info")


def test_an_undistorted_camera(store):
    store.update("camera", PLAIN)
    view = store.view("camera", 64, 48, "auto")
    assert (view.camera, view.rectifier, view.problem) == (CAMERA, None, "")
    store.update("camera", replace(PLAIN))
    assert store.view("camera", 64, 48, "auto") is view


def test_nothing_known_yet(store):
    view = store.view("camera", 64, 48, "auto")
    assert (view.camera, view.problem) == (None, "no camera_info on /camera_info yet")
    assert view.consequence == "no camera_info on /camera_info yet; there is depth, but no cloud"
    assert view.rectification is Rectification.UNKNOWN


def test_another_frame(store):
    store.update("left", PLAIN)
    view = store.view("right", 64, 48, "auto")
    assert view.problem == "camera_info on /camera_info is for frame 'left', but images are in frame 'right'"
    assert view.rectification is Rectification.OTHER_FRAME
    assert view.consequence.endswith("; there is depth of the unrectified image, but no cloud")
    assert store.view("right", 64, 48, "never").rectification is Rectification.NEVER


def test_the_newest_of_each_frame_counts(store):
    store.update("left", PLAIN)
    store.update("right", with_focal_length(40.0))
    assert store.view("left", 64, 48, "auto").camera == CAMERA
    assert store.view("right", 64, 48, "auto").camera.fx == 40.0
    store.update("left", with_focal_length(45.0))
    assert store.view("left", 64, 48, "auto").camera.fx == 45.0
    assert store.frames == ("right", "left")
    store.clear()
    assert store.frames == ()


def test_a_publisher_of_many_frames_costs_bounded_memory(store):
    for number in range(1000):
        store.update(f"frame {number}", PLAIN)
    assert len(store.frames) == 16
    assert store.view("frame 999", 64, 48, "auto").camera == CAMERA


@pytest.mark.parametrize("name", ["K", "P", "D", "R"])
def test_nan_is_one_clear_line(store, name):
    store.update("camera", replace(PLAIN, **{name: (float("nan"), *getattr(PLAIN, name)[1:])}))
    view = store.view("camera", 64, 48, "auto")
    assert view.camera is None
    assert view.problem.startswith("camera_info on /camera_info cannot be used: ")
    assert "\n" not in view.problem
    assert store.view("camera", 64, 48, "auto") is view


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"K": (0.0,) * 9}, "focal lengths must be above 0"),
        (
            {"width": 128},
            "it is for images of 128x48 pixels (after binning and region of interest), but they are 64x48, which is "
            "another shape",
        ),
        ({"binning": (2, 0)}, "it is for images of 32x48"),
        ({"D": (0.1,) * 5, "distortion_model": "fish"}, "distortion model must be one of"),
        ({"D": (0.1,) * 5, "distortion_model": "x" * 10**6}, "distortion model must be one of"),
        ({"D": (0.1,) * 3}, "plumb_bob with 3 distortion coefficients"),
        ({"K": (0.5, 0, 0, 0, 0.5, 0, 0, 0, 1.0)}, "calibrate the camera"),
        ({"K": (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0)}, "calibrate the camera"),
    ],
)
def test_unusable_calibrations(store, fields, text):
    store.update("camera", replace(PLAIN, **fields))
    view = store.view("camera", 64, 48, "auto")
    assert text in view.problem
    assert len(view.problem) < 400
    assert view.rectification is Rectification.UNUSABLE
    assert store.view("camera", 64, 48, "never").rectification is Rectification.NEVER


def test_distortion_is_rectified_unless_turned_off(store):
    distorted = replace(PLAIN, D=(-0.2, 0.05, 0.0, 0.0, 0.0), P=(40.0, 0, 31, 0, 0, 41.0, 23, 0, 0, 0, 1, 0))
    store.update("camera", distorted)
    view = store.view("camera", 64, 48, "auto")
    rectified = PinholeCamera(64, 48, 40.0, 41.0, 31.0, 23.0)
    assert view.camera == rectified
    assert view.rectifier.camera == rectified
    assert view.rectification is Rectification.HERE
    never = store.view("camera", 64, 48, "never")
    assert (never.camera, never.rectifier, never.rectification) == (rectified, None, Rectification.NEVER)


def test_no_coefficients_at_all_mean_no_distortion(store):
    store.update("camera", replace(PLAIN, D=(), distortion_model=""))
    view = store.view("camera", 64, 48, "auto")
    assert (view.camera, view.rectifier) == (CAMERA, None)
    assert view.rectification is Rectification.ALREADY and view.note == ""


def test_a_fisheye_lens_without_coefficients_is_taken_as_rectified_and_that_is_said(store):
    store.update("camera", replace(PLAIN, D=(0.0,) * 4, distortion_model="equidistant"))
    view = store.view("camera", 64, 48, "auto")
    assert view.rectification is Rectification.ALREADY and "if they are of an ideal fisheye lens" in view.note
    store.update("camera", replace(PLAIN, D=(1e-9, 0.0, 0.0, 0.0), distortion_model="equidistant"))
    assert store.view("camera", 64, 48, "auto").rectification is Rectification.HERE


def test_a_camera_calibrated_at_another_resolution_is_scaled_and_says_so(store):
    store.update("camera", PLAIN)
    view = store.view("camera", 128, 96, "auto")
    assert view.camera == CAMERA.resized(128, 96)
    assert view.note == "camera_info on /camera_info is for images of 64x48 pixels; it is scaled to their 128x96"
    assert store.view("camera", 64, 48, "auto").note == ""


@pytest.mark.parametrize(
    ("info", "image"),
    [("/camera", "camera"), ("camera", "/camera"), ("", "camera"), ("camera", ""), ("", ""), ("/", "camera")],
)
def test_frames_that_drivers_leave_empty_or_lead_with_a_slash(store, info, image):
    store.update(info, PLAIN)
    assert store.view(image, 64, 48, "auto").camera == CAMERA


def test_an_image_without_a_frame_belongs_to_none_of_several_cameras(store):
    store.update("left", PLAIN)
    store.update("right", PLAIN)
    assert store.view("", 64, 48, "auto").camera is None


def test_a_distortion_that_leaves_nearly_nothing_is_noted(store):
    for first, noted in ((-0.2, False), (1e6, True)):
        store.update("camera", replace(PLAIN, D=(first, 0.0, 0.0, 0.0, 0.0)))
        note = store.view("camera", 64, 48, "auto").note
        assert note.endswith("% of the rectified image; check D, K and P") is noted

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from space_clip_ros.errors import InputError
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.lens import lens
from space_clip_ros.geometry.rectification import Rectifier, cached_rectifier, delivered_image

SIZE = (160, 120)
K = np.array([[110.0, 0, 82.0], [0, 112.0, 57.0], [0, 0, 1]])
P = np.array([[95.0, 0, 79.0, -40.0], [0, 95.0, 60.0, 0], [0, 0, 1, 0]])
R = cv2.Rodrigues(np.array([0.02, -0.03, 0.01]))[0]
LENSES = {
    "plumb_bob 4": ("plumb_bob", [-0.28, 0.07, 0.001, -0.0005]),
    "plumb_bob 5": ("plumb_bob", [-0.37, 0.2, 0.002, 0.001, -0.07]),
    "rational_polynomial 8": ("rational_polynomial", [0.3, -0.2, 0.0004, -0.0002, 0.01, 0.6, -0.15, 0.02]),
    "rational_polynomial 12": ("rational_polynomial", [0.3, -0.2, 0, 0, 0.01, 0.6, -0.15, 0.02, 1e-3, 0, 2e-3, 0]),
    "equidistant 4": ("equidistant", [-0.02, 0.01, -0.005, 0.001]),
}


def undistorted(pixels: np.ndarray, model: str, D: np.ndarray) -> np.ndarray:
    points = pixels.reshape(-1, 1, 2)
    if model == "equidistant":
        return cv2.fisheye.undistortPoints(points, K, D, R=R, P=P[:, :3]).reshape(pixels.shape)
    until = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 200, 1e-10)
    return cv2.undistortPointsIter(points, K, D, R, P[:, :3], until).reshape(pixels.shape)


@pytest.mark.parametrize("lens", LENSES)
def test_agrees_with_opencv_undistorting_single_points(lens: str) -> None:
    model, D = LENSES[lens][0], np.array(LENSES[lens][1])
    rectifier = Rectifier(K, D, R, P, model, SIZE)
    # Images whose values are their own coordinates show where in the raw image each pixel comes from.
    v, u = np.mgrid[: SIZE[1], : SIZE[0]].astype(np.float32)
    source = np.stack([rectifier(u), rectifier(v)], axis=-1).astype(np.float64)
    assert rectifier.outside is not None
    seen = ~rectifier.outside
    assert seen.mean() > 0.7
    expected = np.stack([u, v], axis=-1)[seen]
    # Maps have steps of 1/32 pixel, and in the corners a raw pixel covers several rectified ones.
    error = np.abs(undistorted(source[seen], model, D) - expected)
    assert error.mean() < 0.02
    assert error.max() < 0.2


def test_output_camera_is_read_from_p() -> None:
    rectifier = Rectifier(K, LENSES["plumb_bob 5"][1], R, P, "plumb_bob", SIZE)
    assert rectifier.camera == PinholeCamera(160, 120, 95.0, 95.0, 79.0, 60.0)
    assert not rectifier.identity


@pytest.mark.parametrize("D", [[], [0.0] * 5, [0.0] * 14])
@pytest.mark.parametrize("model", ["plumb_bob", ""])
def test_rectified_images_are_returned_unchanged(D: list[float], model: str) -> None:
    rectifier = Rectifier(K, D, np.eye(3), P, model, SIZE)
    image = np.zeros((120, 160, 3), np.uint8)
    assert rectifier.identity
    assert rectifier(image) is image
    assert rectifier.outside is None
    assert rectifier.camera.fx == 95.0


def test_missing_p_and_r_fall_back_to_k_and_no_rotation() -> None:
    D = LENSES["plumb_bob 4"][1]
    bare = Rectifier(K.ravel(), D, [0.0] * 9, [0.0] * 12, "plumb_bob", SIZE)
    full = Rectifier(K, D, np.eye(3), np.hstack([K, np.zeros((3, 1))]), "plumb_bob", SIZE)
    image = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    assert bare.camera == PinholeCamera.from_matrix(K, *SIZE)
    np.testing.assert_array_equal(bare(image), full(image))


def test_pixels_the_raw_image_does_not_show_are_black_and_marked_outside() -> None:
    # Half the focal length shows twice the angle: the raw image covers the middle half only.
    wide = np.hstack([K @ np.diag([1.0, 1.0, 1.0]), np.zeros((3, 1))])
    wide[0, 0], wide[1, 1] = 55.0, 56.0
    rectifier = Rectifier(K, [1e-9, 0, 0, 0], np.eye(3), wide, "plumb_bob", SIZE)
    image = rectifier(np.full((120, 160), 200, np.uint8))
    outside = rectifier.outside
    assert outside is not None
    # Raw column 0 is seen at 82 - 82 / 2 = 41, column 159 at 82 + 77 / 2 = 120.5.
    assert outside[57, :41].all() and not outside[57, 41:121].any() and outside[57, 121:].all()
    assert (image[~outside] == 200).all() and (image[outside] < 200).all() and (image[:10] == 0).all()


def test_a_lens_that_shows_the_whole_rectified_image_leaves_nothing_outside() -> None:
    narrow = np.hstack([K, np.zeros((3, 1))])
    narrow[0, 0], narrow[1, 1] = 220.0, 224.0
    assert Rectifier(K, [1e-9, 0, 0, 0], np.eye(3), narrow, "plumb_bob", SIZE).outside is None


def test_maps_are_kept_for_the_same_calibration() -> None:
    arguments = (tuple(K.ravel()), (0.1, 0.0, 0.0, 0.0), tuple(R.ravel()), tuple(P.ravel()), "plumb_bob", SIZE)
    assert cached_rectifier(*arguments) is cached_rectifier(*arguments)
    assert cached_rectifier(*arguments) is not cached_rectifier(*arguments[:5], (161, 120))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "kannala"}, "must be one of plumb_bob"),
        ({"D": [0.1, 0.2, 0.3]}, "k1 k2 p1 or k1 k2 k3"),
        ({"D": [0.1] * 5, "model": "equidistant"}, "equidistant has 4"),
        ({"D": [0.1] * 15, "model": "rational_polynomial"}, "rational_polynomial has 14"),
        ({"K": np.eye(3)}, "focal length of 1 x 1 pixels for images of 160x120, which no lens has; calibrate"),
        ({"D": [0.1, math.nan, 0, 0]}, "finite"),
        ({"K": np.zeros(9)}, "above 0"),
        ({"P": np.full(12, math.nan)}, "finite"),
        ({"R": np.eye(3) * 2}, "rotation"),
        ({"R": np.diag([1.0, 1.0, -1.0])}, "rotation"),
        ({"R": np.full(9, math.nan)}, "rotation"),
        ({"R": np.eye(4)}, "3x3"),
        ({"size": (0, 120)}, "at least 1x1"),
        ({"size": (40000, 120), "K": K * [[9], [1], [1]]}, "32766"),
    ],
)
def test_rejects_impossible_calibrations(change: dict[str, object], message: str) -> None:
    arguments = {"K": K, "D": [0.1, 0, 0, 0], "R": R, "P": P, "model": "plumb_bob", "size": SIZE}
    with pytest.raises(InputError, match=message):
        Rectifier(**{**arguments, **change})


def test_rejects_an_image_of_another_size() -> None:
    rectifier = Rectifier(K, [0.1, 0, 0, 0], R, P, "plumb_bob", SIZE)
    with pytest.raises(InputError, match="image is 120x160, but its calibration is for 160x120"):
        rectifier(np.zeros((160, 120, 3), np.uint8))


@pytest.mark.parametrize("D", [[1e300] * 4, [-1e30, 1e30, 0, 0], [1e-300] * 4])
@pytest.mark.parametrize("model", ["plumb_bob", "equidistant"])
def test_absurd_coefficients_give_an_image_not_a_crash(D: list[float], model: str) -> None:
    image = np.full((120, 160, 3), 7, np.uint8)
    assert Rectifier(K, D, R, P, model, SIZE)(image).shape == image.shape


def test_no_cropping_and_no_binning_changes_nothing() -> None:
    calibration = delivered_image(K, P, *SIZE)
    np.testing.assert_array_equal(calibration.K, K)
    np.testing.assert_array_equal(calibration.P, P)
    assert (calibration.width, calibration.height) == SIZE


def test_binning_halves_focal_lengths_and_offset_and_keeps_the_centre() -> None:
    # cx: (82 + 0.5) / 2 - 0.5 = 40.75; cy: (57 + 0.5) / 4 - 0.5 = 13.875.
    calibration = delivered_image(K, P, *SIZE, 2, 4)
    np.testing.assert_allclose(calibration.K, [[55, 0, 40.75], [0, 28, 13.875], [0, 0, 1]])
    np.testing.assert_allclose(calibration.P, [[47.5, 0, 39.25, -20], [0, 23.75, 14.625, 0], [0, 0, 1, 0]])
    assert (calibration.width, calibration.height) == (80, 30)


def test_a_region_moves_the_centre_before_binning() -> None:
    # cx: (82 - 20 + 0.5) / 2 - 0.5 = 30.75; cy: 57 - 10 = 47, not binned.
    calibration = delivered_image(K, P, *SIZE, 2, 1, (20, 10, 101, 50))
    np.testing.assert_allclose(calibration.K, [[55, 0, 30.75], [0, 112, 47], [0, 0, 1]])
    assert (calibration.width, calibration.height) == (50, 50)


def test_binning_agrees_with_resizing_a_camera() -> None:
    calibration = delivered_image(K, P, *SIZE, 2, 2)
    resized = PinholeCamera.from_matrix(K, *SIZE).resized(80, 60)
    np.testing.assert_allclose(calibration.K, resized.K)


@pytest.mark.parametrize(
    ("binning", "roi", "message"),
    [
        ((1, 1), (100, 0, 61, 10), "outside"),
        ((1, 1), (0, 100, 10, 21), "outside"),
        ((1, 1), (-1, 0, 10, 10), "outside"),
        ((200, 1), (0, 0, 0, 0), "after binning"),
        ((1, 1), (160, 0, 0, 0), "after binning"),
    ],
)
def test_rejects_regions_and_binning_that_leave_no_image(
    binning: tuple[int, int], roi: tuple[int, int, int, int], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        delivered_image(K, P, *SIZE, *binning, roi)


def test_rejects_an_uncalibrated_camera() -> None:
    with pytest.raises(InputError, match="above 0"):
        delivered_image(np.zeros(9), np.zeros(12), *SIZE)


@pytest.mark.parametrize("lens", ["plumb_bob 5", "equidistant 4"])
def test_skew_moves_columns_by_height(lens: str) -> None:
    model, D = LENSES[lens]
    skewed = K.copy()
    skewed[0, 1] = 3.0
    v, u = np.mgrid[: SIZE[1], : SIZE[0]].astype(np.float32)
    straight, bent = Rectifier(K, D, R, P, model, SIZE), Rectifier(skewed, D, R, P, model, SIZE)
    rows, columns = straight(v), straight(u)
    inside = ~straight.outside & ~bent.outside
    # u = fx x + skew y + cx, where y = (v - cy) / fy.
    expected = columns + 3.0 * (rows - K[1, 2]) / K[1, 1]
    np.testing.assert_allclose(bent(u)[inside], expected[inside], atol=0.05)
    np.testing.assert_allclose(bent(v)[inside], rows[inside], atol=0.05)


def test_a_rectified_image_of_a_skewed_camera_needs_no_skew() -> None:
    skewed = K.copy()
    skewed[0, 1] = 0.01
    assert Rectifier(skewed, [], np.eye(3), np.zeros(12), "", SIZE).camera == PinholeCamera.from_matrix(K, *SIZE)


def test_what_lies_beyond_where_the_lens_polynomial_turns_round_is_outside():
    """r (1 - 0.3 r^2) grows up to r = 1.054; beyond it the map lands in the image again."""
    K, size = [180.0, 0, 160, 0, 180, 120, 0, 0, 1], (320, 240)
    P = [70.0, 0, 160, 0, 0, 70, 120, 0, 0, 0, 1, 0]
    rectifier = Rectifier(K, [-0.3, 0, 0, 0], np.eye(3), P, "plumb_bob", size)
    v, u = np.mgrid[:240, :320]
    radius = np.hypot((u - 160) / 70, (v - 120) / 70)
    assert rectifier.outside is not None
    assert rectifier.outside[radius > 1.06].all()
    # The raw image ends at 0.89 to the sides and 0.67 below and above, which is within 1 before distortion.
    assert not rectifier.outside[radius < 0.7].any()


@pytest.mark.parametrize(
    ("model", "D", "radius"),
    [
        ("plumb_bob", [-0.3, 0, 0, 0], 1 / np.sqrt(0.9)),
        ("plumb_bob", [-0.37, 0.2, 0, 0, 0.01], np.inf),
        ("plumb_bob", [0.1, 0, 0, 0], np.inf),
        # theta (1 - 0.2 theta^2) turns round at 1.291 rad.
        ("equidistant", [-0.2, 0, 0, 0], np.tan(1 / np.sqrt(0.6))),
        ("equidistant", [-0.02, 0.001, 0, 0], np.inf),
    ],
)
def test_a_lens_says_where_its_polynomial_turns_round(model, D, radius):
    assert lens(model, D).largest_radius() == pytest.approx(radius, rel=2e-3)

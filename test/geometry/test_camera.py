from __future__ import annotations

import math

import numpy as np
import pytest

from space_clip_ros.errors import InputError
from space_clip_ros.geometry.camera import PinholeCamera

CAMERA = PinholeCamera(width=8, height=6, fx=4.0, fy=5.0, cx=3.5, cy=2.5)


def test_matrix_has_the_usual_layout() -> None:
    assert CAMERA.K.dtype == np.float64
    np.testing.assert_array_equal(CAMERA.K, [[4, 0, 3.5], [0, 5, 2.5], [0, 0, 1]])


@pytest.mark.parametrize("matrix", [CAMERA.K, CAMERA.K.ravel(), CAMERA.K.ravel().tolist()])
def test_reads_k_in_every_form(matrix: object) -> None:
    assert PinholeCamera.from_matrix(matrix, 8, 6) == CAMERA


@pytest.mark.parametrize("shape", [(12,), (3, 4)])
def test_reads_p_and_ignores_a_stereo_offset(shape: tuple[int, ...]) -> None:
    projection = np.hstack([CAMERA.K, [[-386.0], [0.0], [0.0]]]).reshape(shape)
    assert PinholeCamera.from_matrix(projection, 8, 6) == CAMERA


def test_resizing_keeps_the_centre_of_the_image_in_the_centre() -> None:
    # cx = 3.5 is the middle of 8 pixels; the middle of 16 is 7.5, of 4 is 1.5.
    assert CAMERA.resized(16, 6) == PinholeCamera(16, 6, 8.0, 5.0, 7.5, 2.5)
    assert CAMERA.resized(4, 12) == PinholeCamera(4, 12, 2.0, 10.0, 1.5, 5.5)


def test_resizing_moves_an_off_centre_point_by_half_pixels() -> None:
    # The centre of pixel 0 lies half a pixel from the edge, so a full pixel after doubling: at 0.5.
    assert PinholeCamera(8, 6, 4.0, 5.0, 0.0, 0.0).resized(16, 18).cx == 0.5
    assert PinholeCamera(8, 6, 4.0, 5.0, 0.0, 0.0).resized(16, 18).cy == 1.0


def test_resizing_there_and_back_changes_nothing() -> None:
    again = CAMERA.resized(13, 7).resized(8, 6)
    np.testing.assert_allclose(again.K, CAMERA.K, rtol=1e-14)


def test_cropping_moves_the_principal_point_only() -> None:
    assert CAMERA.cropped(2, 1, 5, 4) == PinholeCamera(5, 4, 4.0, 5.0, 1.5, 1.5)


@pytest.mark.parametrize("window", [(-1, 0, 4, 4), (0, -1, 4, 4), (5, 0, 4, 4), (0, 3, 4, 4), (0, 0, 0, 4)])
def test_rejects_a_crop_outside_the_image(window: tuple[int, int, int, int]) -> None:
    with pytest.raises(InputError):
        CAMERA.cropped(*window)


def test_rejects_resizing_to_nothing() -> None:
    with pytest.raises(InputError, match="got 0x6"):
        CAMERA.resized(0, 6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 0}, "at least 1x1"),
        ({"height": -3}, "at least 1x1"),
        ({"fx": 0.0}, "above 0"),
        ({"fy": -1.0}, "above 0"),
        ({"fx": math.nan}, "finite"),
        ({"cy": math.inf}, "finite"),
    ],
)
def test_rejects_impossible_intrinsics(change: dict[str, float], message: str) -> None:
    values: dict[str, float] = {"width": 8, "height": 6, "fx": 4.0, "fy": 5.0, "cx": 3.5, "cy": 2.5}
    with pytest.raises(InputError, match=message):
        PinholeCamera(**{**values, **change})


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.zeros(9), "above 0"),
        (np.zeros((2, 3)), "shape"),
        (np.eye(4), "shape"),
        ("calibration", "numbers"),
        ([[4, 1, 3], [0, 5, 2], [0, 0, 1]], "skew"),
        ([[4, 0, 3], [0, 5, 2], [0, 0, 2]], "must be"),
        ([[4, 0, 3], [0, 5, math.nan], [0, 0, 1]], "finite"),
    ],
)
def test_rejects_what_is_not_an_intrinsic_matrix(matrix: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        PinholeCamera.from_matrix(matrix, 8, 6)

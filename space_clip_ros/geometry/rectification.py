"""Rectifies images as ROS's camera_info describes (REP 104, sensor_msgs/CameraInfo), with OpenCV's lens models.

K and D describe the raw image. R rotates the raw camera into the rectified one, whose intrinsics are P's first three
columns. An all-zero D means that the image is already rectified.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from space_clip_ros.errors import InputError
from space_clip_ros.geometry.camera import PinholeCamera, check_size, matrix_rows
from space_clip_ros.geometry.lens import lens
from space_clip_ros.geometry.rigid import Matrix

Image = npt.NDArray[np.integer | np.floating]

# cv2.remap stores pixel coordinates as int16.
_MAX_SIDE = 32766
# A focal length below this share of the image's side would mean a view of 178 degrees in a pinhole image.
_LEAST_FOCAL_LENGTH = 0.01
_NO_SKEW = np.array([[1.0, 0.0, 1.0], [1.0, 1.0, 1.0], [1.0, 1.0, 1.0]])


class ImageCalibration(NamedTuple):
    """Calibration of an image as delivered, after region of interest and binning.

    Attributes:
        K: (3, 3) float64, of the raw image.
        P: (3, 4) float64, of the rectified image.
        width: pixels.
        height: pixels.
    """

    K: Matrix
    P: Matrix
    width: int
    height: int


def delivered_image(
    K: npt.ArrayLike,
    P: npt.ArrayLike,
    width: int,
    height: int,
    binning_x: int = 0,
    binning_y: int = 0,
    roi: tuple[int, int, int, int] = (0, 0, 0, 0),
) -> ImageCalibration:
    """Convert a full sensor's calibration to that of the image that was cropped and binned from it.

    The driver first crops the region, in full-resolution pixels, then combines ``binning_x`` x ``binning_y`` neighbours
    into one pixel, whose centre is the middle of theirs. So cx becomes (cx + 0.5) / binning - 0.5; image_geometry
    divides cx alone, which is up to half a pixel off. The rectified image is cropped like the raw one.

    Args:
        K: 9 numbers or (3, 3).
        P: 12 numbers or (3, 4); K is used where P has no focal length, as drivers that do not rectify leave it.
        width: full sensor width, pixels.
        height: full sensor height, pixels.
        binning_x: 0 and 1 mean none.
        binning_y: 0 and 1 mean none.
        roi: x_offset, y_offset, width, height in full-resolution pixels; a width and height of 0 mean all.

    Raises:
        InputError: matrices of another shape or not finite, a camera that is not calibrated (zeros, or a focal length
            of one pixel), an empty size, or a region that reaches outside the sensor.
    """
    raw = _raw_matrix(K, width, height)
    rectified = _projection(P, raw, width, height)
    left, top, roi_width, roi_height = roi
    roi_width, roi_height = roi_width or width - left, roi_height or height - top
    if min(left, top) < 0 or left + roi_width > width or top + roi_height > height:
        raise InputError(f"region of interest {tuple(roi)} reaches outside the {width}x{height} sensor")
    bin_x, bin_y = max(binning_x, 1), max(binning_y, 1)
    check_size(roi_width // bin_x, roi_height // bin_y, f"image after binning {bin_x}x{bin_y}")
    change = np.array(
        [
            [1 / bin_x, 0.0, (0.5 - left) / bin_x - 0.5],
            [0.0, 1 / bin_y, (0.5 - top) / bin_y - 0.5],
            [0.0, 0.0, 1.0],
        ]
    )
    return ImageCalibration(change @ raw, change @ rectified, roi_width // bin_x, roi_height // bin_y)


class Rectifier:
    """Undistorts and rectifies images of one camera; computes the maps once, with the first image.

    Thread-safe. With an all-zero D, images are returned unchanged.

    Args:
        K: raw intrinsics, 9 numbers or (3, 3).
        D: distortion coefficients, see :func:`~space_clip_ros.geometry.lens.lens`; empty or all zero if images are
            already rectified.
        R: rotation from the raw to the rectified camera, 9 numbers or (3, 3); all zero means identity.
        P: rectified intrinsics, 12 numbers or (3, 4); without a focal length it means K.
        model: one of :data:`~space_clip_ros.geometry.lens.MODELS`.
        size: width and height of the images, pixels.

    Attributes:
        camera: camera of the rectified image, from P.
        identity: whether images are returned unchanged.

    Raises:
        InputError: a lens that is refused, values that are not finite, an R that is not a rotation, or a camera that is
            not calibrated.
    """

    def __init__(
        self,
        K: npt.ArrayLike,
        D: npt.ArrayLike,
        R: npt.ArrayLike,
        P: npt.ArrayLike,
        model: str,
        size: tuple[int, int],
    ) -> None:
        """Check the calibration."""
        self.size = (int(size[0]), int(size[1]))
        self._K = _raw_matrix(K, *self.size)
        self._P = _projection(P, self._K, *self.size)[:, :3]
        self.camera = PinholeCamera.from_matrix(self._P, *self.size)
        self._lens = lens(model, D)
        self._R = _rotation(R)
        self.identity = not self._lens.coefficients.size
        if max(self.size) > _MAX_SIDE and not self.identity:
            raise InputError(f"images up to {_MAX_SIDE} pixels a side can be rectified, got {size[0]}x{size[1]}")

    def __call__(self, image: Image) -> Image:
        """Return the rectified image, black where the raw image has no data.

        Args:
            image: (H, W) or (H, W, C) of ``size``, uint8, uint16 or float32.

        Raises:
            InputError: the image does not have the calibrated size.
        """
        if image.shape[:2] != self.size[::-1]:
            raise InputError(
                f"image is {'x'.join(map(str, image.shape[1::-1]))}, but its calibration is for"
                f" {self.size[0]}x{self.size[1]}"
            )
        if self.identity:
            return image
        return np.asarray(cv2.remap(image, *self._maps, interpolation=cv2.INTER_LINEAR))

    @functools.cached_property
    def outside(self) -> npt.NDArray[np.bool_] | None:
        """(H, W) bool, true for rectified pixels that the raw image does not show, or None if it shows all of them.

        Depth that a network predicts there is meaningless. A lens's polynomial turns round beyond the angles that it
        was fitted to, and would show the inside a second time; those pixels are outside, too.
        """
        if self.identity:
            return None
        white = np.full(self.size[::-1], 255, np.uint8)
        outside = np.asarray(cv2.remap(white, *self._maps, interpolation=cv2.INTER_LINEAR) < 255)
        columns, rows = np.meshgrid(np.arange(self.size[0]), np.arange(self.size[1]))
        pixels = np.stack([columns, rows, np.ones_like(columns)], axis=-1).astype(np.float32)
        rays = pixels @ np.linalg.inv(self._P @ self._R).T.astype(np.float32)
        outside |= rays[..., 2] <= 0
        with np.errstate(divide="ignore", invalid="ignore"):
            outside |= np.hypot(rays[..., 0], rays[..., 1]) / rays[..., 2] >= self._lens.largest_radius()
        return outside if outside.any() else None

    @functools.cached_property
    def _maps(self) -> tuple[Image, Image]:
        init = cv2.fisheye.initUndistortRectifyMap if self._lens.fisheye else cv2.initUndistortRectifyMap
        # Fixed point, in steps of 1/32 pixel: twice as fast to apply as floats.
        if not self._K[0, 1]:
            pixels, fractions = init(self._K, self._lens.coefficients, self._R, self._P, self.size, cv2.CV_16SC2)
        else:
            # OpenCV ignores skew: u = fx x + skew y + cx, where y = (v - cy) / fy.
            columns, rows = init(self._K, self._lens.coefficients, self._R, self._P, self.size, cv2.CV_32FC1)
            columns += np.float32(self._K[0, 1] / self._K[1, 1]) * (rows - np.float32(self._K[1, 2]))
            pixels, fractions = cv2.convertMaps(columns, rows, cv2.CV_16SC2)
        return np.asarray(pixels), np.asarray(fractions)


@functools.lru_cache(maxsize=16)
def cached_rectifier(
    K: tuple[float, ...],
    D: tuple[float, ...],
    R: tuple[float, ...],
    P: tuple[float, ...],
    model: str,
    size: tuple[int, int],
) -> Rectifier:
    """Return the :class:`Rectifier` of a camera; the same calibration returns the same object."""
    return Rectifier(K, D, R, P, model, size)


def _raw_matrix(K: npt.ArrayLike, width: int, height: int) -> Matrix:
    """Return K as (3, 3), its skew included."""
    matrix = matrix_rows(K)[:, :3]
    if not np.isfinite(matrix).all():
        raise InputError(f"K must be finite, got {matrix.tolist()}")
    PinholeCamera.from_matrix(matrix * _NO_SKEW, width, height)
    if not _has_focal_length(matrix, width, height):
        raise InputError(
            f"K has a focal length of {matrix[0, 0]:g} x {matrix[1, 1]:g} pixels for images of {width}x{height}, which "
            "no lens has",
            remedy="calibrate the camera",
        )
    return matrix


def _projection(P: npt.ArrayLike, K: Matrix, width: int, height: int) -> Matrix:
    """Return P as (3, 4), or K with a zero column where P has no focal length."""
    projection = matrix_rows(P)
    if not np.isfinite(projection).all():
        raise InputError(f"P must be finite, got {projection.tolist()}")
    if not _has_focal_length(projection, width, height):
        # Images are rectified to this camera, which so has no skew.
        projection = K * _NO_SKEW
    return projection if projection.shape[1] == 4 else np.hstack([projection, np.zeros((3, 1))])


def _has_focal_length(matrix: Matrix, width: int, height: int) -> bool:
    if np.array_equal(matrix[:, :3], np.eye(3)):
        # What drivers publish for a camera without calibration; of a small image it would pass below.
        return False
    return bool(matrix[0, 0] > _LEAST_FOCAL_LENGTH * width and matrix[1, 1] > _LEAST_FOCAL_LENGTH * height)


def _rotation(R: npt.ArrayLike) -> Matrix:
    rotation = np.asarray(R, dtype=np.float64)
    if rotation.size != 9:
        raise InputError(f"R must be 3x3, got shape {rotation.shape}")
    rotation = rotation.reshape(3, 3)
    if not rotation.any():
        return np.eye(3)
    if not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3) or np.linalg.det(rotation) < 0:
        raise InputError(f"R must be a rotation, got {rotation.tolist()}")
    return rotation

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

Matrix = npt.NDArray[np.float64]
Image = npt.NDArray[np.integer | np.floating]

# Numbers of coefficients that each model may have; 12 and 14 add OpenCV's thin prism and tilt.
MODELS = {"plumb_bob": (4, 5), "rational_polynomial": (8, 12, 14), "equidistant": (4,)}
# cv2.remap stores pixel coordinates as int16.
_MAX_SIDE = 32766


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
        P: 12 numbers or (3, 4); all zero if there is none, then K is used.
        width: full sensor width, pixels.
        height: full sensor height, pixels.
        binning_x: 0 and 1 mean none.
        binning_y: 0 and 1 mean none.
        roi: x_offset, y_offset, width, height in full-resolution pixels; a width and height of 0 mean all.

    Raises:
        InputError: matrices of another shape or not finite, a zero focal length in K, an empty size, or a region that
            reaches outside the sensor.
    """
    raw, rectified = _raw_matrix(K, width, height), _projection(P, K)
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
        D: distortion coefficients: 4 or 5 (plumb_bob), 8 (rational_polynomial; 12 and 14 as OpenCV extends it),
            4 (equidistant); empty or all zero if images are already rectified.
        R: rotation from the raw to the rectified camera, 9 numbers or (3, 3); all zero means identity.
        P: rectified intrinsics, 12 numbers or (3, 4); all zero means K.
        model: plumb_bob, rational_polynomial or equidistant.
        size: width and height of the images, pixels.

    Attributes:
        camera: camera of the rectified image, from P.
        identity: whether images are returned unchanged.

    Raises:
        InputError: an unknown model, another number of coefficients, values that are not finite, an R that is not a
            rotation, or a camera that :class:`PinholeCamera` rejects.
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
        self._P = _projection(P, K)[:, :3]
        self.camera = PinholeCamera.from_matrix(self._P, *self.size)
        self._D = _coefficients(D, model)
        self._R = _rotation(R)
        self._model = model
        self.identity = not self._D.any()
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

        Depth that a network predicts there is meaningless.
        """
        if self.identity:
            return None
        white = np.full(self.size[::-1], 255, np.uint8)
        outside = np.asarray(cv2.remap(white, *self._maps, interpolation=cv2.INTER_LINEAR) < 255)
        return outside if outside.any() else None

    @functools.cached_property
    def _maps(self) -> tuple[Image, Image]:
        init = cv2.fisheye.initUndistortRectifyMap if self._model == "equidistant" else cv2.initUndistortRectifyMap
        # Fixed point, in steps of 1/32 pixel: twice as fast to apply as floats.
        pixels, fractions = init(self._K, self._D, self._R, self._P, self.size, cv2.CV_16SC2)
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
    return PinholeCamera.from_matrix(K, width, height).K


def _projection(P: npt.ArrayLike, K: npt.ArrayLike) -> Matrix:
    """Return P as (3, 4), or K with a zero column if P is all zero, as drivers without rectification publish it."""
    projection = matrix_rows(P)
    if not projection.any():
        projection = matrix_rows(K)
    if not np.isfinite(projection).all():
        raise InputError(f"P must be finite, got {projection.tolist()}")
    return projection if projection.shape[1] == 4 else np.hstack([projection, np.zeros((3, 1))])


def _coefficients(D: npt.ArrayLike, model: str) -> Matrix:
    coefficients = np.asarray(D, dtype=np.float64).ravel()
    if not np.isfinite(coefficients).all():
        raise InputError(f"distortion coefficients must be finite, got {coefficients.tolist()}")
    if not coefficients.any():
        return coefficients
    if model not in MODELS:
        raise InputError(f"distortion model must be one of {', '.join(MODELS)}, got {model!r}")
    if coefficients.size not in MODELS[model]:
        counts = " or ".join(map(str, MODELS[model]))
        raise InputError(f"{model} has {counts} distortion coefficients, got {coefficients.size}")
    return coefficients


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

"""Pinhole cameras, and how their intrinsics change when an image is resized or cropped.

Pixel centres lie at integer coordinates, as in OpenCV and ROS: the top left pixel covers [-0.5, 0.5) in both
directions. The optical frame is REP 103's: x right, y down, z forward.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from space_clip_ros.errors import InputError

_ROW_3 = (0.0, 0.0, 1.0)


@dataclass(frozen=True)
class PinholeCamera:
    """An undistorted camera.

    Args:
        width: image width, pixels.
        height: image height, pixels.
        fx: horizontal focal length, pixels.
        fy: vertical focal length, pixels.
        cx: principal point, pixels from the centre of the leftmost pixel.
        cy: principal point, pixels from the centre of the topmost pixel.

    Raises:
        InputError: a size below 1, a focal length of zero or less, or a value that is not finite.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float

    def __post_init__(self) -> None:
        """Check the values."""
        check_size(self.width, self.height, "camera")
        if not all(math.isfinite(value) for value in (self.fx, self.fy, self.cx, self.cy)):
            raise InputError(
                f"camera intrinsics must be finite, got fx={self.fx}, fy={self.fy}, cx={self.cx}, cy={self.cy}"
            )
        if self.fx <= 0 or self.fy <= 0:
            raise InputError(
                f"focal lengths must be above 0 pixels, got fx={self.fx:g}, fy={self.fy:g}",
                remedy="calibrate the camera",
            )

    @classmethod
    def from_matrix(cls, matrix: npt.ArrayLike, width: int, height: int) -> PinholeCamera:
        """Return the camera of an intrinsic matrix.

        Args:
            matrix: K, (3, 3) or 9 numbers, or P, (3, 4) or 12 numbers, row by row. P's fourth column, a stereo
                camera's offset, is ignored: it does not change the direction in which a pixel looks.
            width: image width, pixels.
            height: image height, pixels.

        Raises:
            InputError: another shape, a skewed matrix, or values that :class:`PinholeCamera` rejects.
        """
        rows = matrix_rows(matrix)
        camera = cls(int(width), int(height), *(float(rows[i]) for i in ((0, 0), (1, 1), (0, 2), (1, 2))))
        if abs(rows[0, 1]) > 1e-6 * camera.fx or rows[1, 0] != 0 or tuple(rows[2, :3]) != _ROW_3:
            raise InputError(
                f"intrinsic matrix must be [fx 0 cx; 0 fy cy; 0 0 1], got {rows[:, :3].tolist()}; skew is not supported"
            )
        return camera

    @property
    def K(self) -> npt.NDArray[np.float64]:  # noqa: N802 - the field's name
        """Intrinsic matrix, (3, 3) float64."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], _ROW_3])

    def resized(self, width: int, height: int) -> PinholeCamera:
        """Return the camera of this image resized to ``width`` x ``height`` pixels.

        Pixel centres lie at integers, so a point at x moves to (x + 0.5) * scale - 0.5.

        Raises:
            InputError: a side below one pixel.
        """
        check_size(width, height, "resized image")
        sx, sy = width / self.width, height / self.height
        return PinholeCamera(
            width, height, self.fx * sx, self.fy * sy, (self.cx + 0.5) * sx - 0.5, (self.cy + 0.5) * sy - 0.5
        )

    def cropped(self, left: int, top: int, width: int, height: int) -> PinholeCamera:
        """Return the camera of a window of this image whose top left pixel is (left, top).

        Raises:
            InputError: the window is empty or reaches outside the image.
        """
        check_size(width, height, "crop")
        if left < 0 or top < 0 or left + width > self.width or top + height > self.height:
            raise InputError(
                f"crop of {width}x{height} at ({left}, {top}) reaches outside the {self.width}x{self.height} image"
            )
        return PinholeCamera(width, height, self.fx, self.fy, self.cx - left, self.cy - top)


def check_size(width: int, height: int, what: str) -> None:
    """Raise :class:`InputError` unless both sides are at least one pixel."""
    if width < 1 or height < 1:
        raise InputError(f"{what} must be at least 1x1 pixel, got {width}x{height}")


def matrix_rows(matrix: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return K or P as (3, 3) or (3, 4) float64.

    Raises:
        InputError: not 9 or 12 numbers.
    """
    try:
        values = np.asarray(matrix, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"camera matrix must hold numbers, got {matrix!r}") from error
    if values.shape not in ((9,), (12,), (3, 3), (3, 4)):
        raise InputError(f"camera matrix must be 3x3 or 3x4, got shape {values.shape}")
    return values.reshape(3, -1)

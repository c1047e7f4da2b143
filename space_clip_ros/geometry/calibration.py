"""A camera's calibration as drivers publish it (sensor_msgs/CameraInfo), as plain numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from space_clip_ros.errors import InputError
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.rectification import ImageCalibration, Rectifier, cached_rectifier, delivered_image


@dataclass(frozen=True)
class CameraCalibration:
    """Calibration of a whole sensor, and how its images are cut out of it.

    Attributes:
        width: of the full sensor, pixels.
        height: of the full sensor, pixels.
        K: raw intrinsics, 9 numbers, row by row.
        D: distortion coefficients of the model; empty or all zero for images that are rectified already.
        R: raw to rectified camera, 9 numbers.
        P: rectified intrinsics, 12 numbers; K is used where it has no focal length.
        distortion_model: one of :data:`~space_clip_ros.geometry.lens.MODELS`.
        binning: pixels combined into one, in x and y; 0 and 1 mean none.
        roi: region of interest: x_offset, y_offset, width, height in sensor pixels; a size of 0 means all.
    """

    width: int
    height: int
    K: tuple[float, ...]
    D: tuple[float, ...]
    R: tuple[float, ...]
    P: tuple[float, ...]
    distortion_model: str
    binning: tuple[int, int] = (0, 0)
    roi: tuple[int, int, int, int] = (0, 0, 0, 0)

    def delivered(self) -> ImageCalibration:
        """Return the calibration of the images as they are published, after region of interest and binning.

        Raises:
            InputError: matrices that cannot be used, or a region outside the sensor.
        """
        return delivered_image(self.K, self.P, self.width, self.height, *self.binning, self.roi)

    def of_image(self, width: int, height: int) -> ImageCalibration:
        """Return the calibration of images of a size, scaled where they are a resized version of the published ones.

        Cameras are often calibrated at one resolution and run at another of the same shape.

        Args:
            width: of the images, pixels.
            height: of the images, pixels.

        Raises:
            InputError: as :meth:`delivered`, or the images have another shape.
        """
        delivered = self.delivered()
        x_scale, y_scale = width / delivered.width, height / delivered.height
        # Sides are whole pixels, so one of them may be off by one.
        if abs(x_scale * delivered.height - height) > 1.0 and abs(y_scale * delivered.width - width) > 1.0:
            raise InputError(
                f"it is for images of {delivered.width}x{delivered.height} pixels (after binning and region of "
                f"interest), but they are {width}x{height}, which is another shape",
                remedy="calibrate at this size, or let the driver publish the region of interest",
            )
        change = np.array(
            [
                [x_scale, 0.0, 0.5 * x_scale - 0.5],
                [0.0, y_scale, 0.5 * y_scale - 0.5],
                [0.0, 0.0, 1.0],
            ]
        )
        return ImageCalibration(change @ delivered.K, change @ delivered.P, width, height)

    def rectified_camera(self, width: int, height: int) -> PinholeCamera:
        """Return the camera of rectified images of a size.

        Raises:
            InputError: as :meth:`of_image`.
        """
        return PinholeCamera.from_matrix(self.of_image(width, height).P, width, height)

    def rectifier(self, width: int, height: int) -> Rectifier:
        """Return what undistorts images of a size; the same object while the calibration stays the same.

        Raises:
            InputError: a calibration that cannot be used for them.
        """
        image = self.of_image(width, height)
        return cached_rectifier(
            tuple(image.K.ravel().tolist()),
            self.D or (0.0,),
            self.R,
            tuple(image.P.ravel().tolist()),
            self.distortion_model,
            (width, height),
        )

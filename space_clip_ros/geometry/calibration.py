"""A camera's calibration as drivers publish it (sensor_msgs/CameraInfo), as plain numbers."""

from __future__ import annotations

from dataclasses import dataclass

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
        P: rectified intrinsics, 12 numbers; all zero where there is none: K then stands in.
        distortion_model: plumb_bob, rational_polynomial or equidistant.
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

    def rectifier(self) -> Rectifier:
        """Return what undistorts the published images; the same object while the calibration stays the same.

        Raises:
            InputError: a calibration that cannot be used.
        """
        delivered = self.delivered()
        return cached_rectifier(
            tuple(delivered.K.ravel().tolist()),
            self.D or (0.0,),
            self.R,
            tuple(delivered.P.ravel().tolist()),
            self.distortion_model,
            (delivered.width, delivered.height),
        )

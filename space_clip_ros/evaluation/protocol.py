"""The two ways depth is compared: the paper's and the field's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.data.frames import Frame
from space_clip_ros.data.resize import resize_bicubic
from space_clip_ros.errors import InputError
from space_clip_ros.evaluation.metrics import MetricAverage
from space_clip_ros.geometry.depth import resize_bilinear, resize_nearest

_REFERENCE_SIZE = (352, 704)
_KITTI_CROP = (352, 1216)


@dataclass(frozen=True)
class Protocol:
    """How an image reaches the model and its depth is compared.

    Attributes:
        size: height and width that image and truth are resized to first (image bicubic, truth nearest); None for none.
        bottom_crop: height and width kept at the bottom centre of image and truth; None for none.
        crop: region compared, of :data:`~space_clip_ros.evaluation.metrics.CROPS`.
        min_depth: truth and prediction range, metres.
        max_depth: truth and prediction range, metres.
        median_scaling: scale each prediction to the truth's median.
    """

    size: tuple[int, int] | None
    bottom_crop: tuple[int, int] | None
    crop: str
    min_depth: float = 0.001
    max_depth: float = 80.0
    median_scaling: bool = False

    def prepare(self, frame: Frame) -> Frame:
        """Return image and truth as they are compared."""
        image, depth = frame
        if self.bottom_crop is not None:
            image, depth = _bottom_centre(image, self.bottom_crop), _bottom_centre(depth, self.bottom_crop)
        if self.size is not None:
            height, width = self.size
            image, depth = resize_bicubic(image, height, width), resize_nearest(depth, width, height)
        return Frame(image, depth)

    def average(self) -> MetricAverage:
        """Return an empty average of this protocol's metrics."""
        return MetricAverage(self.min_depth, self.max_depth, self.crop, self.median_scaling)

    def fit(self, prediction: NDArray[np.float32], truth: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the prediction at the truth's size."""
        return resize_bilinear(prediction, truth.shape[1], truth.shape[0])


def reference(min_depth: float = 0.001, max_depth: float = 80.0, median_scaling: bool = False) -> Protocol:
    """The paper's: the whole image at 704 x 352, Eigen crop; behind its published numbers."""
    return Protocol(_REFERENCE_SIZE, None, "eigen", min_depth, max_depth, median_scaling)


def standard(
    crop: str = "garg",
    kitti_crop: bool = False,
    min_depth: float = 0.001,
    max_depth: float = 80.0,
    median_scaling: bool = False,
) -> Protocol:
    """The field's: at the truth's own size, by default in the Garg crop; KITTI's 1216 x 352 crop first where asked."""
    return Protocol(None, _KITTI_CROP if kitti_crop else None, crop, min_depth, max_depth, median_scaling)


def _bottom_centre(array: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    height, width = size
    if array.shape[0] < height or array.shape[1] < width:
        raise InputError(f"an image of {array.shape[1]} x {array.shape[0]} has no {width} x {height} crop")
    left = (array.shape[1] - width) // 2
    return array[array.shape[0] - height :, left : left + width]

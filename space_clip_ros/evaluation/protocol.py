"""The two evaluation protocols: the SPACE-CLIP paper's, and the one that most depth papers use."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.data.frames import RgbdFrame
from space_clip_ros.data.pillow_resize import resize_bicubic
from space_clip_ros.errors import InputError
from space_clip_ros.evaluation.metrics import Values, comparable, compared_pixels, coverage, median_factor
from space_clip_ros.geometry.depth import resize_bilinear, resize_nearest

_REFERENCE_SIZE = (352, 704)
_KITTI_CROP = (352, 1216)


@dataclass(frozen=True)
class EvaluationProtocol:
    """How frames are prepared for the model, and how its depth is compared with the truth.

    Attributes:
        size: height and width that image (bicubic) and truth (nearest) are resized to first; None to keep their size.
        bottom_crop: height and width kept at the bottom centre of image and truth; None to keep all.
        crop: region compared, one of :data:`~space_clip_ros.evaluation.metrics.CROPS`.
        min_depth: nearest depth compared, metres.
        max_depth: furthest depth compared, metres.
        median_scaling: scale each prediction to the truth's median.
    """

    size: tuple[int, int] | None
    bottom_crop: tuple[int, int] | None
    crop: str
    min_depth: float = 0.001
    max_depth: float = 80.0
    median_scaling: bool = False

    def prepare(self, frame: RgbdFrame) -> RgbdFrame:
        """Return the image for the model and the truth to compare with.

        Raises:
            InputError: the frame is smaller than ``bottom_crop``.
        """
        if self.bottom_crop is not None:
            frame = _bottom_centre(frame, *self.bottom_crop)
        if self.size is not None:
            height, width = self.size
            camera = None if frame.camera is None else frame.camera.resized(width, height)
            image, depth = resize_bicubic(frame.image, height, width), resize_nearest(frame.depth, width, height)
            labels = None if frame.labels is None else resize_nearest(frame.labels.astype(np.float32), width, height)
            frame = RgbdFrame(image, depth, camera, None if labels is None else labels.astype(np.uint8))
        return frame

    def compared(self, prediction: NDArray[np.float32], truth: NDArray[np.float32]) -> tuple[Values, Values]:
        """Return the pixels that are compared, (pixels,) predicted and true metres; both may be empty.

        Args:
            prediction: (h, w) float32 metres; one of another size than the truth is resized first.
            truth: (H, W) float32 metres, NaN where unknown.

        Raises:
            InputError: the median to scale by is not above 0.
        """
        fitted = self.fit(prediction, truth)
        return compared_pixels(fitted, truth, self.min_depth, self.max_depth, self.crop, self.median_scaling)

    def compared_uncertainty(
        self, prediction: NDArray[np.float32], uncertainty: NDArray[np.float32], truth: NDArray[np.float32]
    ) -> Values:
        """Return the uncertainty of the pixels that :meth:`compared` returns, (pixels,) as a share of depth.

        Args:
            prediction: as for :meth:`compared`.
            uncertainty: (h, w) float32, one standard deviation of the prediction, metres.
            truth: as for :meth:`compared`.
        """
        depth, sigma = self.fit(prediction, truth), self.fit(uncertainty, truth)
        kept = comparable(depth, truth, self.min_depth, self.max_depth, self.crop)
        return np.asarray(sigma[kept].astype(np.float64) / np.maximum(depth[kept], self.min_depth), np.float64)

    def coverage(self, prediction: NDArray[np.float32], truth: NDArray[np.float32]) -> float | None:
        """Return the share of the pixels with truth to compare that have a prediction; None without such truth."""
        return coverage(self.fit(prediction, truth), truth, self.min_depth, self.max_depth, self.crop)

    def scaled(self, prediction: NDArray[np.float32], truth: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the prediction as it is compared, (H, W) float32 metres; arguments as for :meth:`compared`.

        Raises:
            InputError: the median to scale by is not above 0.
        """
        fitted = self.fit(prediction, truth)
        kept = comparable(fitted, truth, self.min_depth, self.max_depth, self.crop)
        if not self.median_scaling or not kept.any():
            return fitted
        return fitted * np.float32(median_factor(fitted[kept], truth[kept]))

    def fit(self, prediction: NDArray[np.float32], truth: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the prediction, (h, w) float32 metres, resized to the truth's size."""
        return resize_bilinear(prediction, truth.shape[1], truth.shape[0])


def named_protocol(
    name: str,
    min_depth: float,
    max_depth: float,
    crop: str = "garg",
    kitti_crop: bool = False,
    median_scaling: bool = False,
) -> EvaluationProtocol:
    """Return :func:`reference_protocol` or :func:`standard_protocol` by name; the crops are for the latter."""
    if name == "reference":
        return reference_protocol(min_depth, max_depth, median_scaling)
    return standard_protocol(crop, kitti_crop, min_depth, max_depth, median_scaling)


def reference_protocol(
    min_depth: float = 0.001, max_depth: float = 80.0, median_scaling: bool = False
) -> EvaluationProtocol:
    """Return the protocol of the paper's published numbers (arXiv:2601.17657).

    Image and truth are compared whole at 704 x 352, in the Eigen crop.

    Args:
        min_depth: nearest depth compared, metres.
        max_depth: furthest depth compared, metres.
        median_scaling: scale each prediction to the truth's median.
    """
    return EvaluationProtocol(_REFERENCE_SIZE, None, "eigen", min_depth, max_depth, median_scaling)


def standard_protocol(
    crop: str = "garg",
    kitti_crop: bool = False,
    min_depth: float = 0.001,
    max_depth: float = 80.0,
    median_scaling: bool = False,
) -> EvaluationProtocol:
    """Return the usual protocol: compare at the truth's own size, by default in the Garg crop.

    Args:
        crop: region compared, one of :data:`~space_clip_ros.evaluation.metrics.CROPS`.
        kitti_crop: first cut image and truth to 1216 x 352 at the bottom centre, the crop of KITTI's depth benchmark.
        min_depth: nearest depth compared, metres.
        max_depth: furthest depth compared, metres.
        median_scaling: scale each prediction to the truth's median.
    """
    return EvaluationProtocol(None, _KITTI_CROP if kitti_crop else None, crop, min_depth, max_depth, median_scaling)


def _bottom_centre(frame: RgbdFrame, height: int, width: int) -> RgbdFrame:
    whole_height, whole_width = frame.depth.shape
    if whole_height < height or whole_width < width:
        raise InputError(
            f"an image of {whole_width} x {whole_height} has no {width} x {height} crop", remedy="leave out kitti_crop"
        )
    top, left = whole_height - height, (whole_width - width) // 2
    window = slice(top, None), slice(left, left + width)
    camera = None if frame.camera is None else frame.camera.cropped(left, top, width, height)
    labels = None if frame.labels is None else frame.labels[window]
    return RgbdFrame(frame.image[window], frame.depth[window], camera, labels)

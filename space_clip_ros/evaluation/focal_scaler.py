"""Scales predicted depth for the camera of each frame."""

from __future__ import annotations

from collections import Counter

from space_clip_ros.data.frames import RgbdFrame
from space_clip_ros.errors import DataError
from space_clip_ros.evaluation.evaluator import Estimate
from space_clip_ros.inference.backend import ModelInfo
from space_clip_ros.perception.focal_scaling import focal_scaling


class FocalScaler:
    """Scales each frame's depth for its camera, and counts the frames by what was done.

    Args:
        mode: the setting ``focal_scaling``.
        info: of the model.
    """

    def __init__(self, mode: str, info: ModelInfo) -> None:
        """Start without frames."""
        self._mode = mode
        self._info = info
        self.counts: Counter[str] = Counter()

    def __call__(self, frame: RgbdFrame, estimate: Estimate) -> Estimate:
        """Return depth and uncertainty, scaled.

        Raises:
            DataError: the factor must be used (mode ``always``) and is not known.
        """
        height, width = frame.image.shape[:2]
        focal = focal_scaling(self._mode, frame.camera, self._info.trained_for(width, height))
        if focal.problem:
            raise DataError("--focal-scaling", focal.problem, "give --focal-scaling auto")
        self.counts[focal.text] += 1
        return estimate.scaled(focal.factor)

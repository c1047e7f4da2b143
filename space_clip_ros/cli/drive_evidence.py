"""Splits a drive's frames for an export: the earlier ones to calibrate on, the last ones to test on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from space_clip_ros.data.frames import RgbdFrame
from space_clip_ros.data.kitti_raw_frames import KittiRawFrames, open_raw_drives
from space_clip_ros.errors import DataError
from space_clip_ros.evaluation.evaluator import evaluate, mean_metrics, one_by_one
from space_clip_ros.evaluation.protocol import standard_protocol
from space_clip_ros.model_config import AdoptedConfig, ModelConfig
from space_clip_ros.training_config import SourceConfig

if TYPE_CHECKING:
    from space_clip_ros.export.precision import DriveFrames, Predict

CALIBRATION_FRAMES = 16
"""Largest number of frames that set the int8 scales; more would change them little."""
HELD_OUT_FRAMES = 32
"""Largest number of frames that an export is tested on."""
_HELD_OUT_FRACTION = 6  # one frame in six
_MIN_FRAMES = 6


class _LabelledFrames:
    """Frames in memory, with their labels."""

    def __init__(self, frames: Sequence[tuple[str, RgbdFrame]]) -> None:
        self._frames = frames

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: int) -> RgbdFrame:
        return self._frames[index][1]

    def label(self, index: int) -> str:
        return self._frames[index][0]


def drive_evidence(drive: Path, model: ModelConfig | AdoptedConfig) -> DriveFrames:
    """Return calibration frames from the first five sixths of a drive, and held-out frames from the last sixth.

    Consecutive frames look alike, so a random choice would put near-copies on both sides.

    Args:
        drive: a KITTI raw drive, or a folder of drives, which are joined.
        model: its depth range limits the comparison.

    Raises:
        DataError: there is no such drive, it has too few frames with depth, or a frame is damaged. Calling ``abs_rel``
            of the result raises it too if no held-out frame has depth to compare.
    """
    from space_clip_ros.export.precision import DriveFrames

    drives = open_raw_drives(SourceConfig(path=str(drive)))
    usable = [(frames, index) for frames in drives for index in range(len(frames))]
    if len(usable) < _MIN_FRAMES:
        raise DataError(drive, f"has {len(usable)} frames with depth", f"an export needs at least {_MIN_FRAMES}")
    split = len(usable) - len(usable) // _HELD_OUT_FRACTION
    calibration = [frames.frame(index).image for frames, index in _evenly_spaced(usable[:split], CALIBRATION_FRAMES)]
    held_out = _LabelledFrames(
        [
            (frames.label(index), frames.frame(index))
            for frames, index in _evenly_spaced(usable[split:], HELD_OUT_FRAMES)
        ]
    )
    protocol = standard_protocol(min_depth=model.min_depth, max_depth=model.max_depth)

    def abs_rel(predict: Predict) -> float:
        metrics = mean_metrics(evaluate(one_by_one(predict), held_out, protocol))
        if not metrics:
            raise DataError(drive, f"none of its last {len(held_out)} frames has depth that can be compared")
        return metrics["abs_rel"]

    images = [held_out[index].image for index in range(len(held_out))]
    source = f"{drive.resolve().name}, {len(calibration)} + {len(images)} frames"
    return DriveFrames(source, calibration, images, abs_rel)


def _evenly_spaced(frames: Sequence[tuple[KittiRawFrames, int]], count: int) -> list[tuple[KittiRawFrames, int]]:
    """Return at most ``count`` of the frames, evenly spaced."""
    kept = min(count, len(frames))
    return [frames[index * len(frames) // kept] for index in range(kept)]

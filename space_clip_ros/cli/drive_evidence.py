"""A drive's frames as an export's evidence: the earlier ones to calibrate on, the last ones to be judged on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from space_clip_ros.data.raw_frames import raw_sources
from space_clip_ros.errors import DataError
from space_clip_ros.evaluation.evaluator import evaluate, mean_metrics, one_by_one
from space_clip_ros.evaluation.protocol import standard
from space_clip_ros.training_config import SourceConfig

if TYPE_CHECKING:
    from space_clip_ros.config import ModelConfig
    from space_clip_ros.data.frames import Frame
    from space_clip_ros.data.raw_frames import RawFrames
    from space_clip_ros.export.precision import Evidence, Predict

CALIBRATION_FRAMES = 16
"""Most frames that set the scales; more change them little."""
HELD_OUT_FRAMES = 32
"""Most frames that an export is judged on."""
_HELD_OUT_SHARE = 6
_FEWEST = 6


class _Frames:
    def __init__(self, frames: Sequence[tuple[str, Frame]]) -> None:
        self._frames = frames

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: int) -> Frame:
        return self._frames[index][1]

    def label(self, index: int) -> str:
        return self._frames[index][0]


def drive_evidence(drive: Path, model: ModelConfig) -> Evidence:
    """Return the frames of a drive that have depth as evidence: calibration on the first five sixths.

    A drive's frames follow one another, so that a random choice would put near-copies on both sides.

    Args:
        drive: a KITTI raw drive, or a folder of them, one after the other.
        model: gives the range of depths that count.

    Raises:
        DataError: no such drive, too few frames with depth, a damaged frame, or none whose truth counts.
    """
    from space_clip_ros.export.precision import Evidence

    sources = raw_sources(SourceConfig(path=str(drive)))
    places = [(source, index) for source in sources for index in range(len(source))]
    held_out = len(places) // _HELD_OUT_SHARE
    if len(places) < _FEWEST:
        raise DataError(f"{drive}: has {len(places)} frames with depth; an export needs at least {_FEWEST}")
    calibration = [source.frame(index).image for source, index in _spread(places[:-held_out], CALIBRATION_FRAMES)]
    frames = _Frames(
        [(source.label(index), source.frame(index)) for source, index in _spread(places[-held_out:], HELD_OUT_FRAMES)]
    )
    protocol = standard(min_depth=model.min_depth, max_depth=model.max_depth)

    def abs_rel(predict: Predict) -> float:
        metrics = mean_metrics(evaluate(one_by_one(predict), frames, protocol))
        if not metrics:
            raise DataError(f"{drive}: none of its last {len(frames)} frames has depth that can be compared")
        return metrics["abs_rel"]

    images = [frames[index].image for index in range(len(frames))]
    return Evidence(f"{drive.resolve().name}, {len(calibration)} + {len(images)} frames", calibration, images, abs_rel)


def _spread(places: Sequence[tuple[RawFrames, int]], count: int) -> list[tuple[RawFrames, int]]:
    """Return at most ``count`` of ``places``, evenly apart."""
    kept = min(count, len(places))
    return [places[index * len(places) // kept] for index in range(kept)]

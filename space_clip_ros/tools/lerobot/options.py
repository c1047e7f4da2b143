"""Options of the conversion of bags to a data set."""

from __future__ import annotations

from dataclasses import dataclass

from space_clip_ros.errors import InputError

IMAGE_FORMATS = ("png", "jpeg")
DEPTH_UNITS = ("mm", "m")


@dataclass(frozen=True)
class ConversionOptions:
    """What a data set contains.

    Args:
        depth: topics of depth images, one per camera; empty for all of a bag.
        task: what the robot does, in a sentence; LeRobot gives it to policies as their instruction.
        fps: frames per second; 0 for the recording's own rate. A lower rate leaves frames out.
        max_gap_s: a longer gap between two frames starts a new episode, seconds.
        image_format: ``png``, which keeps every pixel, or ``jpeg``, which is about eight times smaller.
        depth_unit: ``mm`` for 16-bit PNG, or ``m`` for 32-bit TIFF, which keeps every bit and depth beyond 65.535 m.
        points: stride of an organised cloud beside the depth, pixels; 0 for none.

    Raises:
        InputError: a value out of range.
    """

    depth: tuple[str, ...] = ()
    task: str = "Record camera images and their depth."
    fps: int = 0
    max_gap_s: float = 1.0
    image_format: str = IMAGE_FORMATS[0]
    depth_unit: str = DEPTH_UNITS[0]
    points: int = 0

    def __post_init__(self) -> None:
        """Check every value."""
        if self.fps < 0 or self.points < 0:
            raise InputError(f"fps and points must be at least 0, got {self.fps} and {self.points}")
        if not self.max_gap_s > 0:
            raise InputError(f"the largest gap must be above 0 seconds, got {self.max_gap_s:g}")
        if self.image_format not in IMAGE_FORMATS or self.depth_unit not in DEPTH_UNITS:
            raise InputError(
                f"image_format must be {' or '.join(IMAGE_FORMATS)} and depth_unit {' or '.join(DEPTH_UNITS)}, "
                f"got {self.image_format!r} and {self.depth_unit!r}"
            )
        if not self.task.strip():
            raise InputError("the task must be a sentence, got nothing")

"""Options of the conversion of bags to a data set."""

from __future__ import annotations

from dataclasses import dataclass

from space_clip_ros.errors import InputError
from space_clip_ros.tools.program_options import ProgramOptions, option


@dataclass(frozen=True)
class ConversionOptions(ProgramOptions):
    """What a data set contains.

    Raises:
        InputError: a value out of range.
    """

    depth: tuple[str, ...] = option((), "topics of depth images, one per camera (default: all)", metavar="TOPIC")
    task: str = option(
        "Record camera images and their depth.",
        "what the robot does, in a sentence; LeRobot gives it to policies as their instruction",
    )
    fps: int = option(0, "frames per second; a lower rate leaves frames out; 0 for the recording's own", minimum=0)
    max_gap: float = option(
        1.0, "a longer gap between frames starts a new episode, seconds", metavar="SECONDS", minimum=1e-3
    )
    image_format: str = option(
        "png",
        "format of colour images: png keeps every pixel, jpeg is about eight times smaller",
        choices=("png", "jpeg"),
    )
    depth_unit: str = option(
        "mm", "mm: 16-bit PNG, up to 65.535 m; m: 32-bit TIFF, which keeps every bit", choices=("mm", "m")
    )
    points: int = option(0, "stride of an organised cloud beside the depth; 0 for none", metavar="STRIDE", minimum=0)

    def __post_init__(self) -> None:
        """Check every value."""
        super().__post_init__()
        if not self.task.strip():
            raise InputError("task", "must be a sentence, got nothing")

"""Options of the bag commands and of the ROS programs behind them; needs no ROS library."""

from __future__ import annotations

import re
from dataclasses import dataclass

from space_clip_ros.errors import InputError
from space_clip_ros.tools.program_options import REQUIRED, ProgramOptions, option

STORAGES = ("mcap", "sqlite3")
"""Storage of a bag; the first is the default, as in ROS 2 since Iron."""

COMPRESSIONS = ("jpeg", "png")
STAMPS = ("bag", "now")
TRUTHS = ("scan", "annotated", "none")

CAMERAS = {"color_left": 2, "color_right": 3, "gray_left": 0, "gray_right": 1}
"""KITTI's number of each camera."""

_TYPED = re.compile(r"[^=]+=[A-Za-z]\w*/msg/[A-Za-z]\w*")
# From 1970 to beyond 2090, for bags with a message of time 0; excludes infinity, which nanoseconds cannot hold.
_LONGEST_S = 4e9


@dataclass(frozen=True)
class BagOptions(ProgramOptions):
    """What goes into the bag of a KITTI drive.

    Raises:
        InputError: an unknown value, no camera, or a repeated one.
    """

    storage: str = option(STORAGES[0], "file format", choices=STORAGES)
    compressed: str | None = option(None, "write image/compressed instead of raw images", choices=COMPRESSIONS)
    cameras: tuple[str, ...] = option(
        ("color_left",),
        f"of {', '.join(CAMERAS)}; scans and truth go with the first",
        metavar="CAMERA",
        choices=tuple(CAMERAS),
    )
    truth: str = option(
        TRUTHS[0],
        "ground_truth/image from the laser scan, from annotated depth (denser; exact for synthetic drives), or none",
        choices=TRUTHS,
    )

    def __post_init__(self) -> None:
        """Check every value."""
        super().__post_init__()
        if not self.cameras or len(set(self.cameras)) < len(self.cameras):
            raise InputError("cameras", f"must be some of {', '.join(CAMERAS)}, each once, got {list(self.cameras)}")


@dataclass(frozen=True)
class ReplayOptions(ProgramOptions):
    """How a bag is played.

    Raises:
        InputError: a value out of range, or ``clock`` with stamps of now.
    """

    bag: str = option(REQUIRED, "rosbag2 folder, or one .mcap or .db3 file", metavar="BAG", positional=True)
    rate: float = option(1.0, "speed; 1 is the bag's own", metavar="R", minimum=0.01, maximum=100.0)
    loop: bool = option(False, "start again at the end")
    start: float = option(0.0, "skip the first S seconds", metavar="S", minimum=0.0, maximum=_LONGEST_S)
    duration: float = option(0.0, "play S seconds only; 0 plays all", metavar="S", minimum=0.0, maximum=_LONGEST_S)
    topics: tuple[str, ...] = option((), "play these topics only (default all)", metavar="TOPIC")
    clock: bool = option(False, "publish /clock with the bag's time")
    wait: float = option(
        10.0,
        "wait up to S seconds for a first subscriber; 0 does not wait",
        metavar="S",
        minimum=0.0,
        maximum=_LONGEST_S,
    )
    settle: float = option(
        0.5,
        "then wait until no new subscriber has come for S seconds",
        metavar="S",
        minimum=0.0,
        maximum=_LONGEST_S,
    )
    wait_for: str = option("", "topic that must have a subscriber first (default any)", metavar="TOPIC")
    subscribers: int = option(1, "how many subscribers to wait for", metavar="N", minimum=1)
    stamps: str = option(
        STAMPS[0], "stamps of the messages: the bag's, or moved to the time of playing", choices=STAMPS
    )

    def __post_init__(self) -> None:
        """Check every value."""
        super().__post_init__()
        if self.clock and self.stamps == "now":
            raise InputError("clock", "carries the bag's time, so it needs the bag's stamps, got stamps of now")


@dataclass(frozen=True)
class RecordOptions(ProgramOptions):
    """What is recorded, and into which bag.

    Without ``topics`` every topic is recorded except ``/rosout``, ``/parameter_events`` and hidden ones. A topic given
    as ``NAME=TYPE`` is subscribed to before it has a publisher, reliably, so that its first message is recorded too.

    Raises:
        InputError: a value out of range, or a TYPE that is not written as ``PACKAGE/msg/NAME``.
    """

    out: str = option(REQUIRED, "folder to write, which must not exist", metavar="BAG")
    topics: tuple[str, ...] = option(
        (), "record these topics only, NAME or NAME=TYPE (default all)", metavar="TOPIC", positional=True
    )
    duration: float = option(
        0.0, "end after S seconds; 0 records until it is stopped", metavar="S", minimum=0.0, maximum=_LONGEST_S
    )
    max_mb: float = option(
        0.0, "end when the file has grown to MB megabytes; 0 for no limit", metavar="MB", minimum=0.0, maximum=1e9
    )
    note: str = option("", "text to keep with the bag, as custom_data.note of its metadata.yaml", metavar="TEXT")

    def __post_init__(self) -> None:
        """Check every value."""
        super().__post_init__()
        for topic in self.topics:
            if "=" in topic and not _TYPED.fullmatch(topic):
                raise InputError(topic, "is not NAME=TYPE", "write it as /image=sensor_msgs/msg/Image")

    @property
    def types(self) -> dict[str, str]:
        """The types given, by the names of their topics."""
        return dict(topic.split("=", 1) for topic in self.topics if "=" in topic)

"""What the bag commands can be told, for the command line and the ROS programs behind it; needs no ROS library."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from space_clip_ros.errors import InputError

STORAGES = ("mcap", "sqlite3")
"""Storage of a bag; the first is the default, as it is ROS 2's since Iron."""

COMPRESSIONS = ("jpeg", "png")
STAMPS = ("bag", "now")
TRUTHS = ("scan", "annotated", "none")

CAMERAS = {"color_left": 2, "color_right": 3, "gray_left": 0, "gray_right": 1}
"""KITTI's number of each camera."""


@dataclass(frozen=True)
class BagOptions:
    """What goes into a bag.

    Args:
        cameras: of ``color_left``, ``color_right``, ``gray_left`` and ``gray_right``; the first one's frames are what
            scans and truth go with.
        compressed: ``jpeg`` or ``png`` for compressed images, None for raw ones.
        truth: ``scan`` (the laser scan projected), ``annotated`` (the denser annotated depth; exact for synthetic
            drives) or ``none``.
        storage: ``mcap`` or ``sqlite3``.

    Raises:
        InputError: another value, no camera, or one twice.
    """

    cameras: tuple[str, ...] = ("color_left",)
    compressed: str | None = None
    truth: str = TRUTHS[0]
    storage: str = STORAGES[0]

    def __post_init__(self) -> None:
        """Refuse what cannot be written."""
        if not self.cameras or len(set(self.cameras)) != len(self.cameras) or not set(self.cameras) <= set(CAMERAS):
            raise InputError(f"cameras must be some of {', '.join(CAMERAS)}, each once, got {list(self.cameras)}")
        for name, value, known in (
            ("compressed", self.compressed, (*COMPRESSIONS, None)),
            ("truth", self.truth, TRUTHS),
            ("storage", self.storage, STORAGES),
        ):
            if value not in known:
                raise InputError(f"{name} must be one of {', '.join(map(str, known))}, got {value!r}")


@dataclass(frozen=True)
class ReplayOptions:
    """How a bag is played.

    Args:
        bag: a rosbag2 folder, or one .mcap or .db3 file.
        rate: speed; 1 is the bag's own.
        loop: start again at the end.
        start: seconds of the bag to skip.
        duration: seconds of the bag to play, 0 for all.
        topics: which to play; none for all.
        clock: publish ``/clock`` with the bag's time.
        wait: seconds to wait for a first subscriber before playing, 0 for none.
        stamps: ``bag`` for the messages' own, ``now`` to move them to the time of playing.
        settle: seconds without a new subscriber before playing, once there is a first one.
        wait_for: the topic that the first subscriber must be of; empty for any.
        subscribers: how many subscribers of it there must be.

    Raises:
        InputError: a number out of range, or ``clock`` with stamps of now.
    """

    bag: str
    rate: float = 1.0
    loop: bool = False
    start: float = 0.0
    duration: float = 0.0
    topics: tuple[str, ...] = ()
    clock: bool = False
    wait: float = 10.0
    stamps: str = STAMPS[0]
    settle: float = 0.5
    wait_for: str = ""
    subscribers: int = 1

    def __post_init__(self) -> None:
        """Refuse what cannot be played."""
        if not 0.01 <= self.rate <= 100.0:
            raise InputError(f"rate must be from 0.01 to 100, got {self.rate:g}")
        for name, value in (
            ("start", self.start),
            ("duration", self.duration),
            ("wait", self.wait),
            ("settle", self.settle),
        ):
            if not 0.0 <= value < 1e9:
                raise InputError(f"{name} must be 0 or more seconds, got {value:g}")
        if self.subscribers < 1:
            raise InputError(f"subscribers must be 1 or more, got {self.subscribers}")
        if self.stamps not in STAMPS:
            raise InputError(f"stamps must be {' or '.join(STAMPS)}, got {self.stamps!r}")
        if self.clock and self.stamps == "now":
            raise InputError("clock carries the bag's time, so it needs stamps of the bag")


def add_replay_options(parser: argparse.ArgumentParser) -> None:
    """Add what :class:`ReplayOptions` holds to a command line."""
    default = ReplayOptions("")
    parser.add_argument("bag", metavar="BAG", help="rosbag2 folder, or one .mcap or .db3 file")
    parser.add_argument("--rate", type=float, default=default.rate, metavar="R", help="speed (default 1)")
    parser.add_argument("--loop", action="store_true", help="start again at the end")
    parser.add_argument("--start", type=float, default=default.start, metavar="S", help="skip the first S seconds")
    parser.add_argument("--duration", type=float, default=default.duration, metavar="S", help="play S seconds only")
    parser.add_argument("--topics", nargs="+", default=(), metavar="TOPIC", help="play these only (default all)")
    parser.add_argument("--clock", action="store_true", help="publish /clock with the bag's time")
    parser.add_argument(
        "--wait",
        type=float,
        default=default.wait,
        metavar="S",
        help=f"wait up to S seconds for a first subscriber (default {default.wait:g}; 0: do not)",
    )
    parser.add_argument(
        "--settle",
        type=float,
        default=default.settle,
        metavar="S",
        help=f"and then until no more subscribers come for S seconds (default {default.settle:g})",
    )
    parser.add_argument("--wait-for", default="", metavar="TOPIC", help="whose subscriber that must be (default: any)")
    parser.add_argument(
        "--subscribers",
        type=int,
        default=default.subscribers,
        metavar="N",
        help=f"how many of them there must be (default {default.subscribers})",
    )
    parser.add_argument(
        "--stamps",
        choices=STAMPS,
        default=default.stamps,
        help="stamps of the messages: the bag's (default), or moved to the time of playing",
    )


def replay_options(args: argparse.Namespace) -> ReplayOptions:
    """Return what a command line says."""
    return ReplayOptions(
        args.bag,
        args.rate,
        args.loop,
        args.start,
        args.duration,
        tuple(args.topics),
        args.clock,
        args.wait,
        args.stamps,
        args.settle,
        args.wait_for,
        args.subscribers,
    )


def replay_arguments(options: ReplayOptions) -> list[str]:
    """Return the command line that says ``options``."""
    words = [options.bag, f"--rate={options.rate!r}", f"--start={options.start!r}"]
    words += [f"--duration={options.duration!r}", f"--wait={options.wait!r}", f"--stamps={options.stamps}"]
    words += [f"--settle={options.settle!r}", f"--wait-for={options.wait_for}"]
    words += [f"--subscribers={options.subscribers}"]
    words += [f"--{name}" for name, value in (("loop", options.loop), ("clock", options.clock)) if value]
    return [*words, "--topics", *options.topics] if options.topics else words


@dataclass(frozen=True)
class RecordOptions:
    """What is recorded, and where to.

    Args:
        out: the bag's folder, which must not exist.
        topics: which to record; none for all but ``/rosout``, ``/parameter_events`` and hidden ones. ``NAME=TYPE`` is
            subscribed to, reliably, before it has a publisher, so that not even its first message is missed.
        duration: seconds to record, 0 for until it is stopped.
        max_mb: end when the bag's file has grown to this many megabytes, 0 for no limit.

    Raises:
        InputError: a number out of range.
    """

    out: str
    topics: tuple[str, ...] = ()
    duration: float = 0.0
    max_mb: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what cannot be recorded."""
        if not 0.0 <= self.duration < 1e9:
            raise InputError(f"duration must be 0 or more seconds, got {self.duration:g}")
        if not 0.0 <= self.max_mb < 1e9:
            raise InputError(f"max-mb must be 0 or more megabytes, got {self.max_mb:g}")


def add_record_options(parser: argparse.ArgumentParser) -> None:
    """Add what :class:`RecordOptions` holds to a command line."""
    parser.add_argument("topics", nargs="*", metavar="TOPIC", help="record these only, NAME or NAME=TYPE (default all)")
    parser.add_argument("--out", required=True, metavar="BAG", help="folder to write, not there yet")
    parser.add_argument("--duration", type=float, default=0.0, metavar="S", help="end after S seconds (default: never)")
    parser.add_argument("--max-mb", type=float, default=0.0, metavar="MB", help="end at this size (default: none)")


def record_options(args: argparse.Namespace) -> RecordOptions:
    """Return what a command line says."""
    return RecordOptions(args.out, tuple(args.topics), args.duration, args.max_mb)


def record_arguments(options: RecordOptions) -> list[str]:
    """Return the command line that says ``options``."""
    return [f"--out={options.out}", f"--duration={options.duration!r}", f"--max-mb={options.max_mb!r}", *options.topics]

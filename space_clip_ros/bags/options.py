"""What the bag commands can be told, for the command line and the ROS programs behind it; needs no ROS library."""

from __future__ import annotations

from dataclasses import dataclass

from space_clip_ros.errors import InputError

STORAGES = ("mcap", "sqlite3")
"""Storage of a bag; the first is the default, as it is ROS 2's since Iron."""

COMPRESSIONS = ("jpeg", "png")
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

"""The recording behind a report: a bag, or a run of the demo with its bag inside, and which of its topics is which."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from space_clip_ros.errors import DataError, InputError
from space_clip_ros.tools.bags.reader import BagReader, Topic

_IMAGE, _COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
_INFO, _DIAGNOSTICS = "sensor_msgs/msg/CameraInfo", "diagnostic_msgs/msg/DiagnosticArray"
_KINDS = {
    "depth": (_IMAGE,),
    "image": (_IMAGE, _COMPRESSED),
    "truth": (_IMAGE,),
    "camera_info": (_INFO,),
    "depth_info": (_INFO,),
    "diagnostics": (_DIAGNOSTICS,),
}
_DEPTH = "depth/image"


@dataclass(frozen=True)
class Topics:
    """Names of a recording's topics; empty where it has none, or to find it.

    Attributes:
        depth: depth images.
        image: the camera's images, raw or compressed.
        truth: true depth.
        camera_info: the camera's calibration.
        depth_info: the calibration of ``depth``.
        diagnostics: what the nodes say of themselves.
    """

    depth: str = ""
    image: str = ""
    truth: str = ""
    camera_info: str = ""
    depth_info: str = ""
    diagnostics: str = ""

    def names(self) -> list[str]:
        """Return those that are there."""
        return [name for name in vars(self).values() if name]


@dataclass(frozen=True)
class Source:
    """Where a report's figures come from.

    Attributes:
        name: of the run or bag.
        bag: rosbag2 folder or file.
        summary: what the demo wrote of its run; empty for a bag.
        notes: what is missing, in words.
    """

    name: str
    bag: Path
    summary: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def find_source(path: str | Path) -> Source:
    """Tell a run from a bag.

    Args:
        path: folder that ``./demo.sh --out`` wrote, holding ``recording`` and ``summary.json``; or a rosbag2 folder, or
            one .mcap or .db3 file.

    Raises:
        DataError: neither, or a run without a recording, or with a summary that cannot be read.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise DataError(f"{path}: no such run or bag; give a folder that ./demo.sh wrote, or a rosbag2")
    if path.is_file() or (path / "metadata.yaml").is_file():
        return Source(path.stem if path.is_file() else path.resolve().name, path)
    bag = path / "recording"
    if not (bag / "metadata.yaml").is_file():
        raise DataError(f"{path}: is no bag, and holds no recording; run ./demo.sh --out {path} again, or give a bag")
    summary = path / "summary.json"
    if not summary.is_file():
        note = "The run has no summary.json: figures that only the demo measures, such as each output's latency."
        return Source(path.resolve().name, bag, notes=(note,))
    try:
        content = json.loads(summary.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{summary}: cannot be read ({error}); run the demo again") from error
    if not isinstance(content, dict):
        raise DataError(f"{summary}: holds no table of figures; run the demo again")
    return Source(path.resolve().name, bag, content)


def find_topics(bag: BagReader, asked: Topics) -> Topics:
    """Return the bag's topics by what they are; those in ``asked`` as they are, the others by the node's own names.

    Raises:
        InputError: ``asked`` names a topic that the bag lacks, or of another type.
        DataError: no depth images in the bag, or several and none asked for.
    """
    for role, name in vars(asked).items():
        if name and (name not in bag.topics or bag.topics[name].kind not in _KINDS[role]):
            kind = " or ".join(_KINDS[role])
            raise InputError(f"{bag.path}: has no topic {name} of {kind}; it has {', '.join(sorted(bag.topics))}")
    depth = asked.depth or _find_depth(bag)
    prefix = depth.removesuffix(_DEPTH) if depth.endswith(_DEPTH) else "/"
    likely = {
        "image": (f"{prefix}image", f"{prefix}image/compressed"),
        "truth": (f"{prefix}ground_truth/image",),
        "camera_info": (f"{prefix}camera_info",),
        "depth_info": (f"{prefix}depth/camera_info",),
        "diagnostics": ("/diagnostics",),
    }
    found = {role: getattr(asked, role) or _first(bag, role, names) for role, names in likely.items()}
    return replace(asked, depth=depth, **found)


def _find_depth(bag: BagReader) -> str:
    found = [name for name, topic in bag.topics.items() if name.endswith(_DEPTH) and _fits(topic, "depth")]
    if len(found) > 1:
        raise DataError(f"{bag.path}: has several depth topics, {', '.join(sorted(found))}; choose one with --depth")
    if not found:
        raise DataError(
            f"{bag.path}: has no {_DEPTH}; record it beside the images, or add it with space_clip predict --bag"
        )
    return found[0]


def _first(bag: BagReader, role: str, names: tuple[str, ...]) -> str:
    return next((name for name in names if name in bag.topics and _fits(bag.topics[name], role)), "")


def _fits(topic: Topic, role: str) -> bool:
    return topic.kind in _KINDS[role] and topic.count > 0

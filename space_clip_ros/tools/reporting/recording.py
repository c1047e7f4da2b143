"""The recording that a report is about: a bag, or a run of the demo with its bag, and what its topics hold."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from space_clip_ros.errors import DataError, InputError
from space_clip_ros.tools.bags.bag_folder import METADATA, find_files
from space_clip_ros.tools.bags.image_topics import image_topics
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
    "uncertainty": (_IMAGE,),
    "scan": ("sensor_msgs/msg/LaserScan",),
}
_DEPTH = "depth/image"


@dataclass(frozen=True)
class Topics:
    """Names of a recording's topics; empty for a topic that it lacks, or that must be found.

    Attributes:
        depth: depth images.
        image: the camera's images, raw or compressed.
        truth: true depth.
        camera_info: the camera's calibration.
        depth_info: the calibration of ``depth``.
        diagnostics: diagnostics of the nodes.
        uncertainty: one standard deviation of ``depth``.
        scan: planar scans of the obstacles.
    """

    depth: str = ""
    image: str = ""
    truth: str = ""
    camera_info: str = ""
    depth_info: str = ""
    diagnostics: str = ""
    uncertainty: str = ""
    scan: str = ""


@dataclass(frozen=True)
class ReportSource:
    """The files that a report is made from.

    Attributes:
        name: name of the run or bag.
        bag: rosbag2 folder or file.
        summary: the demo's ``summary.json``; empty for a bag.
        notes: sentences about what is missing.
    """

    name: str
    bag: Path
    summary: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def files(self) -> list[Path]:
        """Return the files that are read, of which some may not exist.

        Raises:
            DataError: the bag lacks files.
        """
        beside = [self.bag / METADATA, self.bag.parent / "summary.json"] if self.bag.is_dir() else []
        return [*find_files(self.bag).files, *beside]


def find_source(path: str | Path) -> ReportSource:
    """Return a run's or a bag's files.

    Args:
        path: folder that ``./demo.sh --out`` wrote, with ``recording`` and ``summary.json`` in it; or a rosbag2
            folder, or one .mcap or .db3 file.

    Raises:
        DataError: it is neither, or a run without a recording or a readable summary.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise DataError(path, "no such run or bag", "give a folder that ./demo.sh wrote, or a rosbag2")
    if path.is_file() or (path / METADATA).is_file():
        return ReportSource(path.stem if path.is_file() else path.resolve().name, path)
    bag = path / "recording"
    if not (bag / METADATA).is_file():
        with contextlib.suppress(DataError):
            find_files(path)
            return ReportSource(path.resolve().name, path)
        raise DataError(path, "is not a bag and has no recording", f"run ./demo.sh --out {path} again, or give a bag")
    summary = path / "summary.json"
    if not summary.is_file():
        note = "No summary.json: figures that only the demo measures, such as each output's latency, are not shown."
        return ReportSource(path.resolve().name, bag, notes=(note,))
    try:
        content = json.loads(summary.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(summary, f"cannot be read ({error})", "run the demo again") from error
    if not isinstance(content, dict):
        raise DataError(summary, "holds no table of figures", "run the demo again")
    return ReportSource(path.resolve().name, bag, content)


def find_topics(bag: BagReader, requested: Topics) -> Topics:
    """Return a bag's topics: the requested ones, and for the others those with the node's names.

    Without ``image`` beside the depth, it is the only other topic of colour images there, such as ``image_raw``.

    Raises:
        InputError: a requested topic is not in the bag, or has another type.
        DataError: the bag has no depth images, or several topics of them and none was requested.
    """
    for role, name in vars(requested).items():
        if name and (name not in bag.topics or bag.topics[name].kind not in _KINDS[role]):
            kind = " or ".join(_KINDS[role])
            raise InputError(bag.path, f"has no topic {name} of {kind}", f"it has {', '.join(sorted(bag.topics))}")
    depth = requested.depth or _find_depth(bag)
    prefix = depth.removesuffix(_DEPTH) if depth.endswith(_DEPTH) else "/"
    usual = {
        "image": (f"{prefix}image", f"{prefix}image/compressed"),
        "truth": (f"{prefix}ground_truth/image",),
        "camera_info": (f"{prefix}camera_info",),
        "depth_info": (f"{prefix}depth/camera_info",),
        "diagnostics": ("/diagnostics",),
        "uncertainty": (f"{prefix}depth/uncertainty",),
        "scan": (f"{prefix}depth/scan",),
    }
    topics = {role: getattr(requested, role) or _first(bag, role, names) for role, names in usual.items()}
    topics["image"] = topics["image"] or _only_image(bag, prefix)
    return replace(requested, depth=depth, **topics)


def _only_image(bag: BagReader, namespace: str) -> str:
    names = [topic.name for topic in image_topics(bag) if topic.namespace == namespace]
    return names[0] if len(names) == 1 else ""


def _find_depth(bag: BagReader) -> str:
    topics = [name for name, topic in bag.topics.items() if name.endswith(_DEPTH) and _fits(topic, "depth")]
    if len(topics) > 1:
        raise DataError(bag.path, f"has several depth topics, {', '.join(sorted(topics))}", "choose one with --depth")
    if not topics:
        remedy = "record it beside the images, or add it with space_clip predict --bag"
        raise DataError(bag.path, f"has no {_DEPTH}", remedy)
    return topics[0]


def _first(bag: BagReader, role: str, names: tuple[str, ...]) -> str:
    return next((name for name in names if name in bag.topics and _fits(bag.topics[name], role)), "")


def _fits(topic: Topic, role: str) -> bool:
    return topic.kind in _KINDS[role] and topic.count > 0

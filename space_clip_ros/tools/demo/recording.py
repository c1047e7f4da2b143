"""The demo's recording: what goes into it, and the process that writes it."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

from space_clip_ros.errors import DataError
from space_clip_ros.tools.bags.options import RecordOptions
from space_clip_ros.tools.demo.sources import TRANSFORMS
from space_clip_ros.tools.processes import Child, Children

_IMAGE = "sensor_msgs/msg/Image"
_TOPICS = {
    "/camera_info": "sensor_msgs/msg/CameraInfo",
    "/depth/image": _IMAGE,
    "/depth/camera_info": "sensor_msgs/msg/CameraInfo",
    "/ground_truth/image": _IMAGE,
    "/diagnostics": "diagnostic_msgs/msg/DiagnosticArray",
}
_IMAGES = {"raw": {"/image": _IMAGE}, "compressed": {"/image/compressed": "sensor_msgs/msg/CompressedImage"}}
_CLOUDS = dict.fromkeys(("/depth/points", "/velodyne_points"), "sensor_msgs/msg/PointCloud2")
_MAX_MB = 2000.0
# The node goes first where there are more processes than cores.
_NICENESS = 10


class Recording:
    """The bag in a run's folder.

    Args:
        folder: where it is written.
        transport: the images' form, ``raw`` or ``compressed``.
        clouds: whether clouds go in, which are most of what the node sends.

    Raises:
        DataError: something that is no bag is in its place.
    """

    def __init__(self, folder: Path, transport: str, clouds: bool) -> None:
        """Remove what an earlier run recorded there."""
        self.folder = folder
        known = {**_IMAGES[transport], **_TOPICS, **(_CLOUDS if clouds else {})}
        transforms = TRANSFORMS if importlib.util.find_spec("tf2_msgs") else ()
        self._topics = (*(f"{name}={kind}" for name, kind in known.items()), *transforms)
        if folder.exists():
            if not (folder / "metadata.yaml").is_file():
                raise DataError(f"{folder}: is no recording, and in its place; remove it, or give another --out")
            shutil.rmtree(folder)

    def start(self, children: Children) -> Child:
        """Start the recorder."""
        options = RecordOptions(str(self.folder.absolute()), self._topics, max_mb=_MAX_MB)
        return children.start("record", {}, options.arguments(), niceness=_NICENESS)

"""The demo's recording: what goes into it, and the process that writes it."""

from __future__ import annotations

import shutil
from pathlib import Path

from space_clip_ros.errors import DataError
from space_clip_ros.tools.bags.options import RecordOptions
from space_clip_ros.tools.demo.sources import IMAGE_TOPICS, transform_topics
from space_clip_ros.tools.executables import BAG_RECORD
from space_clip_ros.tools.processes import Child, Children

_IMAGE = "sensor_msgs/msg/Image"
_TOPICS = {
    "camera_info": "sensor_msgs/msg/CameraInfo",
    "depth/image": _IMAGE,
    "depth/camera_info": "sensor_msgs/msg/CameraInfo",
    "depth/scan": "sensor_msgs/msg/LaserScan",
    "ground_truth/image": _IMAGE,
    "diagnostics": "diagnostic_msgs/msg/DiagnosticArray",
}
_CLOUDS = dict.fromkeys(("depth/points", "velodyne_points"), "sensor_msgs/msg/PointCloud2")
_MAX_MB = 2000.0
# With more processes than cores, the node must come first.
_NICENESS = 10


class Recording:
    """The bag in a run's folder.

    Args:
        folder: where it is written.
        transport: ``raw`` or ``compressed`` images.
        clouds: whether to record clouds too, which are most of the node's output.

    Raises:
        DataError: something that is no bag is in its place.
    """

    def __init__(self, folder: Path, transport: str, clouds: bool) -> None:
        """Remove what an earlier run recorded there."""
        self.folder = folder
        types = dict([IMAGE_TOPICS[transport]]) | _TOPICS | (_CLOUDS if clouds else {})
        self._topics = (*(f"/{name}={kind}" for name, kind in types.items()), *transform_topics())
        if folder.exists():
            if not (folder / "metadata.yaml").is_file():
                raise DataError(folder, "is not a recording, but is in its place", "remove it, or give another --out")
            shutil.rmtree(folder)

    def start(self, children: Children) -> Child:
        """Start the recorder."""
        options = RecordOptions(str(self.folder.absolute()), self._topics, max_mb=_MAX_MB)
        return children.start(BAG_RECORD, {}, options.arguments(), niceness=_NICENESS)

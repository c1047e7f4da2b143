"""The demo's recording: its topics, and the process that writes it."""

from __future__ import annotations

import shutil
from pathlib import Path

from space_clip_ros.errors import DataError
from space_clip_ros.tools.bags.bag_folder import find_files
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
_UNCERTAINTY = {"depth/uncertainty": _IMAGE}
_CLOUDS = dict.fromkeys(("depth/points", "velodyne_points"), "sensor_msgs/msg/PointCloud2")
_MAX_MB = 2000.0
# With more processes than cores, the node must come first.
_NICENESS = 10
NOTE = "recorded by ./demo.sh, which replaces it in its next run"
"""Kept with each recording, so that no other bag is taken for one and removed."""


class Recording:
    """The bag in a run's folder.

    Args:
        folder: where it is written.
        transport: ``raw`` or ``compressed`` images.
        clouds: whether to record clouds too, the largest part of the node's output.

    Raises:
        DataError: the folder exists and does not hold what an earlier run recorded.
    """

    def __init__(self, folder: Path, transport: str, clouds: bool) -> None:
        """Check the folder."""
        self.folder = folder
        self._types = dict([IMAGE_TOPICS[transport]]) | _TOPICS | (_CLOUDS if clouds else {})
        if folder.exists() and not _is_ours(folder):
            raise DataError(folder, "is not a recording of this demo's", "move it away, or give another --out")

    def start(self, children: Children, uncertainty: bool = False) -> Child:
        """Start the recorder in the place of what an earlier run recorded.

        Args:
            children: the run's processes.
            uncertainty: whether the model gives it.

        The report's page shows uncertainty. A frame of KITTI's size takes 1.5 MB for it in the compressed bag, 2.6 MB
        for everything else but clouds, and 3 MB for clouds.
        """
        if self.folder.exists():
            shutil.rmtree(self.folder)
        types = self._types | (_UNCERTAINTY if uncertainty else {})
        topics = (*(f"/{name}={kind}" for name, kind in types.items()), *transform_topics())
        options = RecordOptions(str(self.folder.absolute()), topics, max_mb=_MAX_MB, note=NOTE)
        return children.start(BAG_RECORD, {}, options.arguments(), niceness=_NICENESS)


def _is_ours(folder: Path) -> bool:
    """Return whether the demo recorded the bag in a folder: its recorder leaves a note there."""
    try:
        return find_files(folder).note == NOTE
    except DataError:
        return False

"""The subscriber of the end-to-end benchmark: records when each output of each image arrives."""

from __future__ import annotations

from typing import Any

from sensor_msgs.msg import Image, PointCloud2

from space_clip_ros.tools.arrival_node import ArrivalNode

OUTPUTS: dict[str, Any] = {"depth/image": Image, "depth/points": PointCloud2}


class Receiver(ArrivalNode):
    """Subscribes to depth and cloud."""

    def __init__(self) -> None:
        """Subscribe."""
        super().__init__("end_to_end", OUTPUTS)

    @property
    def node_values(self) -> dict[str, str]:
        """Newest diagnostics of ``depth_node``, with its summary text as ``message``."""
        return self.status("depth")

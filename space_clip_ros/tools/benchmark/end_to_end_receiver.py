"""The subscriber of the end-to-end benchmark: records when each output of each image arrives."""

from __future__ import annotations

from typing import Any

from sensor_msgs.msg import Image, PointCloud2

from space_clip_ros.messages.diagnostics import DepthValues
from space_clip_ros.tools.arrival_node import ArrivalNode

OUTPUTS: dict[str, Any] = {"depth/image": Image, "depth/points": PointCloud2}


class Receiver(ArrivalNode):
    """Subscribes to depth and cloud."""

    def __init__(self) -> None:
        """Subscribe."""
        super().__init__("end_to_end", OUTPUTS)

    @property
    def node_values(self) -> DepthValues:
        """Newest diagnostics of ``depth_node``."""
        return DepthValues.read(self.status("depth"))

    @property
    def node_message(self) -> str:
        """Their summary text; empty before the first."""
        return self.status("depth").get("message", "")

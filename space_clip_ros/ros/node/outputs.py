"""What the node publishes."""

from __future__ import annotations

from typing import Any

from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from space_clip_ros.messages import camera_info_from_camera, cloud_from_points, dense_cloud, image_from_array
from space_clip_ros.perception.outputs import ColorOutput, DepthOutput, InfoOutput, Outputs, PointsOutput
from space_clip_ros.ros.common.qos import publisher_events, qos_overrides, with_events
from space_clip_ros.ros.common.throttled_log import ThrottledLog

_DEPTH = 2


class RosMessages:
    """Makes ROS's own messages."""

    image = staticmethod(image_from_array)
    camera_info = staticmethod(camera_info_from_camera)
    cloud = staticmethod(cloud_from_points)
    dense_cloud = staticmethod(dense_cloud)


class NodeOutputs(Outputs):
    """All publishers of one camera.

    Args:
        node: whose topics they are.
        prefix: what goes before the topics' names: ``front/`` for the camera front of several, else nothing.
        log: where subscribers that ask for another QoS are named.
    """

    def __init__(self, node: LifecycleNode, prefix: str, log: ThrottledLog) -> None:
        """Create the publishers, all or none; they publish only while the node is active."""
        self._node = node
        self._prefix = prefix
        self._log = log
        self._publishers: list[Any] = []
        make = RosMessages()
        try:
            info = InfoOutput(self._create(CameraInfo, InfoOutput.topic), make)
            # Depth goes first: it is what most wait for, and a cloud takes the bus for longer.
            depth = DepthOutput(self._create(Image, DepthOutput.topic), make)
            points = PointsOutput(self._create(PointCloud2, PointsOutput.topic), make)
            color = ColorOutput(self._create(Image, ColorOutput.topic), make)
        except Exception:
            self.destroy()
            raise
        super().__init__(make, info, (depth, points, color))

    @property
    def topics(self) -> tuple[str, ...]:
        """Resolved names of the topics made from depth."""
        return tuple(publisher.topic_name for publisher in self._publishers[1:])

    def destroy(self) -> None:
        """Take the topics back."""
        while self._publishers:
            self._node.destroy_lifecycle_publisher(self._publishers.pop())

    def _create(self, kind: type, topic: str) -> Any:
        qos = QoSProfile(
            history=HistoryPolicy.KEEP_LAST,
            depth=_DEPTH,
            reliability=ReliabilityPolicy.RELIABLE,
            durability=DurabilityPolicy.VOLATILE,
        )
        name = f"{self._prefix}{topic}"
        publisher = with_events(
            lambda callbacks: self._node.create_lifecycle_publisher(
                kind, name, qos, event_callbacks=callbacks, qos_overriding_options=qos_overrides()
            ),
            publisher_events(self._node, name, qos, self._log),
        )
        self._publishers.append(publisher)
        return publisher

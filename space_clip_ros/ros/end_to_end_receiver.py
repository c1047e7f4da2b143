"""The subscriber of an end-to-end benchmark: when each output of each image was in its hands."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from space_clip_ros.ros.latency import ArrivalLog
from space_clip_ros.ros.messages import stamp_ns

OUTPUTS: dict[str, Any] = {"depth/image": Image, "depth/points": PointCloud2}
_QOS = QoSProfile(depth=10, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.RELIABLE)
_WAKE_S = 0.05


class Receiver(Node):
    """Subscribes to depth and cloud, to the sender's ``camera_info``, which numbers the images, and to diagnostics.

    Attributes:
        arrivals: when each image's outputs arrived.
        sent: stamps of the images sent, in order, nanoseconds.
        node_values: newest diagnostics of ``depth_node``, with its verdict as ``message``.
    """

    def __init__(self) -> None:
        """Subscribe."""
        super().__init__("end_to_end")
        self.node_values: dict[str, str] = {}
        self.restart()
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self)
        self.create_subscription(CameraInfo, "camera_info", self._on_camera_info, _QOS)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, _QOS)
        for output, kind in OUTPUTS.items():
            self.create_subscription(kind, output, self._listener(output), _QOS)

    def restart(self) -> None:
        """Start the figures anew: what was stamped before this moment no longer counts."""
        self._since_ns = time.time_ns()
        self.arrivals = ArrivalLog(OUTPUTS)
        self.sent: list[int] = []

    def spin(self, seconds: float, until: Callable[[], bool]) -> bool:
        """Take messages until a condition holds, for at most ``seconds``; return whether it does."""
        deadline = time.monotonic() + seconds
        while not (reached := until()) and time.monotonic() < deadline:
            self._executor.spin_once(timeout_sec=_WAKE_S)
        return reached

    def close(self) -> None:
        """Leave the network."""
        self._executor.shutdown()
        self.destroy_node()

    def _on_camera_info(self, message: CameraInfo) -> None:
        stamp = stamp_ns(message)
        if stamp > self._since_ns:
            self.sent.append(stamp)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.startswith("depth:"):
                self.node_values = {"message": status.message, **{item.key: item.value for item in status.values}}

    def _listener(self, output: str) -> Callable[[Any], None]:
        def on_message(message: Any) -> None:
            arrived, stamp = time.time_ns(), stamp_ns(message)
            if stamp > self._since_ns:
                self.arrivals.add(output, stamp, arrived)

        return on_message

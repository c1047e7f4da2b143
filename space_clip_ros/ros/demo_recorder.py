"""The demo's own subscriber: when every output arrived, what the nodes say of themselves, and a few frames to show."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
from numpy.typing import NDArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header

from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.ros.latency import ArrivalLog
from space_clip_ros.ros.messages import (
    camera_info_from_camera,
    depth_from_image,
    image_from_array,
    points_from_cloud,
    stamp_ns,
)

OUTPUTS: dict[str, Any] = {
    "depth/image": Image,
    "depth/camera_info": CameraInfo,
    "depth/points": PointCloud2,
    "depth/color": Image,
}

QOS = QoSProfile(depth=50, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.RELIABLE)
_INPUTS: dict[str, Any] = {"camera_info": CameraInfo, "image": Image}
_KEPT = ("depth/image", "depth/points")
_WAKE_S = 0.05
_DISCOVERY_S = 5.0
_PRIMING_S = 1.5
_PRIMING_TRIES = 40


class DemoRecorder(Node):
    """Subscribes to all outputs of ``depth_node`` and to the player's ``camera_info``, which numbers the frames.

    Attributes:
        arrivals: when each frame arrived on each output.
        sent: stamps of the frames played, in order, nanoseconds.
        diagnostics: newest values of each status on ``/diagnostics``, by its name.
    """

    def __init__(self, frames: int, shown: int) -> None:
        """Subscribe; ``frames`` will be played, and ``shown`` of them are kept for the report."""
        super().__init__("space_clip_demo")
        self.arrivals = ArrivalLog(OUTPUTS)
        self.sent: list[int] = []
        self.diagnostics: dict[str, dict[str, str]] = {}
        self._frames = frames
        self._shown = shown
        self._waiting: dict[int, dict[str, Any]] = {}
        self._kept: dict[int, tuple[int, dict[str, Any]]] = {}
        self._since_ns = 0
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self)
        self._state_client: Any = self.create_client(GetState, "depth/get_state")
        self.create_subscription(CameraInfo, "camera_info", self._on_camera_info, QOS)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, QOS)
        for output, kind in OUTPUTS.items():
            self.create_subscription(kind, output, self._listener(output), QOS)

    def spin(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Take messages for ``seconds``, or until a condition holds; return whether it does."""
        deadline = time.monotonic() + seconds
        while not (reached := until()) and time.monotonic() < deadline:
            # Always the same timeout: with another one rclpy starts its round anew, and the topics late in it starve.
            self._executor.spin_once(timeout_sec=_WAKE_S)
        return reached

    def node_is_active(self) -> bool:
        """Ask ``depth_node`` for its lifecycle state, for at most a second."""
        if not self._state_client.wait_for_service(timeout_sec=0.2):
            return False
        answer = self._state_client.call_async(GetState.Request())
        self.spin(1.0, answer.done)
        if not answer.done():
            self._state_client.remove_pending_request(answer)
            return False
        return bool(answer.result().current_state.id == State.PRIMARY_STATE_ACTIVE)

    def prime(self, image: NDArray[np.uint8], camera: PinholeCamera, frame_id: str) -> bool:
        """Give the node one image of the drive's size, and wait until its outputs are here; return whether they came.

        Engines do part of their loading at the first image of a size, which no later frame should wait for. Nothing
        of this enters the figures.
        """
        publishers: list[Any] = [self.create_publisher(kind, topic, QOS) for topic, kind in _INPUTS.items()]
        self.spin(_DISCOVERY_S, lambda: all(publisher.get_subscription_count() for publisher in publishers))
        header = Header(frame_id=frame_id)
        messages = camera_info_from_camera(camera, header), image_from_array(image, "rgb8", header)
        arrived = False
        for _ in range(_PRIMING_TRIES):
            # Again and again, as the node takes images on best effort and may have seen this publisher only just now.
            header.stamp = self.get_clock().now().to_msg()
            for publisher, message in zip(publishers, messages, strict=True):
                publisher.publish(message)
            arrived = self.spin(_PRIMING_S, lambda: bool(self.arrivals.complete()))
            if arrived:
                break
        for publisher in publishers:
            self.destroy_publisher(publisher)
        self._forget()
        return arrived

    def wired(self) -> bool:
        """Tell whether the node listens to images and the evaluator to depth and truth."""
        wanted = {"image": 1, "camera_info": 2, "depth/image": 2, "ground_truth/image": 1}
        return all(self.count_subscribers(topic) >= count for topic, count in wanted.items())

    def everything_arrived(self) -> bool:
        """Tell whether every frame sent so far has arrived on every output."""
        return min(self.arrivals.received().values()) >= len(self.sent)

    def kept(self) -> list[tuple[int, NDArray[np.float32], NDArray[np.float32], NDArray[np.uint8]]]:
        """Return index, (H, W) depth, (N, 3) points and their (N, 3) RGB of the frames kept, in order."""
        return [
            (index, depth_from_image(messages["depth/image"]), *_points_and_colors(messages["depth/points"]))
            for index, messages in sorted(self._kept.values(), key=lambda item: item[0])
        ]

    def _forget(self) -> None:
        """Start the figures anew; what was stamped before this moment no longer counts."""
        self._since_ns = time.time_ns()
        self.arrivals = ArrivalLog(OUTPUTS)
        self.sent.clear()
        self._waiting, self._kept = {}, {}

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
            values = {item.key: item.value for item in status.values}
            self.diagnostics[status.name] = {"message": status.message, **values}

    def _listener(self, output: str) -> Callable[[Any], None]:
        def on_message(message: Any) -> None:
            arrived = time.time_ns()
            stamp = stamp_ns(message)
            if stamp < self._since_ns:
                return
            self.arrivals.add(output, stamp, arrived)
            if output in _KEPT:
                self._keep(output, stamp, message)

        return on_message

    def _keep(self, output: str, stamp: int, message: Any) -> None:
        """Keep the first whole frame in the second half of each of ``shown`` equal parts of the drive."""
        if stamp not in self.sent:
            return
        index = self.sent.index(stamp)
        part, within = divmod(index * self._shown / self._frames, 1)
        if part in self._kept or within < 0.5:
            return
        messages = self._waiting.setdefault(stamp, {})
        messages[output] = message
        if len(messages) == len(_KEPT):
            self._kept[int(part)] = (index, messages)
            self._waiting = {}


def _points_and_colors(cloud: PointCloud2) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    points = points_from_cloud(cloud, "depth/points").ravel()
    xyz = np.stack([points[axis] for axis in "xyz"], axis=1).astype(np.float32)
    if "rgb" not in (points.dtype.names or ()):
        return xyz, np.full(xyz.shape, 200, np.uint8)
    packed = np.ascontiguousarray(points["rgb"]).view(np.uint32)
    return xyz, np.stack([packed >> shift & 255 for shift in (16, 8, 0)], axis=1).astype(np.uint8)

"""The demo's own subscriber: when every output arrived, what the nodes say of themselves, and a few frames to show."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_msgs.msg import Header

from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.messages import (
    camera_info_from_camera,
    depth_from_image,
    image_from_array,
    points_from_cloud,
)
from space_clip_ros.tools.arrival_node import QOS, ArrivalNode

OUTPUTS: dict[str, Any] = {
    "depth/image": Image,
    "depth/camera_info": CameraInfo,
    "depth/points": PointCloud2,
    "depth/color": Image,
}

_TRANSPORTS: dict[str, tuple[str, Any]] = {
    "raw": ("image", Image),
    "compressed": ("image/compressed", CompressedImage),
}
_KEPT = ("depth/image", "depth/points")
_DISCOVERY_S = 5.0
_PRIMING_S = 1.5
_PRIMING_TRIES = 40


class DemoRecorder(ArrivalNode):
    """Subscribes to all outputs of ``depth_node``, and keeps a few frames for the report."""

    def __init__(self, frames: int, shown: int, transport: str = "raw") -> None:
        """Subscribe; ``frames`` will be played, and ``shown`` of them are kept."""
        super().__init__("space_clip_demo", OUTPUTS)
        self._frames = frames
        self._shown = shown
        self._image_topic, self._image_type = _TRANSPORTS[transport]
        self._waiting: dict[int, dict[str, Any]] = {}
        self._kept: dict[int, tuple[int, dict[str, Any]]] = {}
        self._state_client: Any = self.create_client(GetState, "depth/get_state")

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
        inputs = {"camera_info": CameraInfo, self._image_topic: self._image_type}
        publishers: list[Any] = [self.create_publisher(kind, topic, QOS) for topic, kind in inputs.items()]
        self.spin(_DISCOVERY_S, lambda: all(publisher.get_subscription_count() for publisher in publishers))
        header = Header(frame_id=frame_id)
        messages = camera_info_from_camera(camera, header), self._image_message(image, header)
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
        self.restart()
        self._waiting, self._kept = {}, {}
        return arrived

    def wired(self, recorded: bool = False) -> bool:
        """Tell whether node and recorder, if there is one, hear images, and evaluator and recorder depth and truth."""
        wanted = {
            self._image_topic: 1 + recorded,
            "camera_info": 2,
            "depth/image": 2 + recorded,
            "ground_truth/image": 1,
        }
        return all(self.count_subscribers(topic) >= count for topic, count in wanted.items())

    def listeners(self) -> int:
        """Return how many hear images, the node among them."""
        return self.count_subscribers(self._image_topic)

    def watched(self) -> bool:
        """Tell whether somebody besides this process looks at coloured depth: the live view does while it is open."""
        return self.count_subscribers("depth/color") > 1

    def everything_arrived(self) -> bool:
        """Tell whether every frame sent so far has arrived on every output."""
        return min(self.arrivals.received().values()) >= len(self.sent)

    def kept(self) -> list[tuple[int, NDArray[np.float32], NDArray[np.float32], NDArray[np.uint8]]]:
        """Return index, (H, W) depth, (N, 3) points and their (N, 3) RGB of the frames kept, in order."""
        return [
            (index, depth_from_image(messages["depth/image"]), *_points_and_colors(messages["depth/points"]))
            for index, messages in sorted(self._kept.values(), key=lambda item: item[0])
        ]

    def on_arrival(self, output: str, stamp: int, message: Any) -> None:
        """Keep it if it belongs to a frame for the report."""
        if output in _KEPT:
            self._keep(output, stamp, message)

    def _image_message(self, image: NDArray[np.uint8], header: Header) -> Any:
        if self._image_type is Image:
            return image_from_array(image, "rgb8", header)
        _, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        message = CompressedImage(header=header, format="png")
        message.data.frombytes(data.tobytes())
        return message

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

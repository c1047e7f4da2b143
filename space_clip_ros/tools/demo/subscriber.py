"""The demo's own subscriber: when every output arrived, the nodes' diagnostics, and a few frames for the report."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, Image, LaserScan, PointCloud2
from std_msgs.msg import Header, String
from visualization_msgs.msg import MarkerArray

from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.color import Rgb
from space_clip_ros.messages import (
    camera_info_from_camera,
    compressed_from_array,
    depth_from_image,
    image_from_array,
    points_from_cloud,
    stamp_ns,
)
from space_clip_ros.messages.diagnostics import DepthValues
from space_clip_ros.messages.laser_scans import scan_from_laser_scan
from space_clip_ros.messages.semantics import boxes_from_markers
from space_clip_ros.messages.types import message_class
from space_clip_ros.tools.arrival_node import QOS, ArrivalNode
from space_clip_ros.tools.demo.report import KeptFrame
from space_clip_ros.tools.demo.sources import IMAGE_TOPICS

OUTPUTS: dict[str, Any] = {
    "depth/image": Image,
    "depth/camera_info": CameraInfo,
    "depth/points": PointCloud2,
    "depth/color": Image,
}

_DEPTH, _POINTS, _SCAN, _UNCERTAINTY = "depth/image", "depth/points", "depth/scan", "depth/uncertainty"
_MARKERS, _QUERY = "semantic/markers", "semantic/query"
_KEPT = (_DEPTH, _POINTS)
_RECENT = 8
"""Number of newest messages of an optional output that are held until their frame is complete."""
_DISCOVERY_S = 5.0
_WARM_UP_S = 1.5
_WARM_UP_TRIES = 40
_GREY = 200


class DemoSubscriber(ArrivalNode):
    """Subscribes to all outputs of ``depth_node``, and keeps a few frames for the report.

    Args:
        frames: number of frames that will be played.
        shown: number of them to keep, spread over the source.
        transport: ``raw`` or ``compressed`` images.
    """

    def __init__(self, frames: int, shown: int, transport: str = "raw") -> None:
        """Subscribe."""
        super().__init__("space_clip_demo", OUTPUTS)
        self._frames = frames
        self._shown = shown
        self._transport = transport
        self._image_topic, self._image_type = IMAGE_TOPICS[transport]
        self._incomplete: dict[int, dict[str, Any]] = {}
        self._kept: dict[int, tuple[int, dict[str, Any]]] = {}
        self._kept_by_stamp: dict[int, dict[str, Any]] = {}
        self._extras: dict[str, dict[int, Any]] = {}
        # A picture without ground has no scan.
        self._add_extra(_SCAN, LaserScan)
        self._state_client: Any = self.create_client(GetState, "depth/get_state")

    def node_is_active(self) -> bool:
        """Return whether ``depth_node`` is active; asks for its lifecycle state, which takes at most about a second."""
        if not self._state_client.wait_for_service(timeout_sec=0.2):
            return False
        answer = self._state_client.call_async(GetState.Request())
        self.spin(1.0, answer.done)
        if not answer.done():
            self._state_client.remove_pending_request(answer)
            return False
        return bool(answer.result().current_state.id == State.PRIMARY_STATE_ACTIVE)

    def add_uncertainty(self) -> None:
        """Subscribe to uncertainty too; for a model that gives it."""
        self._add_extra(_UNCERTAINTY, Image)

    def ask(self, names: Sequence[str]) -> bool:
        """Query the node for names, and subscribe to the objects found; return whether it accepted the query.

        Args:
            names: names from the model's closed list.
        """
        self._add_extra(_MARKERS, MarkerArray)
        publisher = self.create_publisher(String, _QUERY, QOS)
        question = String(data=", ".join(names))
        self.spin(_DISCOVERY_S, lambda: publisher.get_subscription_count() > 0)
        publisher.publish(question)
        taken = self.spin(_DISCOVERY_S, lambda: self.values(DepthValues).queries == question.data)
        self.destroy_publisher(publisher)
        return taken

    def warm_up(self, image: Rgb, camera: PinholeCamera, frame_id: str) -> bool:
        """Send the node one image, and wait for its outputs; return whether they came.

        Engines finish loading at the first image of a size, and no played frame should wait for that. None of this
        counts in the results.

        Args:
            image: (H, W, 3) uint8 RGB, of the source's size.
            camera: its camera.
            frame_id: its frame.
        """
        inputs = {"camera_info": CameraInfo, self._image_topic: message_class(self._image_type)}
        publishers: list[Any] = [self.create_publisher(kind, topic, QOS) for topic, kind in inputs.items()]
        self.spin(_DISCOVERY_S, lambda: all(publisher.get_subscription_count() for publisher in publishers))
        header = Header(frame_id=frame_id)
        messages = camera_info_from_camera(camera, header), self._image_message(image, header)
        arrived = False
        for _ in range(_WARM_UP_TRIES):
            # Sent repeatedly, because the node reads images with best effort and may just have found this publisher.
            header.stamp = self.get_clock().now().to_msg()
            for publisher, message in zip(publishers, messages, strict=True):
                publisher.publish(message)
            arrived = self.spin(_WARM_UP_S, lambda: bool(self.arrivals.complete()))
            if arrived:
                break
        for publisher in publishers:
            self.destroy_publisher(publisher)
        self.restart()
        self._incomplete, self._kept, self._kept_by_stamp = {}, {}, {}
        self._extras = {topic: {} for topic in self._extras}
        return arrived

    def is_connected(self, recorded: bool = False) -> bool:
        """Return whether every process has found the topics it subscribes to; ``recorded`` if there is a recorder."""
        wanted = {
            self._image_topic: 1 + recorded,
            "camera_info": 2,
            "depth/image": 2 + recorded,
            "ground_truth/image": 1,
        }
        return all(self.count_subscribers(topic) >= count for topic, count in wanted.items())

    def image_subscribers(self) -> int:
        """Return how many subscribers the images have, the node among them."""
        return self.count_subscribers(self._image_topic)

    def is_watched(self) -> bool:
        """Return whether anybody else subscribes to coloured depth, as the live view does while its page is open."""
        return self.count_subscribers("depth/color") > 1

    def everything_arrived(self) -> bool:
        """Return whether every frame sent so far has arrived on every output."""
        return min(self.arrivals.received().values()) >= len(self.sent)

    def kept(self, unseen: int = 0) -> list[KeptFrame]:
        """Return the frames kept for the report, in order.

        Args:
            unseen: frames that were sent before the first one seen here, as on a busy machine, where the player may
                be found late.
        """
        kept = sorted(self._kept.values(), key=_first)
        last = self._frames - 1
        return [self._kept_frame(min(index + unseen, last), messages) for index, messages in kept]

    def _kept_frame(self, index: int, messages: dict[str, Any]) -> KeptFrame:
        scan, uncertainty, markers = (messages.get(topic) for topic in (_SCAN, _UNCERTAINTY, _MARKERS))
        return KeptFrame(
            index,
            depth_from_image(messages[_DEPTH]),
            *_points_and_colors(messages[_POINTS]),
            None if scan is None else scan_from_laser_scan(scan),
            None if uncertainty is None else depth_from_image(uncertainty, _UNCERTAINTY),
            None if markers is None else boxes_from_markers(markers),
        )

    def _add_extra(self, topic: str, kind: Any) -> None:
        """Subscribe to an optional output; a frame is complete without it."""
        self._extras[topic] = {}
        self.create_subscription(kind, topic, functools.partial(self._on_extra, topic), QOS)

    def _on_extra(self, topic: str, message: Any) -> None:
        stamp, recent = stamp_ns(message.markers[0] if topic == _MARKERS else message), self._extras[topic]
        kept = self._kept_by_stamp.get(stamp)
        if kept is not None:
            kept[topic] = message
            return
        recent[stamp] = message
        while len(recent) > _RECENT:
            del recent[next(iter(recent))]

    def on_arrival(self, output: str, stamp: int, message: Any) -> None:
        """Keep the output if it belongs to a frame for the report."""
        if output in _KEPT:
            self._keep(output, stamp, message)

    def _image_message(self, image: Rgb, header: Header) -> Any:
        if self._transport == "compressed":
            return compressed_from_array(image, "png", header)
        return image_from_array(image, "rgb8", header)

    def _keep(self, output: str, stamp: int, message: Any) -> None:
        """Keep the first complete frame in the second half of each of ``shown`` equal stretches of the source."""
        if stamp not in self.sent:
            return
        index = self.sent.index(stamp)
        stretch, within = divmod(index * self._shown / self._frames, 1)
        if stretch in self._kept or within < 0.5:
            return
        messages = self._incomplete.setdefault(stamp, {})
        messages[output] = message
        if len(messages) == len(_KEPT):
            messages |= {topic: recent[stamp] for topic, recent in self._extras.items() if stamp in recent}
            self._kept[int(stretch)] = (index, messages)
            self._kept_by_stamp[stamp] = messages
            self._incomplete = {}


def _first(item: tuple[int, Any]) -> int:
    return item[0]


def _points_and_colors(cloud: PointCloud2) -> tuple[NDArray[np.float32], Rgb]:
    points = points_from_cloud(cloud, "depth/points").ravel()
    xyz = np.stack([points[axis] for axis in "xyz"], axis=1).astype(np.float32)
    if "rgb" not in (points.dtype.names or ()):
        return xyz, np.full(xyz.shape, _GREY, np.uint8)
    packed = np.ascontiguousarray(points["rgb"]).view(np.uint32)
    return xyz, np.stack([packed >> shift & 255 for shift in (16, 8, 0)], axis=1).astype(np.uint8)

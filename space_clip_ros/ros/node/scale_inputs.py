"""What one camera of the node needs to find its metric scale: sensors' topics, the mount, and the filter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import PointCloud2, Range

from space_clip_ros.config import NodeConfig, ScaleConfig
from space_clip_ros.errors import InputError
from space_clip_ros.geometry.rigid import Matrix, pose_from_angles
from space_clip_ros.messages import nanoseconds, stamp_ns, xyz_from_cloud
from space_clip_ros.perception.camera_mount import CameraMount, configured_mount
from space_clip_ros.perception.frame import ScaleRequest
from space_clip_ros.perception.scale import TOGETHER_S, FrameEvidence, Measured, MetricScale
from space_clip_ros.perception.scale_evidence import MeasuredCone, MeasuredPoints
from space_clip_ros.ros.common.qos import best_effort, subscribe
from space_clip_ros.ros.common.throttled_log import ThrottledLog
from space_clip_ros.ros.node.transforms import Transforms

_MOST_POINTS = 20_000


class ScaleInputs:
    """Subscribes to what ``scale.mode`` asks for, and makes the scale's part of a request.

    Args:
        node: the node whose topics they are.
        prefix: what goes before the topics.
        settings: returns the current parameters.
        log: where faults are logged.
        transforms: the node's.
    """

    def __init__(
        self,
        node: LifecycleNode,
        prefix: str,
        settings: Callable[[], NodeConfig],
        log: ThrottledLog,
        transforms: Transforms,
    ) -> None:
        """Keep the arguments; :meth:`start` subscribes."""
        self._node = node
        self._points_topic, self._range_topic = f"{prefix}scale/points", f"{prefix}scale/range"
        self._settings = settings
        self._log = log
        self._transforms = transforms
        self._subscriptions: list[Any] = []
        self._started = False
        self._scale: MetricScale | None = None
        # The newest message of each topic, until an image takes it. One assignment each, so no lock is needed.
        self._points: Any = None
        self._range: Any = None
        self._heard = False

    def start(self) -> None:
        """Subscribe to what is needed now."""
        self._started = True
        self.follow()

    def stop(self) -> None:
        """Unsubscribe and forget the scale."""
        self._started = False
        self.follow()
        self._scale = None

    def follow(self) -> None:
        """Subscribe or unsubscribe as the parameters ask; called in the executor's thread."""
        settings, scan_frame = self._settings().scale, self._settings().scan.frame_id
        ranges = self._started and settings.wants_ranges
        if ranges and not self._subscriptions:
            self._subscribe(PointCloud2, self._points_topic, self._on_points)
            self._subscribe(Range, self._range_topic, self._on_range)
        while self._subscriptions and not ranges:
            self._node.destroy_subscription(self._subscriptions.pop())
            self._points = self._range = None
            self._heard = False
        if self._started and _needs_transforms(settings, scan_frame):
            self._transforms.start()

    def request(self, header: Any) -> ScaleRequest | None:
        """Return how to find the scale of an image; None where ``scale.mode`` is none. In the worker's thread.

        Args:
            header: the image's.
        """
        settings = self._settings().scale
        if settings.mode == "none":
            self._scale = None
            return None
        # A local name, as stop() may set self._scale to None while this runs.
        scale = self._scale = self._scale or MetricScale()
        stamp = nanoseconds(header.stamp) / 1e9 or self._node.get_clock().now().nanoseconds / 1e9
        known = FrameEvidence(
            stamp,
            settings.max_rate,
            self._mount(settings, header.frame_id) if settings.wants_height else None,
            self._measured(settings, header.frame_id, stamp) if settings.wants_ranges else None,
        )
        return ScaleRequest(scale, known)

    def _mount(self, settings: ScaleConfig, frame_id: str) -> CameraMount | str:
        scan_frame = self._settings().scan.frame_id
        configured = configured_mount(settings, self._transforms.pose(scan_frame, frame_id) if scan_frame else None)
        if configured.height_m:
            return configured
        if not settings.ground_frame:
            return "scale.camera_height is 0 and scale.ground_frame is empty"
        pose = self._transforms.pose(settings.ground_frame, frame_id)
        if isinstance(pose, str):
            return f"{pose}; set scale.camera_height"
        if pose[2, 3] <= 0:
            return f"TF has {frame_id!r} {pose[2, 3]:.2f} m above {settings.ground_frame!r}"
        return CameraMount.from_pose(pose)

    def _measured(self, settings: ScaleConfig, frame_id: str, stamp: float) -> tuple[Measured, ...] | str:
        measurements: list[Measured] = []
        problems = []
        for message, topic, convert in (
            (self._points, self._points_topic, self._converted_points),
            (self._range, self._range_topic, _converted_range),
        ):
            if message is None:
                continue
            apart = stamp_ns(message) / 1e9 - stamp
            if stamp_ns(message) and abs(apart) > TOGETHER_S:
                problems.append(f"the newest {topic} is {apart:+.2f} s from the image")
                continue
            pose = self._pose(settings, frame_id, message.header.frame_id)
            if isinstance(pose, str):
                problems.append(f"{pose}; set scale.extrinsics")
                continue
            self._forget(message)
            try:
                measurements.append(convert(message, pose))
            except InputError as error:
                problems.append(str(error))
                self._log.warning("scale", str(error))
        if measurements:
            return tuple(measurements)
        if problems:
            return "; ".join(problems)
        nothing = "nothing new" if self._heard else "nothing"
        return f"{nothing} has come on {self._points_topic} or {self._range_topic}"

    def _pose(self, settings: ScaleConfig, camera_frame: str, sensor_frame: str) -> Matrix | str:
        if settings.extrinsics:
            return pose_from_angles(settings.extrinsics)
        return self._transforms.pose(camera_frame, sensor_frame)

    def _forget(self, message: Any) -> None:
        """Use no measurement twice, unless a newer one has come already."""
        if self._points is message:
            self._points = None
        if self._range is message:
            self._range = None

    def _converted_points(self, message: Any, pose: Matrix) -> MeasuredPoints:
        return MeasuredPoints(xyz_from_cloud(message, self._points_topic, _MOST_POINTS), pose)

    def _on_points(self, message: Any) -> None:
        self._points, self._heard = message, True

    def _on_range(self, message: Any) -> None:
        self._range, self._heard = message, True

    def _subscribe(self, kind: type, topic: str, callback: Callable[[Any], None]) -> None:
        self._subscriptions.append(subscribe(self._node, kind, topic, callback, best_effort(depth=1), self._log))


def _needs_transforms(settings: ScaleConfig, scan_frame: str) -> bool:
    height = settings.wants_height and bool(scan_frame if settings.camera_height else settings.ground_frame)
    return height or (settings.wants_ranges and not settings.extrinsics)


def _converted_range(message: Any, pose: Matrix) -> MeasuredCone:
    limits = float(message.min_range), float(message.max_range)
    return MeasuredCone(float(message.range), limits, float(message.field_of_view), pose)

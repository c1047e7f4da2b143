"""One camera of the node: its subscriptions, its calibration, its publishers and its numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from space_clip_ros.config import NodeConfig
from space_clip_ros.errors import InputError, describe
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.depth import LARGEST_M
from space_clip_ros.geometry.image_file import ALMOST_BLACK
from space_clip_ros.geometry.rigid import Matrix
from space_clip_ros.messages import calibration_from_info, compressed_to_rgb, image_to_rgb, nanoseconds, stamp_ns
from space_clip_ros.messages.color_images import UNORDERED
from space_clip_ros.messages.diagnostics import Drop
from space_clip_ros.messages.outputs import CAMERA_INFO, LABEL_INFO
from space_clip_ros.messages.semantics import LabelNames
from space_clip_ros.perception.calibration import CalibrationStore, RectifiedView
from space_clip_ros.perception.core import DepthCore, made_outputs
from space_clip_ros.perception.frame import DepthFrame, DepthRequest
from space_clip_ros.perception.ground import GroundTracker
from space_clip_ros.perception.obstacle_notes import obstacle_notes
from space_clip_ros.perception.outputs import (
    Available,
    makeable,
    need_camera,
    need_queries,
    use_ground,
    without_features,
    without_uncertainty,
)
from space_clip_ros.perception.stopwatch import Stopwatch
from space_clip_ros.ros.common.qos import best_effort, reliable, subscribe
from space_clip_ros.ros.common.throttled_log import ThrottledLog
from space_clip_ros.ros.node.camera_notes import CameraNotes
from space_clip_ros.ros.node.level_frame import LevelFrame
from space_clip_ros.ros.node.publishers import Publishers
from space_clip_ros.ros.node.queries import NOTHING_ASKED, Queries
from space_clip_ros.ros.node.scale_inputs import ScaleInputs
from space_clip_ros.ros.node.scheduler import Scheduler
from space_clip_ros.ros.node.statistics import Statistics
from space_clip_ros.ros.node.topics import image_topic
from space_clip_ros.ros.node.transforms import Transforms

_FUTURE_S = 0.5

_LARGEST_WARM_UP = 16_000_000
"""Pixels of the largest image to warm up for. A camera_info costs its sender nothing, so its size is not trusted."""


@dataclass(frozen=True)
class WarmUp:
    """Asks the worker to warm the model up before the first image arrives.

    Attributes:
        height: of the images to come, pixels.
        width: of the images to come, pixels.
    """

    height: int
    width: int


Job: TypeAlias = "tuple[Camera, Any]"
"""A camera, and its image message or a :class:`WarmUp`."""


class Camera:
    """Subscribes to one camera, turns its messages into requests, and publishes what is made of them.

    Args:
        node: the node whose topics they are.
        name: the camera's name, which goes before its topics; empty for the only one.
        settings: returns the current parameters.
        statistics: the camera's numbers.
        log: where faults are logged.
        scheduler: takes each message.
        core: what turns the messages' images into depth.
        transforms: the node's.
        queries: what the node looks for by name.

    Attributes:
        name: as given.
        statistics: as given.
        image_topic: resolved name of the image topic.
        image_qos: the image subscription's profile, overrides included.
        calibrations: the newest camera_info of each frame.
        publishers: the outputs.
        notes: what is known about the newest image, for the diagnostics.
        ready: whether the next image is answered without delay: the model is warmed up for its size.
    """

    def __init__(
        self,
        node: LifecycleNode,
        name: str,
        settings: Callable[[], NodeConfig],
        statistics: Statistics,
        log: ThrottledLog,
        scheduler: Scheduler[Job],
        core: DepthCore,
        transforms: Transforms,
        queries: Queries,
    ) -> None:
        """Create the publishers; :meth:`start` subscribes."""
        self._node = node
        self.name = name
        self._settings = settings
        self.statistics = statistics
        self._log = log
        self._scheduler = scheduler
        self._core = core
        self._transforms = transforms
        self._queries = queries
        self._level_frame = LevelFrame(node, log)
        self._prefix = f"{name}/" if name else ""
        self._compressed = settings().image_transport == "compressed"
        self.image_topic = image_topic(node, name, settings().image_transport)
        self.image_qos = best_effort(depth=1)
        self.calibrations = CalibrationStore(node.resolve_topic_name(f"{self._prefix}camera_info"))
        self.publishers = Publishers(node, self._prefix, log)
        self.notes = CameraNotes()
        self._tracker = GroundTracker()
        self._scale_inputs = ScaleInputs(node, self._prefix, settings, log, transforms)
        self.ready = False
        self._subscriptions: list[Any] = []
        self._warmed_up = False
        self._noted = ""
        self._looking = False
        self._latched = False

    def start(self) -> None:
        """Subscribe."""
        self.stop()
        self._warmed_up = self.ready = False
        self._tracker.reset()
        self._subscribe(CameraInfo, f"{self._prefix}camera_info", self._on_info, best_effort(depth=5))
        self.image_qos = best_effort(depth=1)
        if self._compressed:
            kind, topic = CompressedImage, self.image_topic
        else:
            kind, topic = Image, f"{self._prefix}image"
        self._subscribe(kind, topic, self._on_image, self.image_qos, self.statistics.lose)
        self._scale_inputs.start()

    def follow_parameters(self) -> None:
        """Subscribe and unsubscribe to follow changed parameters."""
        self._scale_inputs.follow()

    def hear_latched_info(self) -> None:
        """Subscribe to a camera_info that is published once and latched, where there is such a publisher.

        A volatile subscription misses what was published before it, and one that asks for latched messages makes other
        publishers warn, so the second one is made only when it is needed.
        """
        topic = f"{self._prefix}camera_info"
        if self._latched or not self._subscriptions:
            return
        publishers = self._node.get_publishers_info_by_topic(self._node.resolve_topic_name(topic))
        if any(publisher.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL for publisher in publishers):
            self._latched = True
            qos = reliable(depth=1, latched=True)
            self._subscriptions.append(self._node.create_subscription(CameraInfo, topic, self._on_info, qos))

    def stop(self) -> None:
        """Unsubscribe."""
        self._latched = False
        self._scale_inputs.stop()
        while self._subscriptions:
            self._node.destroy_subscription(self._subscriptions.pop())

    def destroy(self) -> None:
        """Destroy the publishers; the camera must be stopped and the scheduler too."""
        self.publishers.destroy()
        self._level_frame.destroy()

    def request(self, message: Any) -> DepthRequest | None:
        """Turn an ``Image`` or ``CompressedImage`` into a request; None if nobody wants its depth.

        Raises:
            InputError: the message is broken or holds no picture.
        """
        wanted = self.publishers.wanted()
        if not wanted:
            return None
        watch, settings = Stopwatch(), self._settings()
        convert = compressed_to_rgb if self._compressed else image_to_rgb
        rgb = convert(message, self.image_topic)
        watch.lap("convert")
        if not self._compressed and message.encoding in UNORDERED:
            self._log.once(
                "channels",
                f"{self.image_topic}: {message.encoding} does not say in which order its "
                "channels are; they are taken as BGR, OpenCV's order (bgr8 and rgb8 say it)",
            )
        if not self._compressed and message.encoding.endswith("16") and rgb.max() < ALMOST_BLACK:
            self._log.once(
                "dark",
                f"{self.image_topic}: {message.encoding} is almost black, brightest value {rgb.max()} of 255 after "
                "conversion to 8 bits; a camera with 10 or 12 bits must spread them over all 16",
            )
        height, width = rgb.shape[:2]
        view = self.calibrations.view(message.header.frame_id, width, height, settings.rectify)
        self._explain(view, wanted, settings)
        if settings.depth_encoding == "16UC1" and settings.max_depth > LARGEST_M["mm"]:
            self._log.once(
                "16UC1",
                f"depth_encoding 16UC1 cannot hold more than {LARGEST_M['mm']:g} m, max_depth is "
                f"{settings.max_depth:g} m: depth in between is invalid in depth/image",
            )
        if lost := without_uncertainty(wanted, settings, self._core.info):
            self._log.once(lost, lost)
        queries = self._queries.current
        if queries is None and self._looking:
            # Otherwise RViz would keep showing the last boxes.
            self.publishers.publish("markers", [], message.header)
        self._looking = queries is not None
        self._explain_semantics(wanted, settings)
        outputs = makeable(wanted, Available.of(self._core.info, view.camera is not None, queries is not None))
        if not outputs:
            # Only the camera may be wanted, which needs no depth.
            self._publish_camera(self._core.camera(view, settings), message.header)
            if view.camera is not None and CAMERA_INFO in wanted:
                self.statistics.publish(self._age_ms(message.header.stamp), watch.stages_ms)
            elif self.notes.semantic_problem:
                self.statistics.note(self.notes.semantic_problem)
            return None
        header = message.header
        return DepthRequest(
            rgb,
            view,
            settings,
            outputs,
            self.publishers.messages.allocate,
            watch,
            scale=self._scale_inputs.request(header),
            stamp_s=stamp_ns(message) / 1e9 or None,
            ground=self._tracker,
            scan_pose=self._scan_pose(settings.scan.frame_id, header) if use_ground(outputs) else None,
            queries=queries,
        )

    def publish(self, header: Any, frame: DepthFrame) -> None:
        """Publish a frame's outputs, each as soon as it is made."""
        self._explain_scale(frame)
        self.notes.scale = frame.scale
        self.ready = True
        self._publish_camera(frame.camera, header)
        watch, published = frame.request.watch, False
        for name, value in made_outputs(frame):
            if name == "scan" and not value.frame_id:
                if not header.frame_id:
                    frame.left_out[name] = "its frame is named after the images' frame_id, which is empty"
                    continue
                self._level_frame.publish(value, header)
            self.publishers.publish(name, value, header)
            watch.lap(self.publishers.topic(name))
            published = True
        self._explain_obstacles(frame)
        if published:
            self.statistics.publish(self._age_ms(header.stamp), watch.stages_ms)
        else:
            self.statistics.drop(Drop.LEFT_OUT)

    def name_labels(self) -> None:
        """Publish what the labels' numbers mean, for those who subscribe now or later."""
        queries = self._queries.current
        if queries is None:
            return
        header = Header(stamp=self._node.get_clock().now().to_msg())
        self.publishers.publish(LABEL_INFO, LabelNames(queries.names, self._settings().semantic.threshold), header)
        if missing := self.publishers.missing:
            topics = " and ".join(map(self.publishers.topic, missing))
            self.notes.missing = f"{topics} left out: {next(iter(missing.values()))}; the other outputs are published"
            self._log.once("missing", self.notes.missing)

    def lose(self, error: Exception) -> None:
        """Count and log an image that gave no depth."""
        if isinstance(error, InputError):
            self.statistics.drop(Drop.BAD_IMAGE, str(error))
            self._log.warning("bad image", f"image left out: {error}")
        else:
            text = describe(error)
            self.statistics.drop(Drop.FAILED, text)
            self._log.error("failed", f"frame left out: {text}")

    def _publish_camera(self, camera: PinholeCamera | None, header: Any) -> None:
        if camera is not None and CAMERA_INFO in self.publishers.wanted():
            self.publishers.publish(CAMERA_INFO, camera, header)

    def _scan_pose(self, frame_id: str, header: Any) -> Matrix | str | None:
        """Return the camera's pose in the scan's frame or why it is not known; None for a frame of its own."""
        return self._transforms.pose(frame_id, header.frame_id) if frame_id else None

    def _explain_obstacles(self, frame: DepthFrame) -> None:
        """Keep the ground, and log which outputs were left out and why."""
        if use_ground(frame.request.outputs):
            self.notes.ground = frame.ground
            notes = dict(obstacle_notes(frame))
            self.notes.obstacles = "; ".join(notes.values())
            for key, note in notes.items():
                self._log.once(f"obstacles {key}", note)
        for name, reason in frame.left_out.items():
            text = f"{self.publishers.topic(name)} left out: {reason}"
            self.statistics.note(text)
            self._log.warning(f"left out {name}", text)

    def _explain(self, view: RectifiedView, wanted: tuple[str, ...], settings: NodeConfig) -> None:
        """Log what is wrong with the calibration or was assumed about it.

        Missing intrinsics are not reported as long as no subscribed output needs them.
        """
        self.notes.rectification = view.rectification
        if view.note and view.note != self._noted:
            self._noted = view.note
            self._log.warning("calibration", view.note)
        if not view.problem:
            return
        if need_camera(wanted) or settings.focal_scaling == "always" or self.calibrations.frames:
            self.statistics.note(view.problem, no_camera_info=not self.calibrations.frames)
            self._log.warning("camera_info", view.consequence)

    def _explain_semantics(self, wanted: tuple[str, ...], settings: NodeConfig) -> None:
        """Log and keep why outputs of language that somebody subscribes to are not made.

        It is no fault of the node: recorders and RViz subscribe to whatever there is.
        """
        problem = without_features(wanted, self._core.info)
        if not problem and self._queries.current is None and need_queries(wanted):
            problem = self._queries.problem or NOTHING_ASKED
        if problem and problem not in (self.notes.semantic_problem, self._queries.problem):
            self._log.warning("semantics", problem)
        self.notes.semantic_problem = problem
        if settings.points.dense and need_queries(wanted) and "points" in wanted:
            self._log.once("dense", "points.dense leaves points out, so semantic/labels do not lie on depth/points")

    def _explain_scale(self, frame: DepthFrame) -> None:
        """Log what is done about the scale: with the first image, and when it changes."""
        self.notes.focal, self.notes.estimate = frame.focal, frame.estimate
        focal = frame.focal
        if frame.estimate is not None and frame.estimate.age_s is None:
            self._log.once("scale", f"no evidence for the scale yet: {frame.estimate.problem}")
        if frame.estimate is not None and frame.estimate.gave_in:
            self.statistics.note(frame.estimate.gave_in)
            self._log.warning("scale gave in", frame.estimate.gave_in)
        elif frame.estimate is not None and frame.estimate.doubt:
            self.statistics.note(frame.estimate.doubt)
            self._log.once("scale in doubt", frame.estimate.doubt)
        if focal.problem:
            if not frame.request.view.problem:
                self.statistics.note(focal.problem)
            self._log.warning("focal_scaling", focal.problem)
        else:
            height, width = frame.rgb.shape[:2]
            self._log.info("camera", f"images of {width}x{height} pixels on {self.image_topic}: {focal.text}")

    def _subscribe(
        self,
        kind: type,
        topic: str,
        callback: Callable[[Any], None],
        qos: QoSProfile,
        lost: Callable[[int], None] | None = None,
    ) -> None:
        self._subscriptions.append(subscribe(self._node, kind, topic, callback, qos, self._log, lost))

    def _on_info(self, info: Any) -> None:
        calibration = calibration_from_info(info)
        self.calibrations.update(info.header.frame_id, calibration)
        if self._warmed_up:
            return
        # Once: later changes soon show in the images.
        self._warmed_up = True
        try:
            image = calibration.delivered()
        except InputError:
            image = None
        if image is not None and image.height * image.width <= _LARGEST_WARM_UP:
            # A slot of its own, so that it replaces no image; names of cameras have no blanks.
            self._scheduler.put((self, WarmUp(image.height, image.width)), f"{self.name} warm-up")
        else:
            self.ready = True

    def _on_image(self, message: Any) -> None:
        self.statistics.receive()
        if self._too_old(message.header.stamp):
            return
        self._prepare_transforms()
        if self._scheduler.put((self, message), self.name):
            self.statistics.drop(Drop.REPLACED)

    def _prepare_transforms(self) -> None:
        """Read or publish transforms once a scan is wanted; here, as only the executor's thread may begin that."""
        wanted, frame_id = self.publishers.wanted(), self._settings().scan.frame_id
        if frame_id and use_ground(wanted):
            self._transforms.start()
        elif "scan" in wanted:
            self._level_frame.advertise()

    def _too_old(self, stamp: Any) -> bool:
        """Check an image's age against ``max_age``; count, note and log what is wrong with it."""
        age_ms, max_age = self._age_ms(stamp), self._settings().max_age
        if age_ms is None or not max_age:
            return False
        if age_ms > max_age * 1e3:
            text = f"image is {age_ms / 1e3:.2f} s old on arrival, max_age is {max_age:g} s; is use_sim_time right?"
            self.statistics.drop(Drop.TOO_OLD, text)
            self._log.warning("too old", text)
            return True
        if age_ms < -_FUTURE_S * 1e3:
            text = f"image is stamped {-age_ms / 1e3:.2f} s in the future; check the clocks (ntp, use_sim_time)"
            self.statistics.note(text)
            self._log.warning("future", f"{text}; it is used anyway")
        return False

    def _age_ms(self, stamp: Any) -> float | None:
        """Return an image's age, milliseconds; None where its stamp or this node's clock is not set."""
        now_ns: int = self._node.get_clock().now().nanoseconds
        taken_ns = nanoseconds(stamp)
        return (now_ns - taken_ns) / 1e6 if now_ns and taken_ns else None

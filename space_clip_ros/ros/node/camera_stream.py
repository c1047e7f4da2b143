"""One camera of the node: its topics in and out, its calibration and its numbers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from space_clip_ros.config import NodeConfig
from space_clip_ros.errors import InputError, describe
from space_clip_ros.inference.backend import ModelInfo
from space_clip_ros.messages import compressed_to_rgb, image_to_rgb
from space_clip_ros.perception.calibration import Calibration, image_size
from space_clip_ros.perception.pipeline import Pipeline
from space_clip_ros.ros.common.qos import qos_overrides, subscription_events, with_events
from space_clip_ros.ros.common.throttled_log import ThrottledLog
from space_clip_ros.ros.node.outputs import NodeOutputs
from space_clip_ros.ros.node.statistics import Statistics

_FUTURE_S = 0.5

_LARGEST_WARM_UP = 16_000_000
"""Pixels of the largest image that is prepared for on the word of a camera_info, which costs its sender nothing."""


@dataclass(frozen=True)
class WarmUp:
    """Word of images to come: the model is to do the work that their first costs.

    Attributes:
        height: pixels.
        width: pixels.
    """

    height: int
    width: int


Put = Callable[["CameraStream", Any], bool]
"""Hands an image message or a WarmUp to the worker; tells whether an older one was thrown away for it."""


class CameraStream:
    """Receives one camera's images and hands the newest to the worker.

    Args:
        node: whose topics they are.
        name: the camera's name, which goes before its topics; empty for the only one.
        model: the model's facts.
        settings: returns the parameters of the moment.
        statistics: the stream's numbers.
        log: where faults are said.
        put: takes each image message.

    Attributes:
        image_qos: the image subscription's profile, overrides included, once it is there.
    """

    def __init__(
        self,
        node: LifecycleNode,
        name: str,
        model: ModelInfo,
        settings: Callable[[], NodeConfig],
        statistics: Statistics,
        log: ThrottledLog,
        put: Put,
    ) -> None:
        """Create the publishers; :meth:`start` subscribes."""
        self._node = node
        self.name = name
        self._settings = settings
        self.statistics = statistics
        self._log = log
        self._put = put
        self._prefix = f"{name}/" if name else ""
        self._compressed = settings().image_transport == "compressed"
        self.image_topic = image_topic(node, name, settings().image_transport)
        self.image_qos = _any_publisher(depth=1)
        self.calibration = Calibration(node.resolve_topic_name(f"{self._prefix}camera_info"))
        self.outputs = NodeOutputs(node, self._prefix, log)
        self.pipeline = Pipeline(
            model,
            self.calibration,
            self.outputs,
            statistics,
            log,
            settings,
            self._age_ms,
            compressed_to_rgb if self._compressed else image_to_rgb,
            self.image_topic,
        )
        self._subscriptions: list[Any] = []
        self._announced = False

    def start(self) -> None:
        """Subscribe."""
        self.stop()
        self._announced = False
        self._subscribe(CameraInfo, f"{self._prefix}camera_info", self._on_info, _any_publisher(depth=5))
        self.image_qos = _any_publisher(depth=1)
        if self._compressed:
            self._subscribe(CompressedImage, self.image_topic, self._on_image, self.image_qos)
        else:
            self._subscribe(Image, f"{self._prefix}image", self._on_image, self.image_qos)

    def stop(self) -> None:
        """Unsubscribe."""
        while self._subscriptions:
            self._node.destroy_subscription(self._subscriptions.pop())

    def destroy(self) -> None:
        """Take the publishers back; the stream must be stopped and the worker too."""
        self.outputs.destroy()

    @contextlib.contextmanager
    def faults_cost_a_frame(self) -> Iterator[None]:
        """Count and say whatever goes wrong inside, and go on."""
        try:
            yield
        except InputError as error:
            self.statistics.drop("bad image", str(error))
            self._log.warning("bad image", f"image left out: {error}")
        except Exception as error:
            text = describe(error)
            self.statistics.drop("failed", text)
            self._log.error("failed", f"frame left out: {text}")

    def _subscribe(self, kind: type, topic: str, callback: Callable[[Any], None], qos: QoSProfile) -> None:
        self._subscriptions.append(
            with_events(
                lambda callbacks: self._node.create_subscription(
                    kind, topic, callback, qos, event_callbacks=callbacks, qos_overriding_options=qos_overrides()
                ),
                subscription_events(self._node, topic, qos, self._log),
            )
        )

    def _on_info(self, info: Any) -> None:
        self.calibration.update(info)
        if self._announced:
            return
        # Once: what a camera_info says later is seen in the images soon enough.
        self._announced = True
        size = image_size(info)
        if size is not None and size[0] * size[1] <= _LARGEST_WARM_UP:
            self._put(self, WarmUp(*size))

    def _on_image(self, message: Any) -> None:
        self.statistics.receive()
        age_ms = self._age_ms(message.header.stamp)
        max_age = self._settings().max_age
        if max_age and age_ms > max_age * 1e3:
            text = f"image is {age_ms / 1e3:.2f} s old on arrival, max_age is {max_age:g} s; is use_sim_time right?"
            self.statistics.drop("too old", text)
            self._log.warning("too old", text)
            return
        if max_age and age_ms < -_FUTURE_S * 1e3:
            text = f"image is stamped {-age_ms / 1e3:.2f} s in the future; check the clocks (ntp, use_sim_time)"
            self.statistics.note(text)
            self._log.warning("future", f"{text}; it is used all the same")
        if self._put(self, message):
            self.statistics.drop("replaced by a newer one")

    def _age_ms(self, stamp: Any) -> float:
        now_ns: int = self._node.get_clock().now().nanoseconds
        stamp_ns = int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)
        return (now_ns - stamp_ns) / 1e6


def image_topic(node: LifecycleNode, camera: str, transport: str) -> str:
    """Return the resolved input topic; as in image_transport, remapping ``image`` moves ``image/compressed`` too."""
    base = str(node.resolve_topic_name(f"{camera}/image" if camera else "image"))
    return f"{base}/compressed" if transport == "compressed" else base


def _any_publisher(depth: int) -> QoSProfile:
    # Best effort and volatile asks for nothing, so every publisher matches.
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.VOLATILE,
    )

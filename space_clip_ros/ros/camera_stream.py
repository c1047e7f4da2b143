"""One camera of the node: its topics in and out, its calibration and its numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from space_clip_ros.config import NodeConfig
from space_clip_ros.errors import BackendError
from space_clip_ros.inference.predictor import Predictor
from space_clip_ros.ros.calibration import Calibration
from space_clip_ros.ros.messages import compressed_to_rgb, image_to_rgb
from space_clip_ros.ros.outputs import Outputs
from space_clip_ros.ros.pipeline import Pipeline
from space_clip_ros.ros.qos import qos_overrides
from space_clip_ros.ros.statistics import Statistics
from space_clip_ros.ros.throttle import ThrottledLog
from space_clip_ros.ros.worker import Worker

_STOP_S = 30.0
_FUTURE_S = 0.5


class CameraStream:
    """Receives one camera's images and hands the newest to a worker.

    Args:
        node: whose topics they are.
        predictor: the loaded model.
        settings: returns the parameters of the moment.
        statistics: the stream's numbers.
        log: where faults are said.
    """

    def __init__(
        self,
        node: LifecycleNode,
        predictor: Predictor,
        settings: Callable[[], NodeConfig],
        statistics: Statistics,
        log: ThrottledLog,
    ) -> None:
        """Create the publishers; :meth:`start` subscribes."""
        self._node = node
        self._settings = settings
        self._statistics = statistics
        self._log = log
        self._compressed = settings().image_transport == "compressed"
        self.image_topic = image_topic(node, settings().image_transport)
        self.calibration = Calibration(node.resolve_topic_name("camera_info"))
        self.outputs = Outputs(node)
        self.pipeline = Pipeline(
            predictor,
            self.calibration,
            self.outputs,
            statistics,
            log,
            settings,
            self._age_ms,
            compressed_to_rgb if self._compressed else image_to_rgb,
            self.image_topic,
        )
        self._worker: Worker[Any] = Worker(self.pipeline.process, self._on_error, "depth worker")
        self._subscriptions: list[Any] = []

    def start(self) -> None:
        """Subscribe and start the worker."""
        self._unsubscribe()
        self._subscribe(CameraInfo, "camera_info", self.calibration.update, depth=5)
        if self._compressed:
            self._subscribe(CompressedImage, self.image_topic, self._on_image, depth=1)
        else:
            self._subscribe(Image, "image", self._on_image, depth=1)
        self._worker.start()

    def stop(self) -> None:
        """Unsubscribe, throw away what waits and let the frame in work finish.

        Raises:
            BackendError: the engine did not finish its frame in time.
        """
        self._unsubscribe()
        if not self._worker.stop(_STOP_S):
            raise BackendError(f"the engine did not finish its frame within {_STOP_S:g} s; restart the node")

    def destroy(self) -> None:
        """Take the publishers back; the stream must be stopped."""
        self.outputs.destroy()

    def _unsubscribe(self) -> None:
        while self._subscriptions:
            self._node.destroy_subscription(self._subscriptions.pop())

    def _subscribe(self, kind: type, topic: str, callback: Callable[[Any], None], depth: int) -> None:
        # Best effort and volatile asks for nothing, so every publisher matches.
        qos = QoSProfile(
            history=HistoryPolicy.KEEP_LAST,
            depth=depth,
            reliability=ReliabilityPolicy.BEST_EFFORT,
            durability=DurabilityPolicy.VOLATILE,
        )
        self._subscriptions.append(
            self._node.create_subscription(kind, topic, callback, qos, qos_overriding_options=qos_overrides())
        )

    def _on_image(self, message: Any) -> None:
        self._statistics.receive()
        age_ms = self._age_ms(message.header.stamp)
        max_age = self._settings().max_age
        if max_age and age_ms > max_age * 1e3:
            text = f"image is {age_ms / 1e3:.2f} s old on arrival, max_age is {max_age:g} s; is use_sim_time right?"
            self._statistics.drop("too old", text)
            self._log.warning("too old", text)
            return
        if max_age and age_ms < -_FUTURE_S * 1e3:
            text = f"image is stamped {-age_ms / 1e3:.2f} s in the future; check the clocks (ntp, use_sim_time)"
            self._statistics.note(text)
            self._log.warning("future", f"{text}; it is used all the same")
        if self._worker.put(message):
            self._statistics.drop("replaced by a newer one")

    def _age_ms(self, stamp: Any) -> float:
        now_ns: int = self._node.get_clock().now().nanoseconds
        stamp_ns = int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)
        return (now_ns - stamp_ns) / 1e6

    def _on_error(self, error: Exception) -> None:
        text = f"{type(error).__name__}: {' '.join(str(error).split())}"
        self._statistics.drop("failed", text)
        self._log.error("failed", f"frame left out: {text}")


def image_topic(node: LifecycleNode, transport: str) -> str:
    """Return the resolved input topic; as in image_transport, remapping ``image`` moves ``image/compressed`` too."""
    base = str(node.resolve_topic_name("image"))
    return f"{base}/compressed" if transport == "compressed" else base

"""A subscriber that records when each output of ``depth_node`` arrived, and the newest diagnostics of every node."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CameraInfo

from space_clip_ros.messages import stamp_ns
from space_clip_ros.messages.diagnostics import DepthValues, EvaluationValues, PlaybackValues, Values, status_texts
from space_clip_ros.ros.common.qos import reliable
from space_clip_ros.tools.latency import ArrivalLog

_DEPTH = 50
_WAKE_S = 0.05

QOS = reliable(_DEPTH)
"""QoS of its subscriptions: reliable, as every message counts."""

V = TypeVar("V", bound=Values)


class ArrivalNode(Node):
    """Subscribes to outputs, to diagnostics, and to ``camera_info``, which says what images were sent.

    Args:
        name: the node's name.
        outputs: message types by topic.

    Attributes:
        arrivals: when each image's outputs arrived.
        sent: stamps of the images sent, in order, nanoseconds.
    """

    def __init__(self, name: str, outputs: Mapping[str, Any]) -> None:
        """Subscribe."""
        super().__init__(name)
        self._outputs = dict(outputs)
        self._texts: dict[type[Values], dict[str, str]] = {}
        self._messages: dict[type[Values], str] = {}
        self.restart()
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self)
        self.create_subscription(CameraInfo, "camera_info", self._on_camera_info, QOS)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, QOS)
        for output, kind in outputs.items():
            self.create_subscription(kind, output, self._listener(output), QOS)

    def restart(self) -> None:
        """Forget all arrivals, and ignore messages stamped before now."""
        self._since_ns = time.time_ns()
        self.arrivals = ArrivalLog(self._outputs)
        self.sent: list[int] = []

    def spin(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Process messages for ``seconds`` or until a condition holds; return whether it does."""
        deadline = time.monotonic() + seconds
        while not (reached := until()) and time.monotonic() < deadline:
            # Keep the timeout the same: when it changes, rclpy restarts its round, and late topics starve.
            self._executor.spin_once(timeout_sec=_WAKE_S)
        return reached

    def values(self, kind: type[V]) -> V:
        """Return the newest diagnostic values of a kind; all unknown before the first."""
        return kind.read(self._texts.get(kind, {}))

    def message(self, kind: type[Values]) -> str:
        """Return the summary line that came with them; empty before the first."""
        return self._messages.get(kind, "")

    def close(self) -> None:
        """Destroy the node."""
        self._executor.shutdown()
        self.destroy_node()

    def on_arrival(self, output: str, stamp: int, message: Any) -> None:
        """Called with every output that counts; subclasses may override it."""

    def _on_camera_info(self, message: CameraInfo) -> None:
        stamp = stamp_ns(message)
        if stamp > self._since_ns:
            self.sent.append(stamp)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            for kind in (DepthValues, PlaybackValues, EvaluationValues):
                if status.name.endswith(kind.PART):
                    self._texts[kind], self._messages[kind] = status_texts(status), status.message

    def _listener(self, output: str) -> Callable[[Any], None]:
        def on_message(message: Any) -> None:
            arrived, stamp = time.time_ns(), stamp_ns(message)
            if stamp > self._since_ns:
                self.arrivals.add(output, stamp, arrived)
                self.on_arrival(output, stamp, message)

        return on_message


N = TypeVar("N", bound=ArrivalNode)


@contextlib.contextmanager
def running(make: Callable[[], N]) -> Iterator[N]:
    """Start ROS in this process, yield the node that ``make`` returns, and close both; signals stay the caller's."""
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = make()
        try:
            yield node
        finally:
            node.close()
    finally:
        rclpy.try_shutdown()

"""Tells ``/diagnostics`` how every camera goes, and the log what is missing where nothing comes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.lifecycle import LifecycleNode

from space_clip_ros.config import NodeConfig
from space_clip_ros.ros.common.qos import describe_endpoint, describe_qos, unheard
from space_clip_ros.ros.common.throttled_log import ThrottledLog
from space_clip_ros.ros.node.camera_stream import CameraStream, image_topic
from space_clip_ros.ros.node.diagnostics import SILENT_S, Situation, report, status, verdict
from space_clip_ros.ros.node.process_memory import resident_bytes
from space_clip_ros.ros.node.recovering_model import Engine
from space_clip_ros.ros.node.statistics import Statistics

_WATCHDOG_S = 30.0
_MIB = 2**20


@dataclass(frozen=True)
class Parts:
    """What there is of the node at the moment of a report.

    Attributes:
        state: lifecycle state.
        failure: why the last transition failed; empty if it did not.
        engine: the loaded model, if it is loaded.
        streams: the cameras by name; empty before they are configured.
    """

    state: str
    failure: str
    engine: Engine | None
    streams: Mapping[str, CameraStream]


class Reporter:
    """Publishes one status a camera, and repeats in the log why a camera is silent.

    Args:
        node: who reports.
        settings: returns the parameters of the moment.
        statistics: the cameras' numbers by name.
        parts: returns what there is of the node.
    """

    def __init__(
        self,
        node: LifecycleNode,
        settings: Callable[[], NodeConfig],
        statistics: Mapping[str, Statistics],
        parts: Callable[[], Parts],
    ) -> None:
        """Create the publisher; :meth:`report` is for a timer."""
        self._node = node
        self._settings = settings
        self._statistics = statistics
        self._parts = parts
        self._log = ThrottledLog(node.get_logger(), _WATCHDOG_S)
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)

    def report(self) -> None:
        """Publish every camera's status; log those that are silent for 5 s, then every 30 s."""
        parts = self._parts()
        node = self._node.get_fully_qualified_name().lstrip("/")
        statuses = []
        for camera in self._statistics:
            situation = self._situation(camera, parts)
            part = f"{camera} depth estimation" if camera else "depth estimation"
            statuses.append(status(f"{node}: {part}", situation))
            self._watch(camera, situation)
        self._publisher.publish(report(self._node.get_clock().now().to_msg(), statuses))

    def _watch(self, camera: str, situation: Situation) -> None:
        level, line = verdict(situation)
        if level != DiagnosticStatus.OK and situation.state != "finalized" and self._silent(camera):
            # Said by state: a node that stays inactive on purpose is not scolded for it again and again.
            line = f"{camera}: {line}" if camera else line
            if situation.state == "active":
                self._log.warning(f"silent {camera}", line)
            elif not situation.failure:
                self._log.once(f"{situation.state} {camera}", line)

    def _silent(self, camera: str) -> bool:
        statistics = self._statistics[camera]
        since = statistics.snapshot().seconds_since_output
        return (statistics.seconds_since_reset() if since is None else since) > SILENT_S

    def _situation(self, camera: str, parts: Parts) -> Situation:
        topic = image_topic(self._node, camera, self._settings().image_transport)
        info_topic = self._node.resolve_topic_name(f"{camera}/camera_info" if camera else "camera_info")
        stream, engine = parts.streams.get(camera), parts.engine
        return Situation(
            state=parts.state,
            camera=camera,
            failure=parts.failure,
            engine_failure=engine.problem if engine and engine.failed else "",
            image_topic=topic,
            publishers=self._publishers(topic),
            hint=self._hint(topic, stream),
            info_topic=info_topic,
            info_publishers=self._publishers(info_topic),
            output_topics=stream.outputs.topics if stream else (),
            subscribers=stream.outputs.subscribers() if stream else 0,
            snapshot=self._statistics[camera].snapshot(),
            limits=self._settings().diagnostics,
            facts=self._facts(engine, stream),
        )

    def _publishers(self, topic: str) -> list[str]:
        return [describe_endpoint(endpoint) for endpoint in self._node.get_publishers_info_by_topic(topic)]

    def _hint(self, topic: str, stream: CameraStream | None) -> str:
        """Return what the graph gives away: a QoS that keeps images out, or images in the other form."""
        if stream is not None and unheard(self._node, topic, stream.image_qos):
            return f"this node asks for {describe_qos(stream.image_qos)} and so cannot hear all of them"
        compressed = topic.endswith("/compressed")
        other = topic.removesuffix("/compressed") if compressed else f"{topic}/compressed"
        if not self._publishers(topic) and self._publishers(other):
            return f"{other} is published: set image_transport to {'raw' if compressed else 'compressed'}"
        return ""

    def _facts(self, engine: Engine | None, stream: CameraStream | None) -> dict[str, str]:
        facts = {"model": self._settings().model}
        if engine is not None:
            info = engine.info
            facts.update(model=info.name, backend=info.backend, device=info.device, precision=info.precision)
            facts["model_problem"] = engine.problem
        if stream is not None:
            facts["depth_factor"] = f"{stream.pipeline.scale:.4f}"
            facts["depth_scale"] = f"{self._settings().depth_scale:g}"
            facts["camera_info_frames"] = ", ".join(frame[:40] for frame in stream.calibration.frames)
        for name, held in (
            ("memory_mib", resident_bytes()),
            ("device_memory_mib", engine.device_memory() if engine else None),
        ):
            if held is not None:
                facts[name] = f"{held / _MIB:.1f}"
        return facts

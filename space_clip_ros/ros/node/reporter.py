"""Publishes every camera's status on ``/diagnostics``, and logs what is missing if there is no output."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.lifecycle import LifecycleNode

from space_clip_ros.config import NodeConfig
from space_clip_ros.messages.diagnostics import DepthValues, Level, NodeState, status_array
from space_clip_ros.ros.common.qos import describe_endpoint, describe_qos, unheard
from space_clip_ros.ros.common.throttled_log import ThrottledLog
from space_clip_ros.ros.node.camera import Camera
from space_clip_ros.ros.node.diagnostics import SILENT_S, Situation, status, verdict
from space_clip_ros.ros.node.process_memory import resident_bytes
from space_clip_ros.ros.node.queries import Queries
from space_clip_ros.ros.node.recovering_model import RecoveringModel
from space_clip_ros.ros.node.statistics import Statistics
from space_clip_ros.ros.node.topics import image_topic, sibling_info_topic

_WATCHDOG_S = 30.0
_MIB = 2**20


@dataclass(frozen=True)
class NodeParts:
    """The node's parts at the time of a report.

    Attributes:
        state: lifecycle state.
        failure: why the last transition failed; empty if it did not.
        model: the loaded model, if it is loaded.
        cameras: by name; empty before they are configured.
        queries: what the node looks for by name; None before it is configured.
    """

    state: NodeState
    failure: str
    model: RecoveringModel | None
    cameras: Mapping[str, Camera]
    queries: Queries | None = None


class Reporter:
    """Publishes one status a camera, and repeats in the log why a camera is silent.

    Args:
        node: the node that reports.
        settings: returns the current parameters.
        statistics: the cameras' numbers by name.
        parts: returns the node's parts.
    """

    def __init__(
        self,
        node: LifecycleNode,
        settings: Callable[[], NodeConfig],
        statistics: Mapping[str, Statistics],
        parts: Callable[[], NodeParts],
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
        for name in self._statistics:
            situation = self._situation(name, parts)
            part = f"{name} {DepthValues.PART}" if name else DepthValues.PART
            statuses.append(status(f"{node}: {part}", situation))
            self._watch(name, situation)
            if situation.rivals:
                self._log.warning(f"rivals {name}", situation.rivals)
        self._publisher.publish(status_array(self._node.get_clock().now().to_msg(), statuses))

    def _watch(self, camera: str, situation: Situation) -> None:
        level, line = verdict(situation)
        if level is not Level.OK and situation.state is not NodeState.FINALIZED and self._silent(camera):
            # Once for each state: a node that stays inactive on purpose must not repeat itself for ever.
            line = f"{camera}: {line}" if camera else line
            if situation.state is NodeState.ACTIVE:
                self._log.warning(f"silent {camera}", line)
            elif not situation.failure:
                self._log.once(f"{situation.state.value} {camera}", line)

    def _silent(self, camera: str) -> bool:
        statistics = self._statistics[camera]
        since = statistics.snapshot().seconds_since_output
        return (statistics.seconds_since_reset() if since is None else since) > SILENT_S

    def _situation(self, name: str, parts: NodeParts) -> Situation:
        topic = image_topic(self._node, name, self._settings().image_transport)
        info_topic = self._node.resolve_topic_name(f"{name}/camera_info" if name else "camera_info")
        camera, model = parts.cameras.get(name), parts.model
        return Situation(
            state=parts.state,
            camera=name,
            failure=parts.failure,
            model_failure=model.problem if model and model.failed else "",
            preparing=model.preparing if model else None,
            image_topic=topic,
            publishers=self._publishers(topic),
            image_remap=self._image_remap(topic, name),
            rivals=self._rivals(camera.publishers.topics) if camera else "",
            hint=self._hint(topic, camera),
            info_topic=info_topic,
            info_publishers=self._publishers(info_topic),
            info_remap=self._info_remap(topic, info_topic, name),
            output_topics=camera.publishers.topics if camera else (),
            subscribers=camera.publishers.subscribers() if camera else 0,
            snapshot=self._statistics[name].snapshot(),
            limits=self._settings().diagnostics,
            clock_set=self._node.get_clock().now().nanoseconds > 0,
            values=self._values(parts, camera),
        )

    def _publishers(self, topic: str) -> list[str]:
        return [describe_endpoint(endpoint) for endpoint in self._node.get_publishers_info_by_topic(topic)]

    def _hint(self, topic: str, camera: Camera | None) -> str:
        """Return what else keeps images away: another message type, a QoS that does not match, or the other form."""
        compressed, expected = self._compressed(), self._image_type()
        kinds = {endpoint.topic_type for endpoint in self._node.get_publishers_info_by_topic(topic)}
        if kinds and expected not in kinds:
            other = "raw" if compressed else "compressed"
            known = "sensor_msgs/msg/Image" if compressed else "sensor_msgs/msg/CompressedImage"
            way = f"set image_transport to {other}" if known in kinds else "remap image to a topic of images"
            return f"it carries {', '.join(sorted(kinds))}, and this node expects {expected}: {way}"
        if camera is not None and unheard(self._node, topic, camera.image_qos):
            return f"this node asks for {describe_qos(camera.image_qos)} and so cannot hear all of them"
        other = topic.removesuffix("/compressed") if compressed else f"{topic}/compressed"
        if not self._publishers(topic) and self._publishers(other):
            return f"{other} is published: set image_transport to {'raw' if compressed else 'compressed'}"
        return ""

    def _compressed(self) -> bool:
        return self._settings().image_transport == "compressed"

    def _image_type(self) -> str:
        return f"sensor_msgs/msg/{'CompressedImage' if self._compressed() else 'Image'}"

    def _image_remap(self, topic: str, camera: str) -> str:
        """Return how to remap the image to the only topic of images that others publish; empty if it is not clear."""
        if self._publishers(topic):
            return ""
        kind = self._image_type()
        names = [name for name, kinds in self._node.get_topic_names_and_types() if kind in kinds]
        found = [name for name in names if self._others(name)]
        below = f"{camera}/" if camera else ""
        return f"{below}image:={found[0].removesuffix('/compressed')}" if len(found) == 1 else ""

    def _rivals(self, topics: Sequence[str]) -> str:
        """Return which other node publishes an output, too: its subscribers get two nodes' depth mixed."""
        own = self._node.get_fully_qualified_name()
        for topic in topics:
            others = self._others(topic) if self._node.count_publishers(topic) > 1 else []
            if others:
                why = "two nodes have that name" if others[0] == own else "its subscribers get both"
                return f"{topic} is also published by {others[0]}: {why}"
        return ""

    def _others(self, topic: str) -> list[str]:
        """Return the full names of a topic's publishers without this node's own."""
        endpoints = self._node.get_publishers_info_by_topic(topic)
        names = [f"{item.node_namespace.rstrip('/')}/{item.node_name}" for item in endpoints]
        own = self._node.get_fully_qualified_name()
        if own in names:
            names.remove(own)
        return names

    def _info_remap(self, topic: str, info_topic: str, camera: str) -> str:
        """Return how to remap camera_info to the one beside the images; empty where none is published there."""
        beside = sibling_info_topic(topic)
        if beside == info_topic or not self._publishers(beside):
            return ""
        return f"{camera}/camera_info:={beside}" if camera else f"camera_info:={beside}"

    def _values(self, parts: NodeParts, camera: Camera | None) -> DepthValues:
        model, queries, settings = parts.model, parts.queries, self._settings()
        resident, device = resident_bytes(), model.device_memory() if model else None
        values = DepthValues(
            model=settings.model,
            min_depth=settings.min_depth,
            max_depth=settings.max_depth,
            colormap=settings.color.colormap,
            memory_mib=None if resident is None else resident / _MIB,
            device_memory_mib=None if device is None else device / _MIB,
        )
        if model is not None:
            info = model.info
            values = replace(
                values,
                model=info.name,
                backend=info.backend,
                device=info.device,
                precision=info.precision,
                uncertainty=info.uncertainty,
                vocabulary=", ".join(info.language.vocabulary) or None if info.language else None,
                metric=info.metric,
                model_problem=model.problem,
                model_given_up=model.failed,
            )
        if camera is not None:
            values = replace(
                values,
                **camera.notes.values(),
                depth_scale=settings.depth_scale,
                ready=parts.state is NodeState.ACTIVE and camera.ready and not (model and model.problem),
                scale_mode=settings.scale.mode,
                camera_info_frames=", ".join(frame[:40] for frame in camera.calibrations.frames),
            )
        if queries is not None:
            names = ", ".join(queries.current.names) if queries.current else None
            values = replace(values, queries=names, queries_problem=queries.problem or None)
        return values

"""Node ``view``: serves a page that shows images, depth and figures live; ``./demo.sh --view`` runs it."""

from __future__ import annotations

import functools
import socket
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.clock import Clock
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image

from space_clip_ros.errors import InputError
from space_clip_ros.messages import compressed_to_rgb, image_to_rgb, stamp_ns
from space_clip_ros.messages.diagnostics import DepthValues, EvaluationValues, Level, status_texts
from space_clip_ros.ros.common.qos import best_effort
from space_clip_ros.tools.live import address
from space_clip_ros.tools.live.options import COMPRESSED, RAW, ViewOptions
from space_clip_ros.tools.live.panels import PANELS, Panel
from space_clip_ros.tools.live.server import LiveServer
from space_clip_ros.tools.live.update import DepthStatus, Figures, choose_figures, encode_jpeg, encode_update
from space_clip_ros.tools.program import NodeProgram

_DESCRIPTION = "Shows images, depth and figures of depth_node live, on a page that only this machine can reach."
_EXAMPLE = "example: live_view --ros-args -r image:=/camera/image_raw"
_PERIOD_S = 0.1
_REPEAT_S = 1.0
_SILENT_S = 5.0
# Number of images kept until their depth comes; the node is at most a few frames behind.
_HELD = 8
_COLOR = "depth/color"
_COMPRESSED = "/compressed"
# Only the newest matters, and a best-effort subscriber never holds up a publisher.
_QOS = best_effort(1)
# Topic, message type and conversion to RGB of each form of the images.
_INPUTS: dict[str, tuple[str, Any, Any]] = {
    RAW: ("image", Image, image_to_rgb),
    COMPRESSED: ("image/compressed", CompressedImage, compressed_to_rgb),
}


class LiveViewNode(Node):
    """Sends updates to the page, at most ten a second; each depth comes with the image it was computed from.

    It subscribes to images, ``depth/color`` and what the panels need only while a page is open: without a subscriber
    the node does not make them. A panel shows the same image as depth, or one just before.

    Args:
        server: serves the page.
        transport: form of the images, ``raw`` or ``compressed``.
    """

    def __init__(self, server: LiveServer, transport: str, **node_arguments: Any) -> None:
        """Subscribe to diagnostics; images follow once a page is open."""
        super().__init__("view", **node_arguments)
        self._server = server
        self._topic, self._kind, self._convert = _INPUTS[transport]
        self._subscribed: dict[str, Any] = {}
        # By status name.
        self._depth: dict[str, DepthStatus] = {}
        self._heard_s: dict[str, float] = {}
        self._errors: dict[str, EvaluationValues] = {}
        self._reset()
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        # Steady time, so that the page is updated while simulated time stands still.
        steady = Clock(clock_type=type(self.get_clock().clock_type).STEADY_TIME)
        self.create_timer(_PERIOD_S, self._tick, clock=steady)

    def close(self) -> str:
        """Close the server; open pages then show that the view has ended."""
        self._server.close()
        return "the live view has ended"

    def _reset(self) -> None:
        # Newest messages by topic and stamp.
        self._held: dict[str, dict[int, Any]] = defaultdict(dict)
        self._color: Any = None
        self._pictures = dict.fromkeys(("image", "depth", *PANELS), b"")
        self._drawn: dict[str, int | None] = {}
        self._problem = ""
        self._depth_s = self._shown_s = float("-inf")

    def _tick(self) -> None:
        watched = self._server.watchers > 0
        self._subscribe(self._wanted() if watched else {})
        if not watched:
            return
        now = time.monotonic()
        try:
            fresh = self._draw(now)
        except InputError as error:
            fresh, self._problem = False, str(error)
        if fresh or now - self._shown_s >= _REPEAT_S:
            self._shown_s = now
            self._server.show(encode_update(self._figures(now), self._pictures))

    def _wanted(self) -> dict[str, Any]:
        """Return the message types of all topics that an open page needs."""
        node = self._depth.get(self._own_status())
        panels = [] if node is None else [panel for panel in PANELS.values() if panel.given(node.values)]
        needed = {topic: kind for panel in panels for topic, kind in panel.topics.items()}
        return {self._topic: self._kind, _COLOR: Image, **needed}

    def _subscribe(self, wanted: Mapping[str, Any]) -> None:
        """Subscribe to these topics and no others."""
        if self._subscribed and not wanted:
            self._reset()
        for topic in [topic for topic in self._subscribed if topic not in wanted]:
            self.destroy_subscription(self._subscribed.pop(topic))
        for topic, kind in wanted.items():
            if topic not in self._subscribed:
                callback = self._on_color if topic == _COLOR else functools.partial(self._hold, topic)
                self._subscribed[topic] = self.create_subscription(kind, topic, callback, _QOS)

    def _draw(self, now: float) -> bool:
        """Encode the newest depth and its image, or the newest image if no depth comes; return whether one is new."""
        color, self._color = self._color, None
        images, made = self._held[self._topic], {}
        if color is not None:
            self._depth_s = now
            stamp = stamp_ns(color)
            if (source := images.pop(stamp, None)) is not None:
                made["image"] = self._encoded(source)
            made["depth"] = encode_jpeg(image_to_rgb(color, _COLOR))
            for name, panel in PANELS.items():
                self._draw_panel(name, panel, stamp, made)
        elif images and now - self._depth_s > _REPEAT_S:
            newest = images[max(images)]
            images.clear()
            made["image"] = self._encoded(newest)
        else:
            return False
        self._pictures |= made
        self._problem = ""
        return True

    def _draw_panel(self, name: str, panel: Panel, stamp: int, made: dict[str, bytes]) -> None:
        """Encode a panel's newest picture, unless it is shown already; make it empty once that is too old."""
        held = [self._held[topic] for topic in panel.topics]
        newest = max(set(held[0]).intersection(*held), default=None)
        if newest is None or stamp - newest > _REPEAT_S * 1e9:
            made[name] = b""
        elif newest != self._drawn.get(name):
            made[name] = encode_jpeg(panel.draw({topic: self._held[topic][newest] for topic in panel.topics}))
        self._drawn[name] = newest

    def _encoded(self, image: Any) -> bytes:
        return encode_jpeg(self._convert(image, self._topic))

    def _figures(self, now: float) -> Figures:
        name = self._own_status()
        figures = choose_figures(self._depth.get(name), self._own_errors())
        state = self._problem
        if not state and self._depth and not name:
            taken = sorted({str(status.values.image_topic) for status in self._depth.values()})
            state = f"No depth node takes {self._image_topic()}; those heard take {', '.join(taken)}."
        silent_s = now - self._heard_s.get(name, now)
        if not state and silent_s > _SILENT_S:
            state = f"The depth node has said nothing for {silent_s:.0f} s."
        return replace(figures, state=state, level=Level.WARN) if state else figures

    def _image_topic(self) -> str:
        """Return the full name of the camera's images, without the transport."""
        return self.resolve_topic_name(self._topic).removesuffix(_COMPRESSED)

    def _own_status(self) -> str:
        """Return the name of the status of the camera whose images are shown; empty if it has not been heard.

        A node that does not know its topics yet may be that camera's.
        """
        own = self._image_topic()
        taken = {name: status.values.image_topic or "" for name, status in self._depth.items()}
        named = [name for name, topic in taken.items() if topic.removesuffix(_COMPRESSED) == own]
        return next(iter(named or [name for name, topic in taken.items() if not topic.startswith("/")]), "")

    def _own_errors(self) -> EvaluationValues | None:
        """Return the errors of the evaluator in this node's namespace, or of one outside every namespace."""
        namespace = self.get_namespace().strip("/")
        for wanted in (namespace, ""):
            for name, values in self._errors.items():
                if name.partition(":")[0].rpartition("/")[0] == wanted:
                    return values
        return None

    def _hold(self, topic: str, message: Any) -> None:
        held = self._held[topic]
        held[stamp_ns(message)] = message
        while len(held) > _HELD:
            del held[next(iter(held))]

    def _on_color(self, color: Image) -> None:
        self._color = color

    def _on_diagnostics(self, report: DiagnosticArray) -> None:
        for status in report.status:
            try:
                self._keep(status)
            except ValueError as error:
                # A node of another version may report unknown values.
                self.get_logger().warning(f"{status.name}: cannot be read ({error})", once=True)

    def _keep(self, status: DiagnosticStatus) -> None:
        if status.name.endswith(DepthValues.PART):
            self._depth[status.name] = DepthStatus.read(status)
            self._heard_s[status.name] = time.monotonic()
        elif status.name.endswith(EvaluationValues.PART):
            self._errors[status.name] = EvaluationValues.read(status_texts(status))


def main(args: Sequence[str] | None = None) -> int:
    """Serve the page until a signal; return the exit status, 1 if the port cannot be used."""
    program = NodeProgram("live_view", _DESCRIPTION, _EXAMPLE, ViewOptions)

    def serve(options: ViewOptions) -> int:
        inherited = options.socket
        listener = address.listen(options.port) if inherited is None else socket.socket(fileno=inherited)
        return program.run(lambda _: _view(listener, options.image_transport))

    return program.main(serve, args)


def _view(listener: socket.socket, transport: str) -> LiveViewNode:
    view = LiveViewNode(LiveServer(listener), transport)
    view.get_logger().info(f"open {address.address(listener)}")
    return view


if __name__ == "__main__":
    sys.exit(main())

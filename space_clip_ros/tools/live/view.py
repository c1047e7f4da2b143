"""Node ``view``: serves a page that shows images, depth and figures live; ``./demo.sh --view`` runs it."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Sequence
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.clock import Clock
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

from space_clip_ros.errors import InputError, SpaceClipError
from space_clip_ros.messages import compressed_to_rgb, image_to_rgb, stamp_ns
from space_clip_ros.messages.diagnostics import DepthValues, EvaluationValues, Level, status_texts
from space_clip_ros.tools.live import address
from space_clip_ros.tools.live.options import COMPRESSED, RAW, ViewOptions
from space_clip_ros.tools.live.server import LiveServer
from space_clip_ros.tools.live.update import DepthStatus, Figures, choose_figures, encode_jpeg, encode_update
from space_clip_ros.tools.program import NodeProgram

_DESCRIPTION = "Shows images, depth and figures of depth_node live, on a page that only this machine can reach."
_EXAMPLE = "example: live_view --ros-args -r image:=/camera/image_raw"
_PERIOD_S = 0.1
_REPEAT_S = 1.0
_SILENT_S = 5.0
# Images kept until the depth of their stamp comes; the node is a few frames behind at most.
_HELD = 8
# Only the newest matters, and a best-effort subscriber never holds up a publisher.
_QOS = QoSProfile(depth=1, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.BEST_EFFORT)
# Topic, message type and conversion to RGB of each form of the images.
_INPUTS: dict[str, tuple[str, Any, Any]] = {
    RAW: ("image", Image, image_to_rgb),
    COMPRESSED: ("image/compressed", CompressedImage, compressed_to_rgb),
}


class LiveViewNode(Node):
    """Sends updates to the page, at most ten a second; each depth comes with the image it was computed from.

    It subscribes to images and ``depth/color`` only while a page is open: without a subscriber the node does not colour
    depth.

    Args:
        server: serves the page.
        transport: form of the images, ``raw`` or ``compressed``.

    Attributes:
        error: always None; see :class:`~space_clip_ros.tools.program.ToolNode`.
    """

    def __init__(self, server: LiveServer, transport: str, **node_arguments: Any) -> None:
        """Subscribe to diagnostics; images follow once a page is open."""
        super().__init__("view", **node_arguments)
        self.error: SpaceClipError | None = None
        self._server = server
        self._topic, self._kind, self._convert = _INPUTS[transport]
        self._image_subscriptions: list[Any] = []
        # By the names of their statuses; the page shows the first of each.
        self._depth: dict[str, DepthStatus] = {}
        self._errors: dict[str, EvaluationValues] = {}
        self._heard_s = float("-inf")
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
        self._images: dict[int, Any] = {}
        self._color: Any = None
        self._pictures = (b"", b"")
        self._problem = ""
        self._depth_s = self._shown_s = float("-inf")

    def _tick(self) -> None:
        watched = self._server.watchers > 0
        if watched != bool(self._image_subscriptions):
            self._subscribe(watched)
        if not watched:
            return
        now = time.monotonic()
        try:
            fresh = self._draw(now)
        except InputError as error:
            fresh, self._problem = False, str(error)
        if fresh or now - self._shown_s >= _REPEAT_S:
            self._shown_s = now
            self._server.show(encode_update(self._figures(now), *self._pictures))

    def _subscribe(self, watched: bool) -> None:
        while self._image_subscriptions:
            self.destroy_subscription(self._image_subscriptions.pop())
        self._reset()
        if watched:
            for kind, topic, callback in (
                (self._kind, self._topic, self._on_image),
                (Image, "depth/color", self._on_color),
            ):
                self._image_subscriptions.append(self.create_subscription(kind, topic, callback, _QOS))

    def _draw(self, now: float) -> bool:
        """Encode the newest depth and its image, or the newest image if no depth comes; return whether one is new."""
        color, self._color = self._color, None
        image, depth = self._pictures
        if color is not None:
            self._depth_s = now
            source = self._images.pop(stamp_ns(color), None)
            image = image if source is None else self._encoded(source)
            depth = encode_jpeg(image_to_rgb(color, "depth/color"))
        elif self._images and now - self._depth_s > _REPEAT_S:
            newest = self._images[max(self._images)]
            self._images.clear()
            image = self._encoded(newest)
        else:
            return False
        self._pictures, self._problem = (image, depth), ""
        return True

    def _encoded(self, image: Any) -> bytes:
        return encode_jpeg(self._convert(image, self._topic))

    def _figures(self, now: float) -> Figures:
        found = choose_figures(next(iter(self._depth.values()), None), next(iter(self._errors.values()), None))
        state = self._problem
        if not state and self._depth and now - self._heard_s > _SILENT_S:
            state = f"The depth node has said nothing for {now - self._heard_s:.0f} s."
        return Figures(state, Level.WARN, found.cards, found.facts) if state else found

    def _on_image(self, image: Any) -> None:
        self._images[stamp_ns(image)] = image
        while len(self._images) > _HELD:
            del self._images[next(iter(self._images))]

    def _on_color(self, color: Image) -> None:
        self._color = color

    def _on_diagnostics(self, report: DiagnosticArray) -> None:
        for status in report.status:
            try:
                self._keep(status)
            except ValueError as error:
                # A node of another version may report values that this one does not know.
                self.get_logger().warning(f"{status.name}: cannot be read ({error})", once=True)

    def _keep(self, status: DiagnosticStatus) -> None:
        if status.name.endswith(DepthValues.PART):
            self._depth[status.name] = DepthStatus.read(status)
            self._heard_s = time.monotonic()
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

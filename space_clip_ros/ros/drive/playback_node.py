"""The base of the nodes that play a recording: a thread of its own, the recording's clock, and how it ended."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterable
from typing import Any

from rclpy.duration import Duration
from rclpy.node import Node
from rosgraph_msgs.msg import Clock

from space_clip_ros.errors import SpaceClipError, describe
from space_clip_ros.messages import time_at
from space_clip_ros.ros.common.qos import reliable
from space_clip_ros.ros.drive.playback import Pacer

_CLOCK_PERIOD_S = 0.01
_DELIVERY_S = 2.0


class PlaybackNode(Node):
    """Plays in a thread of its own; subclasses define :meth:`play` and call :meth:`start`.

    Args:
        name: the node's name.
        finish: called at the recording's end, or when playing fails.
        node_arguments: for :class:`rclpy.node.Node`.

    Attributes:
        error: why playing ended early; None if it did not.
        stopping: set when the node is to close.
        pacer: the playback's time; there once :meth:`start` was called.
        sent: how many frames or messages were published.
        last_s: when the last one was, seconds of the pacer's time.
    """

    pacer: Pacer

    def __init__(self, name: str, finish: Callable[[], None], **node_arguments: Any) -> None:
        """Keep the arguments; :meth:`start` plays."""
        super().__init__(name, **node_arguments)
        self.error: SpaceClipError | None = None
        self.stopping = threading.Event()
        self.sent = 0
        self.last_s = 0.0
        self._finish = finish

    def start(self, what: object, late_s: float, played_ns: Callable[[], int] | None) -> None:
        """Start the thread.

        Args:
            what: what is played, for errors.
            late_s: anything further behind counts as late, seconds.
            played_ns: returns the recording's time for ``/clock``, nanoseconds; None to publish no clock.
        """
        self.pacer = Pacer(self.stopping, late_s)
        self._played_ns = played_ns
        self._clock_publisher = self.create_publisher(Clock, "/clock", reliable(10)) if played_ns is not None else None
        self._thread = threading.Thread(target=self._run, args=(what,), name="playback", daemon=True)
        self._thread.start()

    def play(self) -> None:
        """Publish everything; runs in the thread. What it raises becomes :attr:`error`."""
        raise NotImplementedError

    def close(self) -> str:
        """Stop playing, and return how late it was."""
        self.stopping.set()
        self._thread.join()
        return f"{self.pacer.late} of them late ({self.pacer.worst_s * 1e3:.0f} ms at most)"

    def wait_until(self, due_s: float) -> bool:
        """Sleep until ``due_s`` seconds of the pacer's time while the clock runs on; False when stopped."""
        return self.pacer.wait_until(due_s, _CLOCK_PERIOD_S, self.publish_clock)

    def publish_clock(self) -> None:
        """Publish the recording's time, if that was asked for."""
        if self._clock_publisher is not None and self._played_ns is not None:
            self._clock_publisher.publish(Clock(clock=time_at(self._played_ns())))

    def deliver(self, publishers: Iterable[Any]) -> None:
        """Let reliable subscribers receive what was published before the process ends."""
        for publisher in publishers:
            publisher.wait_for_all_acked(Duration(seconds=_DELIVERY_S))

    def _run(self, what: object) -> None:
        try:
            self.play()
        except SpaceClipError as error:
            self._fail(error)
        except Exception as error:
            # Without its thread, the node would never end.
            traceback.print_exception(error)
            self._fail(SpaceClipError(what, f"internal error, {describe(error)}"))
        self._finish()

    def _fail(self, error: SpaceClipError) -> None:
        self.error = error
        self.get_logger().fatal(str(error))

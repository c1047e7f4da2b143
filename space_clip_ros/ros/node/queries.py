"""What the node looks for by name: parameters, the topic ``semantic/query``, and a thread that finds the vectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rclpy.lifecycle import LifecycleNode
from std_msgs.msg import String

from space_clip_ros.config import NodeConfig, SemanticConfig
from space_clip_ros.errors import SpaceClipError, describe, one_line
from space_clip_ros.inference.backend import ModelInfo
from space_clip_ros.language.queries import QuerySet
from space_clip_ros.perception.queries import find_queries, split_names
from space_clip_ros.ros.common.qos import reliable, subscribe
from space_clip_ros.ros.common.throttled_log import ThrottledLog
from space_clip_ros.ros.node.scheduler import Scheduler

TOPIC = "semantic/query"
_STOP_S = 30.0
NOTHING_ASKED = f"nothing is looked for: set semantic.queries, or publish names on {TOPIC}"
"""Why there are no labels or detections, if nothing is looked for."""


@dataclass(frozen=True)
class _Wish:
    names: tuple[str, ...]
    settings: SemanticConfig


class Queries:
    """Keeps the queries in use. A text tower takes seconds, so vectors are found in a thread of their own.

    What is wrong with a query is logged and kept in :attr:`problem`; the queries before it stay in use.

    Args:
        node: the node whose topic it is.
        model: returns the model's facts.
        settings: returns the current parameters.
        log: where publishers that ask for another QoS are named.
        on_change: called when other queries (in the thread) or another threshold are in use.

    Attributes:
        current: the queries in use; None for nothing.
        problem: what is wrong with the newest query; empty if nothing.
    """

    def __init__(
        self,
        node: LifecycleNode,
        model: Callable[[], ModelInfo],
        settings: Callable[[], NodeConfig],
        log: ThrottledLog,
        on_change: Callable[[], None],
    ) -> None:
        """Keep the arguments; :meth:`start` subscribes."""
        self._node = node
        self._model = model
        self._settings = settings
        self._log = log
        self._on_change = on_change
        self._subscription: Any = None
        self._worker: Scheduler[_Wish] | None = None
        self._typed: tuple[str, ...] = ()
        self._followed = SemanticConfig()
        self.current: QuerySet | None = None
        self.problem = ""

    def start(self) -> None:
        """Subscribe to the topic and find the parameters' queries."""
        self.stop()
        self._followed = self._settings().semantic
        self._worker = Scheduler(lambda wishes: self._find(wishes[-1]), self._fail, "queries")
        self._worker.start()
        self._subscription = subscribe(self._node, String, TOPIC, self._on_query, reliable(depth=1), self._log)
        self._ask()

    def follow(self) -> None:
        """Follow changed parameters. Other names or another file replace the names that the topic asked for."""
        was, self._followed = self._followed, self._settings().semantic
        if was == self._followed:
            return
        if (was.queries, was.query_file) != (self._followed.queries, self._followed.query_file):
            self._typed = ()
        elif was.background == self._followed.background:
            # The same names from the same file have the same vectors, so the text tower need not run.
            self._on_change()
            return
        self._ask()

    def stop(self) -> None:
        """Unsubscribe and end the thread; what the topic asked for is kept."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None
        if self._worker is not None:
            self._worker.stop(_STOP_S)
            self._worker = None

    def _ask(self) -> None:
        if self._worker is not None:
            self._worker.put(_Wish(self._typed, self._followed))

    def _on_query(self, message: String) -> None:
        try:
            self._typed = split_names(message.data)
        except ValueError as error:
            # Python refuses to read a character reference (&#...;) of thousands of digits.
            self._fail(error)
            return
        self._ask()

    def _find(self, wish: _Wish) -> None:
        try:
            queries = find_queries(wish.names, wish.settings, self._model())
        except SpaceClipError as error:
            self._fail(error)
            return
        names = self.current.names if self.current else ()
        self.current, self.problem = queries, ""
        if queries is not None and queries.names != names:
            self._node.get_logger().info(f"looking for {', '.join(queries.names)}")
        self._on_change()

    def _fail(self, error: Exception) -> None:
        reason = one_line(error) if isinstance(error, SpaceClipError) else describe(error)
        kept = f"; still looking for {', '.join(self.current.names)}" if self.current else ""
        # Not throttled by time, as somebody waits for the answer; but a query that is repeated is refused in silence.
        if reason != self.problem:
            self._node.get_logger().warning(f"{reason}{kept}")
        self.problem = reason

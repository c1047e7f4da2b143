"""One run of the demo: starts the processes, watches the drive play, and collects the results."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from space_clip_ros.config import EvaluatorConfig, NodeConfig
from space_clip_ros.evaluation.metrics import MetricAverage
from space_clip_ros.geometry.color import Rgb
from space_clip_ros.geometry.depth import Depth
from space_clip_ros.messages.diagnostics import DepthValues, EvaluationValues, PlaybackValues
from space_clip_ros.ros.drive.depth_evaluator import fitted
from space_clip_ros.ros.executables import DEPTH_EVALUATOR, DEPTH_NODE
from space_clip_ros.tools.demo.live_view import LiveView
from space_clip_ros.tools.demo.recording import Recording
from space_clip_ros.tools.demo.report import KeptFrame, ReportFrame
from space_clip_ros.tools.demo.sources import DemoSource
from space_clip_ros.tools.demo.subscriber import DemoSubscriber
from space_clip_ros.tools.demo.summary import summarize
from space_clip_ros.tools.latency import percentiles
from space_clip_ros.tools.processes import Child, ChildError, Children
from space_clip_ros.tools.terminal import Terminal

_START_S = 180.0
_WATCHER_S = 20.0
_STRAGGLERS_S = 3.0
_RECENT = 50
_REPORT_S = 5.0
_RECORDER_S = 60.0
_TICK_S = 0.1
_ASKED_FOR = ("car", "person")
_SURE = {"semantic.threshold": 0.6, "semantic.min_patches": 24.0}
"""Only large and confident objects are shown, because a closed list of names finds specks of cars everywhere."""


@dataclass(frozen=True)
class DemoPlan:
    """What to play, and the model to play it into.

    Attributes:
        source: the drive or bag.
        rate_hz: frames per second.
        model: name or file.
        backend: the inference backend that runs it.
        folder: where parameter files, logs and the evaluator's results go.
        recording: where inputs and outputs are recorded, or None.
        view: the live page, or None.
        parameters: more ROS parameters of the node, by their dotted names.
    """

    source: DemoSource
    rate_hz: float
    model: str
    backend: str
    folder: Path
    recording: Recording | None = None
    view: LiveView | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)


class DemoRun:
    """Runs a :class:`DemoPlan`. The caller makes the child processes' manager and the subscriber, and closes them."""

    def __init__(self, plan: DemoPlan, children: Children, subscriber: DemoSubscriber, terminal: Terminal) -> None:
        """Keep the arguments; :meth:`run` does the work."""
        self._plan = plan
        self._children = children
        self._subscriber = subscriber
        self._terminal = terminal

    def run(self, about: Mapping[str, Any]) -> dict[str, Any]:
        """Play the source; return the summary, which includes ``about`` as it is.

        Raises:
            ChildError: a process failed; the message has its last lines.
        """
        plan = self._plan
        evaluation = plan.folder / "evaluation.json"
        evaluation.unlink(missing_ok=True)
        if plan.view is not None:
            plan.view.start(self._children)
            self._terminal.say(f"live view: {plan.view.url}")
        given = {"model": plan.model, "backend": plan.backend, "image_transport": plan.source.transport}
        node = self._children.start(DEPTH_NODE, {**given, **_SURE, **plan.parameters})
        self._wait_until_active(node)
        uncertainty = self._gives_uncertainty()
        if uncertainty:
            self._subscriber.add_uncertainty()
        self._ask()
        self._warm_up(node)
        evaluator = self._children.start(DEPTH_EVALUATOR, {"json": str(evaluation)})
        recorders = [] if plan.recording is None else [plan.recording.start(self._children, uncertainty)]
        self._wait_until_connected(node)
        self._wait_until_watched()
        playing = plan.source.player(plan.rate_hz, self._subscriber.image_subscribers())
        player = self._children.start(playing.module, playing.parameters, playing.arguments, playing.remaps)
        self._watch(player, *recorders)
        self._terminal.clear()
        for recorder in recorders:
            # It has the lowest priority, so on a busy machine it still has messages to write.
            recorder.stop(_RECORDER_S)
        for child in (evaluator, node):
            child.stop()
        for child in (*recorders, evaluator, node):
            child.check(may_end=True)
        arrivals, values = self._subscriber.arrivals, self._subscriber.values(DepthValues)
        return summarize(arrivals, self._sent(), values, json.loads(evaluation.read_text(encoding="utf-8")), about)

    def report_frames(self) -> list[ReportFrame]:
        """Return the frames kept for the report, each with its image and truth."""
        kept = self._subscriber.kept(self._sent() - self._seen())
        inputs = self._plan.source.frames_at([frame.index for frame in kept])
        return [_report_frame(frame, image, truth) for frame, (image, truth) in zip(kept, inputs, strict=True)]

    def _wait_until_active(self, node: Child) -> None:
        """Wait until the model is loaded."""
        deadline = time.monotonic() + _START_S
        while not self._subscriber.node_is_active():
            self._check_node(node)
            self._terminal.show(f"loading {self._plan.model} ...")
            if time.monotonic() > deadline:
                raise ChildError(node.name, f"is not active after {_START_S:g} s", f"see {node.log}")

    def _warm_up(self, node: Child) -> None:
        """Wait until the model has processed an image, with everything that is subscribed to."""
        self._terminal.show("warming up ...")
        if not self._subscriber.warm_up(*self._plan.source.first_image()):
            self._children.check()
            raise ChildError(node.name, f"published nothing for the first image; {node.last_lines()}")

    def _gives_uncertainty(self) -> bool:
        """Return whether the model gives uncertainty, according to the node's diagnostics."""
        self._subscriber.spin(_REPORT_S, lambda: self._subscriber.values(DepthValues).uncertainty is not None)
        return bool(self._subscriber.values(DepthValues).uncertainty)

    def _ask(self) -> None:
        """Query common objects, if the model has names for them."""
        known = (self._subscriber.values(DepthValues).vocabulary or "").split(", ")
        names = [name for name in _ASKED_FOR if name in known]
        if names and not self._subscriber.ask(names):
            self._terminal.say(f"the node did not accept the query for {' and '.join(names)}")

    def _check_node(self, node: Child) -> None:
        """Raise the reason why the node cannot become active, which is in its diagnostics."""
        self._children.check()
        values = self._subscriber.values(DepthValues)
        if values.failure or values.model_given_up:
            raise ChildError(node.name, self._subscriber.message(DepthValues))

    def _wait_until_connected(self, node: Child) -> None:
        """Wait until every process has found the others; on a busy machine they take long to start."""
        recorded = self._plan.recording is not None
        deadline = time.monotonic() + _START_S
        while not self._subscriber.spin(_TICK_S, lambda: self._subscriber.is_connected(recorded)):
            self._children.check()
            self._terminal.show("waiting until the processes have found each other ...")
            if time.monotonic() > deadline:
                raise ChildError(
                    f"the processes did not find each other within {_START_S:g} s",
                    remedy=f"see the logs in {node.log.parent}, and check that nothing blocks UDP on this machine",
                )

    def _wait_until_watched(self) -> None:
        """Give people some time to open the live view, because a drive may be over in seconds."""
        deadline = time.monotonic() + _WATCHER_S
        while self._plan.view is not None and not self._subscriber.is_watched() and time.monotonic() < deadline:
            self._terminal.show(f"waiting for {self._plan.view.url} to be opened; playing soon in any case ...")
            self._subscriber.spin(_TICK_S)
            self._children.check()

    def _watch(self, player: Child, *recorders: Child) -> None:
        """Process messages until the drive is over and its last outputs have arrived, or the wait for them ends."""
        may_end = (player, *recorders)
        while player.running:
            self._subscriber.spin(_TICK_S)
            self._children.check(may_end)
            if self._subscriber.sent:
                self._terminal.show(self._progress())
        self._children.check(may_end)
        self._subscriber.spin(_STRAGGLERS_S, self._subscriber.everything_arrived)
        # Wait for one more report of the node, so that its counts and times include the last frame.
        self._subscriber.spin(1.5 * NodeConfig().diagnostics.period)
        self._children.check(may_end)

    def _progress(self) -> str:
        arrivals = self._subscriber.arrivals
        sent, total = self._seen(), self._plan.source.frame_count
        words = [f"frame {sent}/{total}, {len(arrivals.complete())} received"]
        rate, recent = arrivals.rate_hz(), percentiles(arrivals.overall_ms()[-_RECENT:])
        if rate and recent:
            words += [f"{rate:.1f} Hz", f"latency {recent['p50']:.0f} ms (p95 {recent['p95']:.0f})"]
        error = self._subscriber.values(EvaluationValues).abs_rel
        if error is not None:
            words.append(f"abs_rel {error:.3f}")
        return "  ".join(words)

    def _sent(self) -> int:
        """Return the number of frames sent, as the player reports it or, failing that, as seen here."""
        sent = self._subscriber.values(PlaybackValues).frames_sent
        return self._seen() if sent is None else sent

    def _seen(self) -> int:
        """Return the number of frames seen here; a bag may hold more ``camera_info`` than images."""
        return min(len(self._subscriber.sent), self._plan.source.frame_count)


def _report_frame(frame: KeptFrame, image: Rgb, truth: Depth) -> ReportFrame:
    settings = EvaluatorConfig()
    average = MetricAverage(settings.min_depth, settings.max_depth, settings.crop)
    metrics = average.add(fitted(frame.depth, truth), truth)
    note = f"abs_rel {metrics['abs_rel']:.3f}" if metrics else ""
    return ReportFrame(**vars(frame), image=image, truth=truth, note=note)

"""One run of the demo: starts the processes, watches the drive play, and gathers what came of it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.config import EvaluatorConfig, NodeConfig
from space_clip_ros.evaluation.metrics import MetricAverage
from space_clip_ros.geometry.depth import Depth
from space_clip_ros.ros.drive.depth_evaluator import fitted
from space_clip_ros.tools.demo.recorder import DemoRecorder
from space_clip_ros.tools.demo.recording import Recording
from space_clip_ros.tools.demo.report import ReportFrame
from space_clip_ros.tools.demo.sources import Rgb, Source
from space_clip_ros.tools.demo.summary import summarize
from space_clip_ros.tools.demo.view import LiveView
from space_clip_ros.tools.latency import percentiles
from space_clip_ros.tools.processes import Child, ChildError, Children
from space_clip_ros.tools.terminal import Terminal

_START_S = 180.0
_WIRING_S = 20.0
_WATCHER_S = 20.0
_STRAGGLERS_S = 3.0
_RECENT = 50
_TICK_S = 0.1


@dataclass(frozen=True)
class Job:
    """What to play, and into which model.

    Attributes:
        source: the drive or bag.
        rate_hz: frames per second.
        model: name or file.
        backend: what runs it.
        folder: where parameter files, logs and the evaluator's table go.
        recording: where inputs and outputs are recorded, or None.
        view: the page to watch on, or None.
    """

    source: Source
    rate_hz: float
    model: str
    backend: str
    folder: Path
    recording: Recording | None = None
    view: LiveView | None = None


class DemoRun:
    """Runs a :class:`Job` with child processes and a recorder that the caller made and cleans up."""

    def __init__(self, job: Job, children: Children, recorder: DemoRecorder, terminal: Terminal) -> None:
        """Keep the arguments; :meth:`run` does the work."""
        self._job = job
        self._children = children
        self._recorder = recorder
        self._terminal = terminal

    def run(self, about: Mapping[str, Any]) -> dict[str, Any]:
        """Play the source; return the summary, with ``about`` taken over.

        Raises:
            ChildError: a process failed; the message has its last lines.
        """
        table = self._job.folder / "evaluation.json"
        table.unlink(missing_ok=True)
        job = self._job
        if job.view is not None:
            job.view.start(self._children)
            self._terminal.say(f"live view: {job.view.url}")
        transport = {"image_transport": job.source.transport}
        node = self._children.start("depth_node", {"model": job.model, "backend": job.backend, **transport})
        self._wait_until_ready(node)
        evaluator = self._children.start("depth_evaluator", {"json": str(table)})
        recorders = [] if job.recording is None else [job.recording.start(self._children)]
        self._wait_until_wired(node)
        self._wait_until_watched()
        playing = job.source.playing(job.rate_hz, self._recorder.listeners())
        player = self._children.start(playing.program, playing.parameters, playing.arguments, playing.remaps)
        self._watch(player, *recorders)
        self._terminal.clear()
        for child in (*recorders, evaluator, node):
            child.stop()
            child.check(may_end=True)
        evaluation = json.loads(table.read_text(encoding="utf-8"))
        return summarize(self._recorder.arrivals, self._sent(), self._recorder.status("depth"), evaluation, about)

    def shown(self) -> list[ReportFrame]:
        """Return the frames kept for the report."""
        kept = self._recorder.kept()
        frames = self._job.source.frames_at([index for index, *_ in kept])
        return [self._shown(*outputs, *frame) for outputs, frame in zip(kept, frames, strict=True)]

    def _shown(
        self, index: int, depth: Depth, points: Depth, colors: NDArray[np.uint8], image: Rgb, truth: Depth
    ) -> ReportFrame:
        settings = EvaluatorConfig()
        average = MetricAverage(settings.min_depth, settings.max_depth, settings.crop)
        metrics = average.add(fitted(depth, truth), truth)
        note = f"abs_rel {metrics['abs_rel']:.3f}" if metrics else ""
        return ReportFrame(index, image, depth, truth, points, colors, note)

    def _wait_until_ready(self, node: Child) -> None:
        """Wait until the model is loaded and has seen an image."""
        deadline = time.monotonic() + _START_S
        while not self._recorder.node_is_active():
            self._check_node(node)
            self._terminal.show(f"loading {self._job.model} ...")
            if time.monotonic() > deadline:
                raise ChildError(f"{node.name} is not active after {_START_S:g} s; see {node.log}")
        self._terminal.show("warming up ...")
        if not self._recorder.prime(*self._job.source.first()):
            self._children.check()
            raise ChildError(f"{node.name} answered nothing to the first image; {node.told()}")

    def _check_node(self, node: Child) -> None:
        """Raise the reason why the node cannot become active, as its diagnostics give it."""
        self._children.check()
        if "failed" in (reason := self._recorder.status("depth").get("message", "")):
            raise ChildError(f"{node.name}: {reason}")

    def _wait_until_wired(self, node: Child) -> None:
        recorded = self._job.recording is not None
        if not self._recorder.spin(_WIRING_S, lambda: self._recorder.wired(recorded)):
            self._children.check()
            raise ChildError(
                f"the processes did not find each other within {_WIRING_S:g} s; see the logs in {node.log.parent}, and "
                "check that nothing blocks UDP on this machine"
            )

    def _wait_until_watched(self) -> None:
        """Give whoever asked for the live view a while to open it, as a drive may be over in seconds."""
        deadline = time.monotonic() + _WATCHER_S
        while self._job.view is not None and not self._recorder.watched() and time.monotonic() < deadline:
            self._terminal.show(f"waiting for {self._job.view.url} to be opened; playing soon in any case ...")
            self._recorder.spin(_TICK_S)
            self._children.check()

    def _watch(self, player: Child, *recorders: Child) -> None:
        """Take messages until the drive is over and the last outputs have arrived or are given up."""
        may_end = (player, *recorders)
        while player.running:
            self._recorder.spin(_TICK_S)
            self._children.check(may_end)
            if self._recorder.sent:
                self._terminal.show(self._progress())
        self._children.check(may_end)
        self._recorder.spin(_STRAGGLERS_S, self._recorder.everything_arrived)
        # One more report of the node, so that its counts and times hold the last frame too.
        self._recorder.spin(1.5 * NodeConfig().diagnostics.period)
        self._children.check(may_end)

    def _progress(self) -> str:
        arrivals = self._recorder.arrivals
        parts = [f"frame {len(self._recorder.sent)}/{self._job.source.frames}, {len(arrivals.complete())} received"]
        rate, recent = arrivals.rate_hz(), percentiles(arrivals.overall_ms()[-_RECENT:])
        if rate and recent:
            parts += [f"{rate:.1f} Hz", f"latency {recent['p50']:.0f} ms (p95 {recent['p95']:.0f})"]
        error = self._recorder.status("depth_evaluator").get("abs_rel")
        if error:
            parts.append(f"abs_rel {float(error):.3f}")
        return "  ".join(parts)

    def _sent(self) -> int:
        """Frames that the player says it published; what arrived here of them where it could not say."""
        return int(self._recorder.status("kitti_player").get("frames_sent", len(self._recorder.sent)))

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

from space_clip_ros.config import EvaluatorConfig, NodeConfig, PlayerConfig
from space_clip_ros.data.kitti import KittiDrive
from space_clip_ros.evaluation.metrics import MetricAverage
from space_clip_ros.geometry.depth import Depth
from space_clip_ros.ros.demo_processes import Child, ChildError, Children
from space_clip_ros.ros.demo_recorder import DemoRecorder
from space_clip_ros.ros.demo_report import ReportFrame
from space_clip_ros.ros.demo_summary import summarize
from space_clip_ros.ros.depth_evaluator import fitted
from space_clip_ros.ros.latency import percentiles
from space_clip_ros.ros.playback import Timetable
from space_clip_ros.ros.terminal import Terminal

_START_S = 180.0
_WIRING_S = 20.0
_STRAGGLERS_S = 3.0
_RECENT = 50
_TICK_S = 0.1


@dataclass(frozen=True)
class Job:
    """What to play, and into which model.

    Attributes:
        drive: the drive.
        frames: how many of its frames.
        rate_hz: frames per second.
        model: name or file.
        backend: what runs it.
        folder: where parameter files, logs and the evaluator's table go.
    """

    drive: KittiDrive
    frames: int
    rate_hz: float
    model: str
    backend: str
    folder: Path


class DemoRun:
    """Runs a :class:`Job` with child processes and a recorder that the caller made and cleans up."""

    def __init__(self, job: Job, children: Children, recorder: DemoRecorder, terminal: Terminal) -> None:
        """Keep the arguments; :meth:`run` does the work."""
        self._job = job
        self._children = children
        self._recorder = recorder
        self._terminal = terminal

    def run(self, about: Mapping[str, Any]) -> dict[str, Any]:
        """Play the drive; return the summary, with ``about`` taken over.

        Raises:
            ChildError: a process failed; the message has its last lines.
        """
        table = self._job.folder / "evaluation.json"
        table.unlink(missing_ok=True)
        node = self._children.start("depth_node", {"model": self._job.model, "backend": self._job.backend})
        self._wait_until_ready(node)
        evaluator = self._children.start("depth_evaluator", {"json": str(table)})
        self._wait_until_wired(node)
        player = self._children.start("kitti_player", self._player_parameters())
        self._watch(player)
        self._terminal.clear()
        for child in (evaluator, node):
            child.stop()
            child.check(may_end=True)
        evaluation = json.loads(table.read_text(encoding="utf-8"))
        return summarize(self._recorder.arrivals, self._sent(), self._status("depth"), evaluation, about)

    def shown(self) -> list[ReportFrame]:
        """Return the frames kept for the report."""
        return [self._shown(*kept) for kept in self._recorder.kept()]

    def _shown(self, index: int, depth: Depth, points: Depth, colors: NDArray[np.uint8]) -> ReportFrame:
        drive, settings = self._job.drive, EvaluatorConfig()
        image = drive.image(index)
        truth = np.full(image.shape[:2], np.nan, np.float32)
        if drive.has_ground_truth(index):
            truth = drive.ground_truth(index)
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
        drive = self._job.drive
        if not self._recorder.prime(drive.image(0), drive.camera, PlayerConfig().frame_id):
            self._children.check()
            raise ChildError(f"{node.name} answered nothing to the first image; {node.told()}")

    def _check_node(self, node: Child) -> None:
        """Raise the reason why the node cannot become active, as its diagnostics give it."""
        self._children.check()
        if "failed" in (reason := self._status("depth").get("message", "")):
            raise ChildError(f"{node.name}: {reason}")

    def _wait_until_wired(self, node: Child) -> None:
        if not self._recorder.spin(_WIRING_S, self._recorder.wired):
            self._children.check()
            raise ChildError(
                f"the processes did not find each other within {_WIRING_S:g} s; see the logs in {node.log.parent}, and "
                "check that nothing blocks UDP on this machine"
            )

    def _player_parameters(self) -> dict[str, Any]:
        job = self._job
        own_hz = Timetable(job.drive.stamps_ns[: job.frames].tolist(), 1.0).frame_rate
        return {
            "drive": str(job.drive.path.resolve()),
            "frames": job.frames,
            "rate": job.rate_hz / own_hz,
            "stamps": "now",
        }

    def _watch(self, player: Child) -> None:
        """Take messages until the drive is over and the last outputs have arrived or are given up."""
        while player.running:
            self._recorder.spin(_TICK_S)
            self._children.check(may_end=(player,))
            if self._recorder.sent:
                self._terminal.show(self._progress())
        self._children.check(may_end=(player,))
        self._recorder.spin(_STRAGGLERS_S, self._recorder.everything_arrived)
        # One more report of the node, so that its counts and times hold the last frame too.
        self._recorder.spin(1.5 * NodeConfig().diagnostics.period)
        self._children.check(may_end=(player,))

    def _progress(self) -> str:
        arrivals = self._recorder.arrivals
        parts = [f"frame {len(self._recorder.sent)}/{self._job.frames}, {len(arrivals.complete())} received"]
        rate, recent = arrivals.rate_hz(), percentiles(arrivals.overall_ms()[-_RECENT:])
        if rate and recent:
            parts += [f"{rate:.1f} Hz", f"latency {recent['p50']:.0f} ms (p95 {recent['p95']:.0f})"]
        error = self._status("depth_evaluator").get("abs_rel")
        if error:
            parts.append(f"abs_rel {float(error):.3f}")
        return "  ".join(parts)

    def _sent(self) -> int:
        """Frames that the player says it published; what arrived here of them where it could not say."""
        return int(self._status("kitti_player").get("frames_sent", len(self._recorder.sent)))

    def _status(self, node: str) -> dict[str, str]:
        """Return the newest diagnostics of one node; statuses are named ``node: what``."""
        found: dict[str, str] = {}
        for name, values in self._recorder.diagnostics.items():
            if name.partition(":")[0].strip().lstrip("/") == node:
                found.update(values)
        return found

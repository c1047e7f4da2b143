"""All cameras of the node and the one worker that runs the model for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rclpy.lifecycle import LifecycleNode

from space_clip_ros.config import NodeConfig
from space_clip_ros.errors import BackendError, describe
from space_clip_ros.perception.pipeline import Prepared
from space_clip_ros.ros.common.throttled_log import ThrottledLog
from space_clip_ros.ros.node.camera_stream import CameraStream, WarmUp
from space_clip_ros.ros.node.recovering_model import Engine
from space_clip_ros.ros.node.statistics import Statistics
from space_clip_ros.ros.node.worker import Worker

_STOP_S = 30.0

Job = tuple[CameraStream, Any]
Ready = tuple[CameraStream, Prepared]


class Cameras:
    """One stream a camera, one engine for all.

    Of each camera the newest image waits; cameras are served in turn, so one that floods slows down the others no more
    than one that does not. Where the backend gains by it, images that wait together run together.

    Args:
        node: whose topics they are.
        engine: the loaded model.
        settings: returns the parameters of the moment.
        statistics: the cameras' numbers, by their names; one camera without a name has the plain topics.
        log: where faults are said.
    """

    def __init__(
        self,
        node: LifecycleNode,
        engine: Engine,
        settings: Callable[[], NodeConfig],
        statistics: Mapping[str, Statistics],
        log: ThrottledLog,
    ) -> None:
        """Create every camera's publishers, all or none."""
        self._engine = engine
        self._log = log
        self.streams: list[CameraStream] = []
        try:
            for name, numbers in statistics.items():
                own_log = ThrottledLog(node.get_logger(), prefix=f"{name}: " if name else "")
                self.streams.append(CameraStream(node, name, engine.info, settings, numbers, own_log, self._put))
        except Exception:
            self.destroy()
            raise
        self._worker: Worker[Job] = Worker(
            self._process,
            self._on_error,
            "depth worker",
            together=len(self.streams) if engine.batches else 1,
            wait_s=lambda: settings().batch_wait,
        )

    def start(self) -> None:
        """Subscribe to every camera and start the worker."""
        self._engine.reset()
        for stream in self.streams:
            stream.start()
        self._worker.start()

    def stop(self) -> None:
        """Unsubscribe, throw away what waits and let the frames in work finish.

        Raises:
            BackendError: the engine did not finish its frame in time.
        """
        for stream in self.streams:
            stream.stop()
        if not self._worker.stop(_STOP_S):
            raise BackendError(f"the engine did not finish its frame within {_STOP_S:g} s; restart the node")

    def destroy(self) -> None:
        """Take the publishers back; the cameras must be stopped."""
        for stream in self.streams:
            stream.destroy()

    def _put(self, stream: CameraStream, message: Any) -> bool:
        # A slot of its own, so that it throws away no image; names of cameras have no blanks.
        slot = f"{stream.name} warm-up" if isinstance(message, WarmUp) else stream.name
        return self._worker.put((stream, message), slot)

    def _process(self, jobs: list[Job]) -> None:
        if self._engine.resting():
            for stream, message in jobs:
                if not isinstance(message, WarmUp):
                    stream.statistics.drop("model down", self._engine.problem)
            return
        groups: dict[tuple[int, ...], list[Ready]] = {}
        for stream, message in jobs:
            if isinstance(message, WarmUp):
                self._engine.warm_up(message.height, message.width, len(self.streams))
                continue
            with stream.faults_cost_a_frame():
                prepared = stream.pipeline.prepare(message)
                if prepared is not None:
                    groups.setdefault(prepared.rgb.shape, []).append((stream, prepared))
        for group in groups.values():
            self._compute(group)

    def _compute(self, group: list[Ready]) -> None:
        try:
            predictions = self._engine.run([prepared.rgb for _, prepared in group])
        except Exception as error:
            for stream, _ in group:
                with stream.faults_cost_a_frame():
                    raise error
            return
        for _, prepared in group:
            prepared.watch.lap("engine")
        for (stream, prepared), prediction in zip(group, predictions, strict=True):
            with stream.faults_cost_a_frame():
                stream.pipeline.complete(prepared, prediction)

    def _on_error(self, error: Exception) -> None:
        self._log.error("worker", f"frames left out: {describe(error)}")

"""An image's way through the node: convert, compute, publish. Cameras, scheduler and core, tied together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rclpy.lifecycle import LifecycleNode

from space_clip_ros.config import NodeConfig
from space_clip_ros.errors import BackendError, describe
from space_clip_ros.messages.diagnostics import Drop
from space_clip_ros.perception.core import DepthCore
from space_clip_ros.perception.frame import DepthRequest
from space_clip_ros.ros.common.throttled_log import ThrottledLog
from space_clip_ros.ros.node.camera import Camera, Job, WarmUp
from space_clip_ros.ros.node.queries import Queries
from space_clip_ros.ros.node.recovering_model import RecoveringModel
from space_clip_ros.ros.node.scheduler import Scheduler
from space_clip_ros.ros.node.statistics import Statistics
from space_clip_ros.ros.node.transforms import Transforms

_STOP_S = 30.0


class Pipeline:
    """All cameras of the node, and the one worker that runs the model for them.

    Only the newest image of each camera waits, and cameras are served in turn. Where that makes the backend faster,
    images that wait together run together.

    Args:
        node: the node whose topics they are.
        model: the loaded model.
        settings: returns the current parameters.
        statistics: the cameras' numbers by their names; a camera without a name has the plain topics.
        log: where faults are logged.

    Attributes:
        cameras: all of them.
        queries: what the node looks for by name.
    """

    def __init__(
        self,
        node: LifecycleNode,
        model: RecoveringModel,
        settings: Callable[[], NodeConfig],
        statistics: Mapping[str, Statistics],
        log: ThrottledLog,
    ) -> None:
        """Create every camera's publishers, all or none."""
        self._model = model
        self._core = DepthCore(model)
        self._log = log
        self._scheduler: Scheduler[Job] = Scheduler(
            self._process,
            self._on_error,
            "depth worker",
            together=len(statistics) if model.batches else 1,
            wait_s=lambda: settings().batch_wait,
        )
        self._transforms = Transforms(node)
        self.cameras: list[Camera] = []
        self.queries = Queries(node, lambda: model.info, settings, log, self._name_labels)
        try:
            for name, numbers in statistics.items():
                own_log = ThrottledLog(node.get_logger(), prefix=f"{name}: " if name else "")
                self.cameras.append(
                    Camera(
                        node,
                        name,
                        settings,
                        numbers,
                        own_log,
                        self._scheduler,
                        self._core,
                        self._transforms,
                        self.queries,
                    )
                )
        except Exception:
            self.destroy()
            raise

    def start(self) -> None:
        """Subscribe to every camera and start the worker."""
        self._model.reset()
        for camera in self.cameras:
            camera.start()
        self.queries.start()
        self._scheduler.start()

    def follow_parameters(self) -> None:
        """Follow changed parameters."""
        self.queries.follow()
        for camera in self.cameras:
            camera.follow_parameters()

    def forget_poses(self) -> None:
        """Forget the poses of moving frames, because the clock jumped back."""
        self._transforms.forget()

    def stop(self) -> None:
        """Unsubscribe, drop waiting images, and let the worker finish its current ones.

        Raises:
            BackendError: the model did not finish its image in time.
        """
        for camera in self.cameras:
            camera.stop()
        self.queries.stop()
        if not self._scheduler.stop(_STOP_S):
            raise BackendError(f"the model did not finish its image within {_STOP_S:g} s", remedy="restart the node")

    def destroy(self) -> None:
        """Destroy the publishers; the pipeline must be stopped."""
        for camera in self.cameras:
            camera.destroy()
        self._transforms.stop()

    def _process(self, jobs: list[Job]) -> None:
        """Take messages that wait together from image to outputs; runs in the worker's thread."""
        if self._model.resting():
            for camera, message in jobs:
                if not isinstance(message, WarmUp):
                    camera.statistics.drop(Drop.MODEL_DOWN, self._model.problem)
            return
        accepted = self._convert(jobs)
        results = self._core.run([request for _, _, request in accepted])
        for (camera, header, _), result in zip(accepted, results, strict=True):
            if isinstance(result, Exception):
                camera.lose(result)
                continue
            try:
                camera.publish(header, result)
            except Exception as error:
                camera.lose(error)

    def _convert(self, jobs: list[Job]) -> list[tuple[Camera, Any, DepthRequest]]:
        accepted = []
        for camera, message in jobs:
            if isinstance(message, WarmUp):
                self._model.warm_up(message.height, message.width, len(self.cameras))
                camera.ready = True
                continue
            try:
                request = camera.request(message)
            except Exception as error:
                camera.lose(error)
                continue
            if request is not None:
                accepted.append((camera, message.header, request))
        return accepted

    def _name_labels(self) -> None:
        for camera in self.cameras:
            camera.name_labels()

    def _on_error(self, error: Exception) -> None:
        self._log.error("worker", f"frames left out: {describe(error)}")

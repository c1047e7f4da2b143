"""The node ``depth``: images in; metric depth, clouds and pictures out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from rclpy.clock import Clock, JumpThreshold
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn

from space_clip_ros.config import NodeConfig
from space_clip_ros.errors import DeviceLostError, SpaceClipError, describe, one_line
from space_clip_ros.inference import load_predictor
from space_clip_ros.inference.predictor import Predictor
from space_clip_ros.messages.diagnostics import NodeState
from space_clip_ros.ros.common import spin
from space_clip_ros.ros.common.parameters import Parameters
from space_clip_ros.ros.common.throttled_log import ThrottledLog
from space_clip_ros.ros.node.pipeline import Pipeline
from space_clip_ros.ros.node.recovering_model import RecoveringModel
from space_clip_ros.ros.node.reporter import NodeParts, Reporter
from space_clip_ros.ros.node.statistics import Statistics

Result = TransitionCallbackReturn

# How often to look for a publisher that latches its camera_info.
_LATCHED_S = 1.0


class DepthNode(LifecycleNode):
    """Lifecycle node: configure loads the model, activate subscribes, deactivate stops, cleanup frees the model.

    With ``autostart`` it configures and activates itself as soon as it spins; if that fails it logs
    why and stays as it is, and a lifecycle manager may try again.

    Args:
        finish: called with the error after which only a new process can use the GPU.
        node_arguments: rclpy's own.

    Raises:
        ConfigError: parameters that cannot be used.
    """

    def __init__(self, finish: spin.Finish = lambda failure=None: None, **node_arguments: Any) -> None:
        """Declare the parameters and start reporting; nothing is loaded yet."""
        super().__init__("depth", **node_arguments)
        self._finish = finish
        self._state = NodeState.UNCONFIGURED
        self._failure = ""
        self._model: RecoveringModel | None = None
        self._pipeline: Pipeline | None = None
        self._log = ThrottledLog(self.get_logger())
        self._declared = Parameters(self, NodeConfig, self._on_parameters)
        self._statistics = {name: Statistics() for name in self._settings().cameras}
        self._reporter = Reporter(self, self._settings, self._statistics, self._parts)
        # Steady timers: reports must continue when simulated time stands still.
        # The enumeration moved between ROS versions, so it is taken from an existing clock.
        self._steady = Clock(clock_type=type(self.get_clock().clock_type).STEADY_TIME)
        self._timer = self.create_timer(self._settings().diagnostics.period, self._reporter.report, clock=self._steady)
        self._latched_timer = self.create_timer(_LATCHED_S, self._hear_latched_info, clock=self._steady)
        self._jump = self._watch_clock()
        if self._settings().autostart:
            self._autostart = self.create_timer(0.001, self._start_by_itself, clock=self._steady)

    def on_configure(self, state: Any) -> Result:
        """Load the model and create the publishers."""
        return self._transition("configure", NodeState.INACTIVE, self._configure, partial(super().on_configure, state))

    def on_activate(self, state: Any) -> Result:
        """Open the publishers, subscribe and start the worker."""
        return self._transition("activate", NodeState.ACTIVE, partial(super().on_activate, state), self._activate)

    def on_deactivate(self, state: Any) -> Result:
        """Unsubscribe, drop waiting images and let the current one finish."""
        return self._transition(
            "deactivate", NodeState.INACTIVE, self._deactivate, partial(super().on_deactivate, state)
        )

    def on_cleanup(self, state: Any) -> Result:
        """Free the model and destroy the publishers."""
        return self._transition("cleanup", NodeState.UNCONFIGURED, self._release, partial(super().on_cleanup, state))

    def on_shutdown(self, state: Any) -> Result:
        """Stop and free everything, from any state."""
        return self._transition("shutdown", NodeState.FINALIZED, self._release, partial(super().on_shutdown, state))

    def _LifecycleNodeMixin__on_change_state(self, request: Any, response: Any) -> Any:  # noqa: N802
        """Refuse a transition that the node's state does not have.

        This replaces a private method of rclpy, which before ros2/rclpy#1319 lets the error end the process.
        """
        mixin: Any = super()
        try:
            return mixin._LifecycleNodeMixin__on_change_state(request, response)
        except RuntimeError as error:
            self._refuse(f"transition {request.transition.id}", error)
            response.success = False
            return response

    def close(self) -> str:
        """Stop and free everything at the end of the process; return the last log line."""
        if self._failure or (self._model is not None and self._model.lost):
            self._reporter.report()
        self._release()
        published = sum(statistics.snapshot().published for statistics in self._statistics.values())
        return f"stopped after {published} frames"

    def _transition(self, name: str, next_state: NodeState, *steps: Callable[[], Any]) -> Result:
        """Run a transition's steps and log why one failed; rclpy would swallow its exception."""
        try:
            for step in steps:
                step()
        except Exception as error:
            reason = one_line(error) if isinstance(error, SpaceClipError) else describe(error)
            self._failure = f"{name} failed: {reason}"
            self.get_logger().error(self._failure)
            if isinstance(error, DeviceLostError):
                self._finish(error)
            return Result.FAILURE
        self._state, self._failure = next_state, ""
        return Result.SUCCESS

    def _configure(self) -> None:
        model = RecoveringModel(self._load, lambda: self._settings().engine_retries, self._log, end=self._finish)
        try:
            self._pipeline = Pipeline(self, model, self._settings, self._statistics, self._log)
        except Exception:
            model.close()
            raise
        self._model = model
        info = model.info
        passed_over = f"; not used: {', '.join(info.passed_over)}" if info.passed_over else ""
        self.get_logger().info(
            f"{info.name} on {info.backend}, {info.device}, {info.precision}: {info.file}{passed_over}"
        )
        if info.units_text and self._settings().scale.mode == "none":
            self.get_logger().warning(info.units_text)

    def _load(self) -> Predictor:
        settings = self._settings()
        predictor = load_predictor(settings.model, **settings.running())
        try:
            if predictor.info.fixed_size is not None:
                predictor.warm_up(*predictor.info.fixed_size)
        except Exception:
            predictor.close()
            raise
        return predictor

    def _activate(self) -> None:
        if self._pipeline is not None:
            self._reset_statistics()
            self._pipeline.start()
            topics = ", ".join(camera.image_topic for camera in self._pipeline.cameras)
            self.get_logger().info(f"active, waiting for images on {topics}")

    def _deactivate(self) -> None:
        if self._pipeline is not None:
            self._pipeline.stop()

    def _release(self) -> None:
        if self._pipeline is not None:
            self._pipeline.stop()
            self._pipeline.destroy()
            self._pipeline = None
        if self._model is not None:
            self._model.close()
            self._model = None

    def _start_by_itself(self) -> None:
        self.destroy_timer(self._autostart)
        try:
            if self.trigger_configure() == Result.SUCCESS:
                self.trigger_activate()
        except RuntimeError as error:
            # A lifecycle manager has configured the node already.
            self._refuse("autostart", error)

    def _refuse(self, what: str, error: RuntimeError) -> None:
        self.get_logger().warning(f"{what} is not possible while the node is {self._state.value} ({one_line(error)})")

    def _settings(self) -> NodeConfig:
        return self._declared.current

    def _on_parameters(self, settings: NodeConfig) -> None:
        self._timer.timer_period_ns = int(settings.diagnostics.period * 1e9)
        if self._pipeline is not None:
            self._pipeline.follow_parameters()

    def _hear_latched_info(self) -> None:
        for camera in self._pipeline.cameras if self._pipeline is not None else ():
            camera.hear_latched_info()

    def _watch_clock(self) -> Any:
        threshold = JumpThreshold(min_forward=None, min_backward=Duration(seconds=-0.1), on_clock_change=True)
        return self.get_clock().create_jump_callback(threshold, post_callback=self._on_clock_jump)

    def _on_clock_jump(self, jump: Any) -> None:
        if any(statistics.snapshot().received for statistics in self._statistics.values()):
            self._log.warning("clock", "the clock jumped back or changed; statistics start again")
        self._reset_statistics()
        if self._pipeline is not None:
            self._pipeline.forget_poses()

    def _reset_statistics(self) -> None:
        for statistics in self._statistics.values():
            statistics.reset()

    def _parts(self) -> NodeParts:
        cameras = self._pipeline.cameras if self._pipeline is not None else ()
        queries = self._pipeline.queries if self._pipeline is not None else None
        return NodeParts(self._state, self._failure, self._model, {camera.name: camera for camera in cameras}, queries)


def main(args: Sequence[str] | None = None) -> None:
    """Run the node until it is stopped."""
    description = "Images in; metric depth, clouds and colour images out. Topics: docs/nodes.md."
    example = "--params-file config/depth.yaml -r image:=/camera/image_raw -r camera_info:=/camera/camera_info"
    sys.exit(spin.run(DepthNode, "depth_node", description, args, settings=NodeConfig, example=example))


if __name__ == "__main__":
    main()

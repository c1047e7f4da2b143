"""The part of the benchmark that crosses DDS: from a camera's stamp until a subscriber has depth and cloud.

A sender, ``depth_node`` and this process, which subscribes, are three processes on one machine, so they share a clock.
``space_clip benchmark --end-to-end`` starts this process.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rclpy.utilities import get_rmw_implementation_identifier
from sensor_msgs.msg import Image, PointCloud2

from space_clip_ros.cli.options import image_size
from space_clip_ros.config import RUNNING, NodeConfig
from space_clip_ros.files import write_json
from space_clip_ros.messages.diagnostics import DepthValues
from space_clip_ros.perception.core import ENGINE
from space_clip_ros.ros.common import dds
from space_clip_ros.ros.common.release import ros_release
from space_clip_ros.ros.executables import DEPTH_NODE
from space_clip_ros.tools import executables
from space_clip_ros.tools.arrival_node import ArrivalNode, running
from space_clip_ros.tools.benchmark.conversions import time_conversions
from space_clip_ros.tools.benchmark.options import add_options
from space_clip_ros.tools.latency import percentiles
from space_clip_ros.tools.processes import Child, ChildError, Children
from space_clip_ros.tools.program import run_program
from space_clip_ros.tools.terminal import Terminal

_OUTPUTS: dict[str, Any] = {"depth/image": Image, "depth/points": PointCloud2}
"""Outputs of the node that are always subscribed to."""
_UNCERTAINTY = "depth/uncertainty"
_PROCESSES = 3
_WARM_UP_FRAMES = 10
_START_TIMEOUT_S = 180.0
_LAST_IMAGES_S = 3.0
_CHECK_S = 0.5
_CONVERSION_RUNS = 50


def main(args: Sequence[str] | None = None) -> int:
    """Measure; return 0 on success, 1 after an error, 2 for wrong usage, 130 after Ctrl-C or SIGTERM."""
    options = _parser().parse_args(args)
    terminal = Terminal(sys.stderr)

    def measure() -> None:
        write_json(options.json, _measure(options, terminal))

    return run_program("end_to_end", measure, terminal)


def overhead_ms(stages_ms: Mapping[str, float]) -> float:
    """Return the time that the node itself takes for an image: all stages but the engine and the engine's parts."""
    return sum(value for name, value in stages_ms.items() if name.partition("/")[0] != ENGINE)


def over_engine_ms(latency_ms: Mapping[str, float] | None, stages_ms: Mapping[str, float]) -> dict[str, float] | None:
    """Return an output's latencies minus the engine's median time; None if either is unknown."""
    if latency_ms is None or ENGINE not in stages_ms:
        return None
    return {name: round(value - stages_ms[ENGINE], 3) for name, value in latency_ms.items()}


def _measure(options: argparse.Namespace, terminal: Terminal) -> list[dict[str, Any]]:
    results = []
    outputs = {**_OUTPUTS, **dict.fromkeys(options.also, Image)}
    # Timed before anything is sent: messages that wait while this process converts would count as late.
    conversions = [time_conversions(width, height, options.stride, _CONVERSION_RUNS) for width, height in options.size]
    with tempfile.TemporaryDirectory(prefix="space_clip_end_to_end_") as name:
        profile = dds.prepare_environment(Path(name), _PROCESSES)
        for number, (size, converted) in enumerate(zip(options.size, conversions, strict=True)):
            folder = Path(name, str(number))
            folder.mkdir()
            with running(lambda: ArrivalNode("end_to_end", outputs)) as receiver, Children(folder) as children:
                run = _Run(options, size, receiver, children, terminal)
                results.append({**run.measure(), "conversions_ms": converted, "dds_profile": _without_folder(profile)})
    terminal.clear()
    return results


class _Run:
    """A run with one image size."""

    def __init__(
        self,
        options: argparse.Namespace,
        size: tuple[int, int],
        receiver: ArrivalNode,
        children: Children,
        terminal: Terminal,
    ) -> None:
        self._options = options
        self._size = size
        self._receiver = receiver
        self._children = children
        self._terminal = terminal

    def measure(self) -> dict[str, Any]:
        options, receiver = self._options, self._receiver
        width, height = self._size
        running = {name: getattr(options, name) for name in ("model", *RUNNING)}
        parameters = {**running, "points.stride": options.stride, "depth_resolution": options.depth_resolution}
        node = self._children.start(DEPTH_NODE, parameters)
        self._children.start(executables.CAMERA_SENDER, {"width": width, "height": height, "rate": options.rate})
        self._warm_up(node)
        receiver.restart()
        self._wait(lambda: len(receiver.sent) >= options.frames, f"{options.frames} images", self._longest_s())
        stamps = set(receiver.sent[: options.frames])
        receiver.spin(_LAST_IMAGES_S, lambda: stamps <= set(receiver.arrivals.complete()))
        # Waits for one more report of the node, which has the times of the last image too.
        receiver.spin(1.5 * NodeConfig().diagnostics.period, lambda: False)
        return self._result(stamps)

    def _warm_up(self, node: Child) -> None:
        def warm() -> bool:
            values = self._receiver.values(DepthValues)
            if values.failure or values.model_problem:
                raise ChildError(node.name, self._receiver.message(DepthValues))
            if values.uncertainty is False and _UNCERTAINTY in self._options.also:
                raise ChildError(node.name, f"the model gives no uncertainty; leave out --also {_UNCERTAINTY}")
            return len(self._receiver.arrivals.complete()) >= _WARM_UP_FRAMES

        self._wait(warm, f"{node.name}'s first outputs", _START_TIMEOUT_S)

    def _wait(self, condition: Any, what: str, seconds: float) -> None:
        width, height = self._size
        deadline = time.monotonic() + seconds
        while not self._receiver.spin(_CHECK_S, condition):
            self._children.check()
            self._terminal.show(f"{width}x{height}: {len(self._receiver.sent)} images sent, waiting for {what}")
            if time.monotonic() > deadline:
                message = self._receiver.message(DepthValues) or "nothing"
                raise ChildError(f"no {what} after {seconds:.0f} s; the node's diagnostics say: {message}")

    def _longest_s(self) -> float:
        return _LAST_IMAGES_S + 3.0 * float(self._options.frames) / float(self._options.rate)

    def _result(self, stamps: set[int]) -> dict[str, Any]:
        receiver, options = self._receiver, self._options
        arrivals = receiver.arrivals
        values = receiver.values(DepthValues)
        stages_ms = dict(values.stages_ms)
        outputs = (*_OUTPUTS, *options.also)
        latency_ms = {output: percentiles(arrivals.latencies_ms(output, stamps)) for output in outputs}
        return {
            "size": list(self._size),
            "rate_hz": options.rate,
            "stride": options.stride,
            "depth_resolution": options.depth_resolution,
            "frames_sent": len(stamps),
            "frames_received": len(stamps & set(arrivals.complete())),
            "latency_ms": latency_ms,
            "over_engine_ms": {output: over_engine_ms(times, stages_ms) for output, times in latency_ms.items()},
            "stages_ms": stages_ms,
            "overhead_ms": round(overhead_ms(stages_ms), 3),
            "model": values.model or "",
            "backend": values.backend or "",
            "rmw": get_rmw_implementation_identifier(),
            "ros_distro": ros_release(os.environ),
        }


def _without_folder(profile: str) -> str:
    """Return the description of a DDS profile without its folder, which may be a temporary one."""
    file, _, remark = profile.partition(" ")
    return f"{Path(file).name} {remark}".strip()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m space_clip_ros.tools.benchmark.end_to_end",
        description="Measures from a camera's stamp to depth and cloud in another process, over DDS.",
        epilog="example: python -m space_clip_ros.tools.benchmark.end_to_end --size 1242x375 --json end_to_end.json",
    )
    add_options(parser)
    parser.add_argument("--size", type=image_size, nargs="+", required=True, metavar="WxH", help="image sizes, pixels")
    parser.add_argument("--json", type=Path, required=True, metavar="FILE", help="file for the result")
    return parser


if __name__ == "__main__":
    sys.exit(main())

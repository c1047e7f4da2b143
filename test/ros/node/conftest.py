"""A robot whose camera shows the node scenes that the model reads depth and names from; the node as a process."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header, String

from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.messages import camera_info_from_camera, image_from_array
from space_clip_ros.messages.diagnostics import DepthValues, status_texts
from space_clip_ros.ros.node.depth_node import DepthNode

FRAME = "camera_optical"
_PATIENCE_S = 30


class Robot:
    """The node under test, a camera that shows it scenes, and what it publishes.

    Attributes:
        node: the node.
        received: messages of each topic, in their order.
        reports: what came on /diagnostics.
    """

    def __init__(self, node: DepthNode, spinning: Callable[..., Any], until: Callable[..., None], coded: Any) -> None:
        self.until = until
        self.node = node
        self._coded = coded
        self._seconds = 10
        self._robot = spinning(Node("robot"))
        self.received: dict[str, list[Any]] = {}
        self.reports: list[DiagnosticArray] = []
        self._images = self._robot.create_publisher(Image, "image", 1)
        self._infos = self._robot.create_publisher(CameraInfo, "camera_info", 1)
        self._queries = self._robot.create_publisher(String, "semantic/query", 1)
        self._robot.create_subscription(DiagnosticArray, "/diagnostics", self.reports.append, 10)
        until(self._images.get_subscription_count, "the image subscription")
        until(self._infos.get_subscription_count, "the camera_info subscription")

    def hear(self, topics: Mapping[str, type]) -> None:
        """Subscribe to topics, each of its type, and wait until the node knows."""
        for topic, kind in topics.items():
            self._robot.create_subscription(kind, topic, self.received.setdefault(topic, []).append, 10)
        publishers = self.node._pipeline.cameras[0].publishers
        self.until(lambda: len(publishers.wanted()) == len(self.received), "the outputs to be matched")

    def show(
        self,
        camera: PinholeCamera,
        depth: np.ndarray,
        labels: np.ndarray | None = None,
        header: Header | None = None,
    ) -> Header:
        """Publish a picture of a scene, before the first one the camera's calibration; return its header."""
        if header is None:
            self._seconds += 1
            header = Header(frame_id=FRAME)
            header.stamp.sec = self._seconds
        calibrations = self.node._pipeline.cameras[0].calibrations
        if not calibrations.frames:
            self._infos.publish(camera_info_from_camera(camera, header))
            self.until(lambda: calibrations.frames, "the camera_info")
        picture = self._coded.picture(depth) if labels is None else self._coded.picture(depth, labels)
        self._images.publish(image_from_array(picture, "rgb8", header))
        return header

    def ask(self, text: str) -> None:
        self.until(self._queries.get_subscription_count, "the query subscription")
        self._queries.publish(String(data=text))

    def looking_for(self, *names: str) -> None:
        current = self.node._pipeline.queries
        self.until(lambda: (current.current.names if current.current else ()) == names, f"queries {names}")

    def next(self, topic: str) -> Any:
        """Wait for the next message of a topic that is heard."""
        before = len(self.received[topic])
        self.until(lambda: len(self.received[topic]) > before, topic)
        return self.received[topic][-1]

    def message(self) -> str:
        """Return the latest report's message; empty before the first."""
        return str(self.reports[-1].status[0].message) if self.reports else ""

    def status(self) -> Any:
        self.until(lambda: self.reports, "a report")
        return self.reports[-1].status[0]

    def values(self) -> DepthValues:
        return DepthValues.read(status_texts(self.status()))


@pytest.fixture
def start_node(
    spinning: Callable[..., Any], until: Callable[..., None], tiny_model_file: Path
) -> Callable[..., DepthNode]:
    """Return a function that starts a node with remaps and parameters, and waits until it is in a state, if any."""

    def start(*remaps: str, model: Path = tiny_model_file, state: str = "active", **parameters: Any) -> DepthNode:
        values = {"model": str(model), "threads": 1, "diagnostics.period": 0.1, **parameters}
        overrides = [Parameter(name, value=value) for name, value in values.items()]
        arguments = ["--ros-args", *(word for remap in remaps for word in ("-r", remap))]
        node: DepthNode = spinning(DepthNode(parameter_overrides=overrides, cli_args=arguments))
        if state:
            until(lambda: node._state == state, f"the node to be {state}")
        return node

    return start


@pytest.fixture
def start_robot(
    start_node: Callable[..., DepthNode], spinning: Callable[..., Any], until: Callable[..., None], coded_depth: Any
) -> Callable[[Path, Mapping[str, Any]], Robot]:
    """Return a function that starts a node with a model and parameters, and a robot around it."""
    return lambda model, parameters: Robot(start_node(model=model, **parameters), spinning, until, coded_depth)


class Process:
    """A running node whose lines can be waited for."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "space_clip_ros.ros.node.depth_node", "--ros-args", *arguments]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=dict(os.environ)
        )
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line.rstrip())

    def wait_for(self, text: str) -> None:
        seen = []
        while True:
            try:
                seen.append(self._lines.get(timeout=60))
            except queue.Empty:
                pytest.fail(f"no {text!r} in {seen}")
            if text in seen[-1]:
                return

    def end(self, number: int | None = None) -> tuple[int, list[str]]:
        """Send a signal; return the exit status and what was printed after it."""
        while not self._lines.empty():
            self._lines.get()
        if number is not None:
            self._process.send_signal(number)
        status = self._process.wait(_PATIENCE_S)
        self._reader.join(_PATIENCE_S)
        return status, list(self._lines.queue)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


@pytest.fixture
def start_process(domain: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Process]]:
    """Return a function that starts the executable with ROS arguments, in a process of its own."""
    monkeypatch.setenv("ROS_DOMAIN_ID", str(domain))
    processes: list[Process] = []

    def start(*arguments: str) -> Process:
        processes.append(Process(*arguments))
        return processes[-1]

    yield start
    for process in processes:
        process.close()

"""Several cameras in one node, over real DDS: topics, fairness, batches, diagnostics, and a model that fails."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header

from space_clip_ros.errors import ConfigError
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.inference import load_predictor
from space_clip_ros.messages import camera_info_from_camera, depth_from_image, image_from_array
from space_clip_ros.ros.node.depth_node import DepthNode

CAMERAS = ["front", "rear"]


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (24, 32, 3)).astype(np.uint8)


class Robot:
    """Two cameras and whoever listens to their depth."""

    def __init__(self, node: DepthNode, spinning: Callable[..., Any], until: Callable[..., None]) -> None:
        self.node = node
        self.until = until
        self.robot = spinning(Node("robot"))
        self.images = {name: self.robot.create_publisher(Image, f"{name}/image", 10) for name in CAMERAS}
        self.infos = {name: self.robot.create_publisher(CameraInfo, f"{name}/camera_info", 10) for name in CAMERAS}
        self.depth: dict[str, list[Image]] = {name: [] for name in CAMERAS}
        self.clouds: dict[str, list[PointCloud2]] = {name: [] for name in CAMERAS}
        self.reports: list[DiagnosticArray] = []
        for name in CAMERAS:
            self.robot.create_subscription(Image, f"{name}/depth/image", self.depth[name].append, 50)
            self.robot.create_subscription(PointCloud2, f"{name}/depth/points", self.clouds[name].append, 50)
        self.robot.create_subscription(DiagnosticArray, "/diagnostics", self.reports.append, 10)
        publishers = [*self.images.values(), *self.infos.values()]
        until(lambda: all(item.get_subscription_count() for item in publishers), "the inputs to match")
        until(lambda: all(stream.publishers.subscribers() == 2 for stream in node._pipeline.cameras), "the outputs")

    def send(self, camera: str, number: int) -> None:
        header = Header(stamp=Time(sec=number), frame_id=camera)
        self.images[camera].publish(image_from_array(picture(number), "rgb8", header))

    def received(self, camera: str, count: int) -> None:
        numbers = self.node._statistics[camera]
        self.until(lambda: numbers.snapshot().received >= count, f"{count} images of {camera}")

    def answered(self, camera: str, number: int) -> np.ndarray:
        def matching() -> list[Image]:
            return [message for message in self.depth[camera] if message.header.stamp.sec == number]

        self.until(matching, f"depth of {camera} {number}")
        return depth_from_image(matching()[0])

    def statuses(self) -> dict[str, DiagnosticStatus]:
        return {status.name: status for status in self.reports[-1].status} if self.reports else {}


@pytest.fixture
def start(
    start_node: Callable[..., DepthNode], spinning: Callable[..., Any], until: Callable[..., None]
) -> Callable[..., Robot]:
    return lambda **parameters: Robot(start_node(cameras=CAMERAS, **parameters), spinning, until)


class Gate:
    """Holds the engine before every run, and notes what it runs together."""

    def __init__(self, node: DepthNode) -> None:
        self.entered = threading.Semaphore(0)
        self.allowed = threading.Semaphore(0)
        self.sizes: list[int] = []
        predictor = node._model._predictor
        original = predictor.run_batch

        def run(images: Any, language: bool) -> Any:
            self.sizes.append(len(images))
            self.entered.release()
            assert self.allowed.acquire(timeout=30)
            return original(images, language)

        predictor.run_batch = run


def test_every_camera_has_its_topics_and_its_depth(start, tiny_model_file):
    robot = start()
    expected = load_predictor(tiny_model_file, threads=1)
    for camera, number in (("front", 1), ("rear", 2), ("rear", 3)):
        robot.send(camera, number)
        np.testing.assert_allclose(robot.answered(camera, number), expected(picture(number)), rtol=1e-5)
    assert {message.header.frame_id for message in robot.depth["rear"]} == {"rear"}
    assert [len(robot.depth[name]) for name in CAMERAS] == [1, 2]


def test_each_camera_has_its_own_calibration(start, until):
    robot = start()
    camera = PinholeCamera(32, 24, 30.0, 30.0, 15.5, 11.5)
    robot.infos["front"].publish(camera_info_from_camera(camera, Header(frame_id="front")))
    until(lambda: robot.node._pipeline.cameras[0].calibrations.frames == ("front",), "camera_info of front")
    assert robot.node._pipeline.cameras[1].calibrations.frames == ()
    for name in CAMERAS:
        robot.send(name, 4)
        robot.answered(name, 4)
    until(lambda: robot.clouds["front"], "the cloud of front")
    assert robot.clouds["rear"] == []


def test_a_camera_that_floods_does_not_starve_the_other(start):
    robot = start()
    gate = Gate(robot.node)
    robot.send("front", 0)
    assert gate.entered.acquire(timeout=30)
    for number in range(1, 9):
        robot.send("front", number)
        robot.received("front", number + 1)
    robot.send("rear", 100)
    robot.received("rear", 1)
    for number in range(9, 14):
        robot.send("front", number)
        robot.received("front", number + 1)
    # First what runs, then front's newest, then rear: one turn each.
    gate.allowed.release(3)
    robot.answered("rear", 100)
    assert robot.node._statistics["rear"].snapshot().dropped == {}
    assert robot.node._statistics["front"].snapshot().dropped == {"replaced by a newer one": 12}
    gate.allowed.release(10)
    assert [message.header.stamp.sec for message in robot.depth["front"]] == [0, 13]


def test_frames_that_wait_together_run_together_where_the_backend_can(start, tiny_model_file):
    robot = start(batch_wait=0.0)
    gate = Gate(robot.node)
    robot.send("front", 0)
    assert gate.entered.acquire(timeout=30)
    for name in CAMERAS:
        robot.send(name, 7)
    robot.received("front", 2)
    robot.received("rear", 1)
    gate.allowed.release(2)
    expected = load_predictor(tiny_model_file, threads=1)(picture(7))
    for name in CAMERAS:
        np.testing.assert_allclose(robot.answered(name, 7), expected, rtol=1e-4)
    assert gate.sizes == [1, 2]
    # Within batch_wait a frame waits for its fellow.
    assert robot.node.set_parameters([Parameter("batch_wait", value=1.0)])[0].successful
    gate.allowed.release(10)
    for name in CAMERAS:
        robot.send(name, 8)
    for name in CAMERAS:
        robot.answered(name, 8)
    assert sum(gate.sizes) == 5


def test_diagnostics_tell_about_each_camera(start, until):
    robot = start()
    robot.send("rear", 5)
    robot.answered("rear", 5)

    def told() -> bool:
        rear = robot.statuses().get("depth: rear depth estimation")
        return rear is not None and {value.key: value.value for value in rear.values}["published"] == "1"

    until(told, "the numbers of rear")
    statuses = robot.statuses()
    assert sorted(statuses) == ["depth: front depth estimation", "depth: rear depth estimation"]
    assert "no image on /front/image yet" in statuses["depth: front depth estimation"].message
    front = {value.key: value.value for value in statuses["depth: front depth estimation"].values}
    assert (front["published"], front["image_topic"]) == ("0", "/front/image")
    assert float(front["memory_mib"]) > 10


def test_a_model_that_goes_on_failing_is_an_error_state_and_comes_back(start, until, tiny_model_file):
    robot = start(engine_retries=1)
    predictor = robot.node._model._predictor

    def fail(images: Any, language: bool) -> Any:
        raise RuntimeError("device lost")

    predictor.run_batch = fail
    late = robot.node._model._load
    robot.node._model._load = lambda: fail(())

    def failed() -> bool:
        robot.send("front", 1)
        return robot.node._model.failed

    until(failed, "the error state")

    def said() -> bool:
        status = robot.statuses().get("depth: front depth estimation", DiagnosticStatus())
        return status.message == "no depth: the model failed 2 times in a row: RuntimeError: device lost"

    until(said, "diagnostics to say it")
    assert robot.statuses()["depth: front depth estimation"].level == DiagnosticStatus.ERROR
    assert robot.node._state == "active"
    robot.node._model._load = late

    def back() -> bool:
        robot.send("front", 9)
        return bool(robot.depth["front"])

    until(back, "the model to be loaded again")
    assert not robot.node._model.failed


@pytest.mark.parametrize("names", [["front", "front"], ["front", ""], ["2nd"], ["a/b"], ["a b"]])
def test_useless_names_are_refused(ros, names):
    with pytest.raises(ConfigError, match="cameras: "):
        DepthNode(parameter_overrides=[Parameter("cameras", value=names)])

"""depth/obstacles and depth/scan over real DDS, of scenes whose depth the model reads from the picture."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image, LaserScan, PointCloud2
from std_msgs.msg import Header

from space_clip_ros.geometry.rigid import quaternion
from space_clip_ros.messages import camera_info_from_camera, image_from_array, points_from_cloud
from space_clip_ros.messages.diagnostics import DepthValues, status_texts
from space_clip_ros.ros.node.depth_node import DepthNode

FRAME = "camera_optical"


class Robot:
    """The node under test, a camera that shows it scenes, and what it publishes."""

    def __init__(self, node: DepthNode, spinning: Callable[..., Any], until: Callable[..., None], coded: Any) -> None:
        self.until = until
        self.node = node
        self._coded = coded
        self._seconds = 10
        self.robot = spinning(Node("robot"))
        self.scans: list[LaserScan] = []
        self.clouds: list[PointCloud2] = []
        self.reports: list[DiagnosticArray] = []
        self._images = self.robot.create_publisher(Image, "image", 1)
        self._infos = self.robot.create_publisher(CameraInfo, "camera_info", 1)
        self.robot.create_subscription(DiagnosticArray, "/diagnostics", self.reports.append, 10)
        until(self._images.get_subscription_count, "the image subscription")
        until(self._infos.get_subscription_count, "the camera_info subscription")

    def hear(self, *topics: str) -> None:
        kinds = {"scan": (LaserScan, self.scans), "obstacles": (PointCloud2, self.clouds)}
        for topic in topics:
            kind, into = kinds[topic]
            self.robot.create_subscription(kind, f"depth/{topic}", into.append, 10)
        wanted = self.node._pipeline.cameras[0].publishers.wanted
        self.until(lambda: set(topics) <= set(wanted()), "the outputs to be matched")

    def show(self, camera: Any, depth: np.ndarray) -> Header:
        header = Header(frame_id=FRAME)
        self._seconds += 1
        header.stamp.sec = self._seconds
        if not self.node._pipeline.cameras[0].calibrations.frames:
            self._infos.publish(camera_info_from_camera(camera, header))
            self.until(lambda: self.node._pipeline.cameras[0].calibrations.frames, "the camera_info")
        self._images.publish(image_from_array(self._coded.picture(depth), "rgb8", header))
        return header

    def message(self) -> str:
        return str(self.reports[-1].status[0].message) if self.reports else ""

    def values(self) -> DepthValues:
        return DepthValues.read(status_texts(self.reports[-1].status[0]))


@pytest.fixture
def start(
    spinning: Callable[..., Any], until: Callable[..., None], coded_depth: Any, tmp_path: Path
) -> Callable[..., Robot]:
    model = coded_depth.write_model(tmp_path / "coded_depth.onnx")

    def make(**parameters: Any) -> Robot:
        values = {
            "model": str(model),
            "threads": 1,
            "diagnostics.period": 0.1,
            "obstacles.ground_max_age": 0.0,
            **parameters,
        }
        node = DepthNode(parameter_overrides=[Parameter(name, value=value) for name, value in values.items()])
        spinning(node)
        until(lambda: node._state == "active", "the node to be active")
        return Robot(node, spinning, until, coded_depth)

    return make


def at(scan: LaserScan, bearing: float) -> float:
    return float(scan.ranges[round((bearing - scan.angle_min) / scan.angle_increment)])


def test_a_car_in_a_street(start: Callable[..., Robot], until: Callable[..., None], scenes: Any) -> None:
    robot = start()
    robot.hear("scan", "obstacles")
    header = robot.show(scenes.CAMERA, scenes.street(scenes.CAR))
    until(lambda: robot.scans and robot.clouds, "both outputs")

    scan = robot.scans[0]
    assert scan.header.stamp == header.stamp and scan.header.frame_id == f"{FRAME}_level"
    for x in (1.6, 2.4, 3.2):
        bearing = -math.atan2(x, 8.0)
        assert at(scan, bearing) == pytest.approx(math.hypot(x, 8.0), rel=0.01)
    assert at(scan, 0.0) == at(scan, 0.5) == math.inf
    assert scan.range_max == 30.0 and scan.time_increment == 0.0
    assert scan.angle_max == pytest.approx(scan.angle_min + scan.angle_increment * (len(scan.ranges) - 1), abs=1e-4)

    cloud = robot.clouds[0]
    assert cloud.header == header, "the cloud is in the images' own frame"
    assert cloud.is_dense and cloud.height == 1 and cloud.width > 500
    points = points_from_cloud(cloud)
    assert points["z"].min() == pytest.approx(8.0, abs=0.01) and points["z"].max() <= 12.01
    assert points["x"].min() == pytest.approx(1.5, abs=0.05) and points["x"].max() == pytest.approx(3.3, abs=0.05)
    heights = 1.65 - points["y"]
    assert heights.min() > 0.15 and heights.max() < 1.55

    until(lambda: robot.reports and robot.values().ground == "fitted", "the ground in the diagnostics")
    values = robot.values()
    assert values.ground_problem == "" and values.ground_age_s == 0.0
    assert values.ground_height_m == pytest.approx(1.65, abs=0.01) and values.ground_tilt_deg < 0.3
    # The next report has the image's last stages, too.
    until(lambda: any("depth/scan" in name for name in robot.values().stages_ms), "the scan's time in the diagnostics")


def test_an_empty_street_gives_an_empty_cloud_and_a_free_scan(
    start: Callable[..., Robot], until: Callable[..., None], scenes: Any
) -> None:
    robot = start()
    robot.hear("scan", "obstacles")
    robot.show(scenes.CAMERA, scenes.street())
    until(lambda: robot.scans and robot.clouds, "both outputs")
    assert robot.clouds[0].width == 0 and robot.clouds[0].is_dense
    assert set(robot.scans[0].ranges) == {math.inf}


def test_without_ground_nothing_is_published_and_the_reason_is_said(
    start: Callable[..., Robot], until: Callable[..., None], scenes: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    robot = start()
    robot.hear("scan")
    robot.show(scenes.CAMERA, scenes.street(scenes.WALL))
    until(lambda: robot.reports and robot.values().ground == "none", "the reason")
    until(lambda: "depth/scan left out: no ground: " in robot.message(), "the message")
    assert robot.values().ground_problem == "no level plane in view"
    until(lambda: robot.values().dropped == 1, "the count")
    assert not robot.scans
    assert "depth/scan left out: no ground: no level plane in view" in capfd.readouterr().err
    robot.show(scenes.CAMERA, scenes.street())
    until(lambda: robot.scans, "the scan of the next picture")


def test_an_uncertainty_that_the_model_does_not_give_is_told(
    start: Callable[..., Robot], until: Callable[..., None], scenes: Any
) -> None:
    robot = start(**{"obstacles.max_uncertainty": 0.2})
    robot.hear("obstacles")
    robot.show(scenes.CAMERA, scenes.street(scenes.CAR))
    until(lambda: robot.clouds and robot.clouds[0].width, "the obstacles")
    until(lambda: robot.reports and robot.values().obstacles_note, "the note")
    assert robot.values().obstacles_note == ("obstacles.max_uncertainty is ignored: the model gives no uncertainty")


class Tf2(ModuleType):
    """tf2_ros, which is not among the wheels: transforms are given by the test, and those published are kept."""

    class TransformException(Exception):  # noqa: N818 - tf2's name
        """As in tf2_ros."""

    def __init__(self) -> None:
        super().__init__("tf2_ros")
        self.known: dict[tuple[str, str], TransformStamped] = {}
        self.sent: list[TransformStamped] = []
        outer = self

        class Buffer:
            def lookup_transform(self, target: str, source: str, time: Any) -> TransformStamped:
                if (target, source) not in outer.known:
                    raise outer.TransformException("unknown")
                return outer.known[target, source]

        class TransformListener:
            def __init__(self, buffer: Buffer, node: Node) -> None:
                pass

            def unregister(self) -> None:
                pass

        class TransformBroadcaster:
            def __init__(self, node: Node) -> None:
                self.pub_tf = node.create_publisher(Header, "/tf_stand_in", 1)

            def sendTransform(self, transform: TransformStamped) -> None:  # noqa: N802 - tf2's name
                outer.sent.append(transform)

        self.Buffer, self.TransformListener = Buffer, TransformListener
        self.TransformBroadcaster = TransformBroadcaster


@pytest.fixture
def tf2(monkeypatch: pytest.MonkeyPatch) -> Tf2:
    module = Tf2()
    monkeypatch.setitem(sys.modules, "tf2_ros", module)
    return module


def test_where_the_level_frame_lies_is_published(
    start: Callable[..., Robot], until: Callable[..., None], scenes: Any, tf2: Tf2
) -> None:
    robot = start()
    robot.hear("scan")
    header = robot.show(scenes.CAMERA, scenes.street())
    until(lambda: robot.scans, "the scan")
    (sent,) = tf2.sent
    assert sent.header == header and sent.child_frame_id == robot.scans[0].header.frame_id
    turn, place = sent.transform.rotation, sent.transform.translation
    # The level frame in a level camera's optical one: x is its z, y its -x, z its -y.
    np.testing.assert_allclose((turn.x, turn.y, turn.z, turn.w), (0.5, -0.5, 0.5, 0.5), atol=2e-3)
    assert (place.x, place.y, place.z) == (0.0, 0.0, 0.0)


def test_a_scan_in_the_robots_frame(
    start: Callable[..., Robot], until: Callable[..., None], scenes: Any, tf2: Tf2
) -> None:
    robot = start(**{"scan.frame_id": "base_link"})
    robot.hear("scan")
    robot.show(scenes.CAMERA, scenes.street(scenes.CAR))
    until(
        lambda: robot.reports and "scan.frame_id 'base_link': no transform from" in robot.reports[-1].status[0].message,
        "why",
    )
    # The camera is 2 m ahead of base_link and looks along its x.
    transform = TransformStamped()
    turn, place = transform.transform.rotation, transform.transform.translation
    optical = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
    turn.x, turn.y, turn.z, turn.w = quaternion(optical)
    place.x, place.z = 2.0, 1.65
    tf2.known["base_link", FRAME] = transform
    robot.show(scenes.CAMERA, scenes.street(scenes.CAR))
    until(lambda: robot.scans, "the scan")
    (scan,) = robot.scans
    assert scan.header.frame_id == "base_link" and not tf2.sent
    assert at(scan, -math.atan2(2.4, 10.0)) == pytest.approx(math.hypot(2.4, 10.0), rel=0.01)


def test_without_tf2_a_scan_in_the_robots_frame_says_what_to_install(
    start: Callable[..., Robot],
    until: Callable[..., None],
    scenes: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "tf2_ros", None)
    robot = start(**{"scan.frame_id": "base_link"})
    robot.hear("scan")
    robot.show(scenes.CAMERA, scenes.street(scenes.CAR))
    until(lambda: "tf2_ros: is not installed" in robot.message(), "the reason")

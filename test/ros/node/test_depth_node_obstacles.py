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
from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from sensor_msgs.msg import LaserScan, PointCloud2
from std_msgs.msg import Header

from space_clip_ros.geometry.rigid import quaternion
from space_clip_ros.messages import points_from_cloud

FRAME = "camera_optical"
SCAN, CLOUD = "depth/scan", "depth/obstacles"
BOTH = {SCAN: LaserScan, CLOUD: PointCloud2}


@pytest.fixture
def start(start_robot: Callable[..., Any], coded_depth: Any, tmp_path: Path) -> Callable[..., Any]:
    model = coded_depth.write_model(tmp_path / "coded_depth.onnx")
    return lambda **parameters: start_robot(model, {"obstacles.ground_max_age": 0.0, **parameters})


def at(scan: LaserScan, bearing: float) -> float:
    return float(scan.ranges[round((bearing - scan.angle_min) / scan.angle_increment)])


def test_a_car_in_a_street(start: Callable[..., Any], until: Callable[..., None], scenes: Any) -> None:
    robot = start()
    robot.hear(BOTH)
    header = robot.show(scenes.CAMERA, scenes.street(scenes.CAR))
    until(lambda: robot.received[SCAN] and robot.received[CLOUD], "both outputs")

    scan = robot.received[SCAN][0]
    assert scan.header.stamp == header.stamp and scan.header.frame_id == f"{FRAME}_level"
    for x in (1.6, 2.4, 3.2):
        bearing = -math.atan2(x, 8.0)
        assert at(scan, bearing) == pytest.approx(math.hypot(x, 8.0), rel=0.01)
    assert at(scan, 0.0) == at(scan, 0.5) == math.inf
    assert scan.range_max == 30.0 and scan.time_increment == 0.0
    assert scan.angle_max == pytest.approx(scan.angle_min + scan.angle_increment * (len(scan.ranges) - 1), abs=1e-4)

    cloud = robot.received[CLOUD][0]
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
    start: Callable[..., Any], until: Callable[..., None], scenes: Any
) -> None:
    robot = start()
    robot.hear(BOTH)
    robot.show(scenes.CAMERA, scenes.street())
    until(lambda: robot.received[SCAN] and robot.received[CLOUD], "both outputs")
    assert robot.received[CLOUD][0].width == 0 and robot.received[CLOUD][0].is_dense
    assert set(robot.received[SCAN][0].ranges) == {math.inf}


def test_without_ground_nothing_is_published_and_the_reason_is_said(
    start: Callable[..., Any], until: Callable[..., None], scenes: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    robot = start()
    robot.hear({SCAN: LaserScan})
    robot.show(scenes.CAMERA, scenes.street(scenes.WALL))
    until(lambda: robot.reports and robot.values().ground == "none", "the reason")
    until(lambda: "depth/scan left out: no ground: " in robot.message(), "the message")
    assert robot.values().ground_problem == "no level plane in view"
    until(lambda: robot.values().dropped == 1, "the count")
    assert not robot.received[SCAN]
    assert "depth/scan left out: no ground: no level plane in view" in capfd.readouterr().err
    robot.show(scenes.CAMERA, scenes.street())
    until(lambda: robot.received[SCAN], "the scan of the next picture")


def test_an_uncertainty_that_the_model_does_not_give_is_told(
    start: Callable[..., Any], until: Callable[..., None], scenes: Any
) -> None:
    robot = start(**{"obstacles.max_uncertainty": 0.2})
    robot.hear({CLOUD: PointCloud2})
    robot.show(scenes.CAMERA, scenes.street(scenes.CAR))
    until(lambda: robot.received[CLOUD] and robot.received[CLOUD][0].width, "the obstacles")
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
    start: Callable[..., Any], until: Callable[..., None], scenes: Any, tf2: Tf2
) -> None:
    robot = start()
    robot.hear({SCAN: LaserScan})
    header = robot.show(scenes.CAMERA, scenes.street())
    until(lambda: robot.received[SCAN], "the scan")
    (sent,) = tf2.sent
    assert sent.header == header and sent.child_frame_id == robot.received[SCAN][0].header.frame_id
    turn, place = sent.transform.rotation, sent.transform.translation
    # The level frame in a level camera's optical one: x is its z, y its -x, z its -y.
    np.testing.assert_allclose((turn.x, turn.y, turn.z, turn.w), (0.5, -0.5, 0.5, 0.5), atol=2e-3)
    assert (place.x, place.y, place.z) == (0.0, 0.0, 0.0)


def test_images_without_frame_or_stamp_spoil_no_transforms(
    start: Callable[..., Any], until: Callable[..., None], scenes: Any, tf2: Tf2
) -> None:
    robot = start()
    robot.hear({SCAN: LaserScan})
    robot.show(scenes.CAMERA, scenes.street(), header=Header())
    until(lambda: robot.reports and "depth/scan left out: its frame" in robot.message(), "the reason")
    assert not tf2.sent and not robot.received[SCAN]
    robot.show(scenes.CAMERA, scenes.street(), header=Header(frame_id=FRAME))
    until(lambda: robot.received[SCAN], "the scan")
    (sent,) = tf2.sent
    assert sent.header.stamp.sec > 0 and robot.received[SCAN][0].header.stamp.sec == 0


def test_a_scan_in_the_robots_frame(
    start: Callable[..., Any], until: Callable[..., None], scenes: Any, tf2: Tf2
) -> None:
    robot = start(**{"scan.frame_id": "base_link"})
    robot.hear({SCAN: LaserScan})
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
    until(lambda: robot.received[SCAN], "the scan")
    (scan,) = robot.received[SCAN]
    assert scan.header.frame_id == "base_link" and not tf2.sent
    assert at(scan, -math.atan2(2.4, 10.0)) == pytest.approx(math.hypot(2.4, 10.0), rel=0.01)


def test_without_tf2_a_scan_in_the_robots_frame_says_what_to_install(
    start: Callable[..., Any],
    until: Callable[..., None],
    scenes: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "tf2_ros", None)
    robot = start(**{"scan.frame_id": "base_link"})
    robot.hear({SCAN: LaserScan})
    robot.show(scenes.CAMERA, scenes.street(scenes.CAR))
    until(lambda: "tf2_ros: is not installed" in robot.message(), "the reason")

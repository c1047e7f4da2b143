"""The node's metric scale over real DDS: ranges and the ground correct its depth, and it listens only where it must."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, Range
from std_msgs.msg import Header

from space_clip_ros.geometry.cloud import Projector, finite_points
from space_clip_ros.inference.backend import Prediction
from space_clip_ros.messages import (
    camera_info_from_camera,
    cloud_from_points,
    depth_from_image,
    image_from_array,
)
from space_clip_ros.messages.diagnostics import DepthValues, Level, status_texts
from space_clip_ros.ros.node.depth_node import DepthNode

# The sensors have ROS's axes and sit at the camera.
EXTRINSICS = [0.0, 0.0, 0.0, math.pi / 2, -math.pi / 2, 0.0]


class Bench:
    """A depth node whose model sees one scene 1.25 times too near, and a robot with a camera and range sensors."""

    def __init__(self, node: DepthNode, spinning: Any, until: Any, scenes: Any) -> None:
        self.until = until
        self.node = node
        self.robot = spinning(Node("robot"))
        self.depths: list[Image] = []
        self.reports: list[DiagnosticArray] = []
        self.images = self.robot.create_publisher(Image, "image", 10)
        self.infos = self.robot.create_publisher(CameraInfo, "camera_info", 10)
        self.points = self.robot.create_publisher(PointCloud2, "scale/points", 10)
        self.ranges = self.robot.create_publisher(Range, "scale/range", 10)
        self.robot.create_subscription(Image, "depth/image", self.depths.append, 50)
        self.robot.create_subscription(DiagnosticArray, "/diagnostics", self.reports.append, 50)
        self.camera = scenes.SMALL
        wall = scenes.Box((-50, 50), (30, 31), (-1, 20))
        self.truth = scenes.street(*scenes.HOUSES, wall, camera=self.camera)
        self.stamp = 100
        self.node._model._predictor.run_batch = lambda images, language: [
            Prediction(self.truth / np.float32(1.25), {}) for _ in images
        ]
        until(self.images.get_subscription_count, "the image to be matched")
        until(lambda: self.node.count_publishers("depth/image"), "the output")
        until(lambda: self.node._pipeline.cameras[0].publishers.subscribers(), "a subscriber")
        self.infos.publish(camera_info_from_camera(self.camera, self.header()))
        until(lambda: self.node._pipeline.cameras[0].calibrations.frames, "camera_info")

    def header(self, frame_id: str = "camera") -> Header:
        return Header(stamp=Time(sec=self.stamp), frame_id=frame_id)

    def send(self) -> np.ndarray:
        """Send the next second's image; return its depth as a share of the truth."""
        count = len(self.depths)
        height, width = self.truth.shape
        self.images.publish(image_from_array(np.zeros((height, width, 3), np.uint8), "rgb8", self.header()))
        self.until(lambda: len(self.depths) > count, "depth")
        self.stamp += 1
        return depth_from_image(self.depths[-1]) / self.truth

    def measure(self) -> None:
        """Publish a scan of the scene, and wait until the node has it."""
        x, y, z = finite_points(Projector(self.camera, 3).project(self.truth).reshape(1, -1, 3))[0].T
        scan = cloud_from_points(np.stack([z, -x, -y], axis=-1).astype(np.float32), self.header("lidar"))
        self.publish(self.points, scan, "_points")

    def publish(self, publisher: Any, message: Any, slot: str) -> None:
        self.until(publisher.get_subscription_count, "the sensor to be matched")
        publisher.publish(message)
        inputs = self.node._pipeline.cameras[0]._scale_inputs
        self.until(lambda: getattr(inputs, slot) is not None, "the measurement")

    def values(self, known: Callable[[DepthValues], Any]) -> DepthValues:
        """Return the newest values once they fulfil a condition."""

        def newest() -> DepthValues | None:
            statuses = [status for report in self.reports[-1:] for status in report.status]
            values = DepthValues.read(status_texts(statuses[0])) if statuses else None
            return values if values and known(values) else None

        self.until(newest, "the diagnostics")
        result = newest()
        return result or self.values(known)


@pytest.fixture
def bench(start_node: Any, spinning: Any, until: Any, scenes: Any) -> Callable[..., Bench]:
    return lambda **parameters: Bench(start_node(focal_scaling="never", **parameters), spinning, until, scenes)


def test_a_lidar_brings_depth_to_scale_at_the_stated_rate(bench: Callable[..., Bench]) -> None:
    active = bench(**{"scale.mode": "ranges", "scale.extrinsics": EXTRINSICS, "scale.max_rate": 0.2})
    active.measure()
    assert np.nanmedian(active.send()) == pytest.approx(0.8, rel=1e-3)
    for expected in (0.96, 1.0, 1.0):
        active.measure()
        assert np.nanmedian(active.send()) == pytest.approx(expected, rel=0.01)
    values = active.values(lambda values: (values.scale_factor or 0) > 1.2)
    assert values.scale_mode == "ranges" and values.scale_evidence == "points" and values.scale_problem == ""
    assert values.scale_factor == pytest.approx(1.25, rel=0.01) and 0 < values.scale_sigma < 0.05
    assert values.depth_factor == pytest.approx(values.scale_factor, rel=0.01) and values.scale_age_s == 0.0
    # Without a new scan the factor stays, and the diagnostics say what is missing.
    assert np.nanmedian(active.send()) == pytest.approx(1.0, rel=0.01)
    values = active.values(lambda values: values.scale_age_s == 1.0)
    assert "nothing new has come on scale/points" in values.scale_problem


def test_a_scale_that_is_hardly_credible_is_warned_of(
    bench: Callable[..., Bench], capfd: pytest.CaptureFixture[str]
) -> None:
    active = bench(**{"scale.mode": "ranges", "scale.extrinsics": EXTRINSICS, "scale.max_rate": 0.9})
    active.node._model._predictor.run_batch = lambda images, language: [
        Prediction(active.truth / np.float32(4.0), {}) for _ in images
    ]
    for _ in range(14):
        active.measure()
        active.send()
    text = "and a model's scale is seldom off by so much; check scale.camera_height"
    active.until(lambda: text in active.reports[-1].status[0].message, "the warning")
    assert active.reports[-1].status[0].level == bytes([Level.WARN])
    log = capfd.readouterr().err
    assert log.count(text) == 1 and log.count("refused for 10 s, believed from now on") == 1


def test_a_range_sensor_brings_depth_to_scale(bench: Callable[..., Bench]) -> None:
    active = bench(**{"scale.mode": "ranges", "scale.extrinsics": EXTRINSICS, "scale.max_rate": 10.0})
    for _ in range(4):
        message = Range(header=active.header("sonar"), field_of_view=0.05, min_range=0.3, max_range=50.0, range=30.0)
        active.publish(active.ranges, message, "_range")
        share = np.nanmedian(active.send())
    assert 0.95 < share < 1.01


def test_images_without_a_stamp_take_what_was_measured_when_they_came(bench: Callable[..., Bench], until: Any) -> None:
    active = bench(**{"scale.mode": "ranges", "scale.extrinsics": EXTRINSICS, "scale.max_rate": 10.0})

    def used() -> bool:
        # The image must come within 0.1 s, so a busy machine may need several tries.
        header = Header(stamp=active.node.get_clock().now().to_msg(), frame_id="sonar")
        message = Range(header=header, field_of_view=0.05, min_range=0.3, max_range=50.0, range=30.0)
        active.publish(active.ranges, message, "_range")
        active.stamp = 0
        return 0.95 < np.nanmedian(active.send()) < 1.01

    until(used, "the range to be used")


def test_the_cameras_height_brings_depth_to_scale_without_a_subscription(bench: Callable[..., Bench]) -> None:
    active = bench(**{"scale.mode": "camera_height", "scale.camera_height": 1.65, "scale.max_rate": 1.0})
    shares = [np.nanmedian(active.send()) for _ in range(12)]
    assert shares[0] == pytest.approx(0.8, rel=1e-3) and 0.93 < shares[-1] < 1.03
    assert active.values(lambda values: values.scale_evidence).scale_evidence == "camera height"
    assert active.node.count_subscribers("scale/points") == active.node.count_subscribers("scale/range") == 0


def test_the_topics_are_subscribed_to_only_while_the_mode_needs_them(bench: Callable[..., Bench], until: Any) -> None:
    active = bench()
    assert np.nanmedian(active.send()) == pytest.approx(0.8, rel=1e-3)
    assert active.points.get_subscription_count() == 0
    assert active.values(lambda values: values.published).scale_factor is None
    active.node.set_parameters(
        [Parameter("scale.extrinsics", value=EXTRINSICS), Parameter("scale.mode", value="ranges")]
    )
    until(active.points.get_subscription_count, "a subscription")
    active.node.set_parameters([Parameter("scale.mode", value="none")])
    until(lambda: active.points.get_subscription_count() == 0, "no subscription")
    assert np.nanmedian(active.send()) == pytest.approx(0.8, rel=1e-3)


def test_broken_and_late_scans_are_named_and_change_nothing(bench: Callable[..., Bench]) -> None:
    active = bench(**{"scale.mode": "ranges", "scale.extrinsics": EXTRINSICS})
    active.publish(
        active.points, PointCloud2(header=active.header("lidar"), height=1, width=5, point_step=4), "_points"
    )
    assert np.nanmedian(active.send()) == pytest.approx(0.8, rel=1e-3)
    assert "scale/points" in active.values(lambda values: values.scale_problem).scale_problem
    active.measure()
    active.stamp += 3
    assert np.nanmedian(active.send()) == pytest.approx(0.8, rel=1e-3)
    active.values(lambda values: "-3.00 s from the image" in (values.scale_problem or ""))


@pytest.mark.skipif(importlib.util.find_spec("tf2_ros") is not None, reason="tf2_ros is installed")
def test_without_tf_the_node_says_what_to_set(bench: Callable[..., Bench]) -> None:
    active = bench(**{"scale.mode": "camera_height"})
    assert np.nanmedian(active.send()) == pytest.approx(0.8, rel=1e-3)
    problem = active.values(lambda values: values.scale_problem).scale_problem
    assert "tf2_ros" in problem and "set scale.camera_height" in problem

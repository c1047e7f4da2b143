"""Topics as drivers and users really set them up: latched camera_info, remaps to the wrong one, no stamps, no clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import pytest
import rclpy
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_msgs.msg import Header

from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.messages import camera_info_from_camera, image_from_array
from space_clip_ros.ros.node.depth_node import DepthNode

CAMERA = PinholeCamera(40, 24, 30.0, 30.0, 19.5, 11.5)
PICTURE = np.random.default_rng(0).integers(0, 256, (24, 40, 3)).astype(np.uint8)
LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class Robot:
    """A node under test, its remaps, and what it says."""

    def __init__(self, node: DepthNode, spinning: Callable[..., Any], until: Callable[..., None]) -> None:
        self.until = until
        self.node = node
        self.robot = spinning(Node("robot"))
        self.reports: list[DiagnosticArray] = []
        self.clouds: list[PointCloud2] = []
        self.robot.create_subscription(DiagnosticArray, "/diagnostics", self.reports.append, 10)

    def says(self, text: str, level: bytes | None = None) -> None:
        def said() -> bool:
            latest = self.reports[-1].status[0] if self.reports else None
            return latest is not None and text in latest.message and level in (None, latest.level)

        self.until(said, text)

    def values(self) -> dict[str, str]:
        return {pair.key: pair.value for pair in self.reports[-1].status[0].values}


@pytest.fixture
def robot(
    start_node: Callable[..., DepthNode], spinning: Callable[..., Any], until: Callable[..., None]
) -> Callable[..., Robot]:
    return lambda *remaps, **parameters: Robot(start_node(*remaps, **parameters), spinning, until)


def test_a_camera_info_published_once_and_latched_is_heard(robot, until):
    active = robot()
    infos = active.robot.create_publisher(CameraInfo, "camera_info", LATCHED)
    # Published before the node can have found the publisher, and never again.
    infos.publish(camera_info_from_camera(CAMERA, Header(frame_id="camera")))
    until(lambda: active.node._pipeline.cameras[0].calibrations.frames == ("camera",), "the latched camera_info")


@pytest.fixture
def elsewhere(ros: int) -> Iterator[Node]:
    """A node of another participant: one participant refuses two types for one topic."""
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=ros)
    node = Node("camera", context=context)
    yield node
    node.destroy_node()
    rclpy.try_shutdown(context=context)


def test_an_image_remapped_to_a_compressed_topic_is_told_the_way(robot, elsewhere):
    elsewhere.create_publisher(CompressedImage, "/cam/image_raw/compressed", 1)
    active = robot("image:=/cam/image_raw/compressed")
    active.says(
        "it carries sensor_msgs/msg/CompressedImage, and this node expects sensor_msgs/msg/Image: "
        "set image_transport to compressed"
    )


def test_the_way_works_without_another_remap(robot, until):
    active = robot("image:=/cam/image_raw/compressed", image_transport="compressed")
    depth: list[Image] = []
    active.robot.create_subscription(Image, "depth/image", depth.append, 1)
    images = active.robot.create_publisher(CompressedImage, "/cam/image_raw/compressed", 1)
    until(images.get_subscription_count, "the node to subscribe")
    until(active.node._pipeline.cameras[0].publishers.subscribers, "the output to be matched")
    message = CompressedImage(header=Header(frame_id="camera"), format="png")
    message.data.frombytes(cv2.imencode(".png", PICTURE)[1].tobytes())
    images.publish(message)
    until(lambda: depth, "depth")


def test_a_compressed_topic_may_have_a_remap_of_its_own(robot, until):
    active = robot("image/compressed:=/cam/small", image_transport="compressed")
    images = active.robot.create_publisher(CompressedImage, "/cam/small", 1)
    until(images.get_subscription_count, "the node to subscribe")
    assert active.node._pipeline.cameras[0].image_topic == "/cam/small"


def test_the_camera_info_beside_the_images_is_named(robot, until):
    active = robot("image:=/cam/image_raw")
    active.robot.create_publisher(CameraInfo, "/cam/camera_info", 1)
    active.robot.create_subscription(PointCloud2, "depth/points", active.clouds.append, 1)
    images = active.robot.create_publisher(Image, "/cam/image_raw", 1)
    until(images.get_subscription_count, "the node to subscribe")
    until(active.node._pipeline.cameras[0].publishers.subscribers, "the output to be matched")
    images.publish(image_from_array(PICTURE, "rgb8", Header(frame_id="camera")))
    active.says("remap it, e.g. -r camera_info:=/cam/camera_info")


def test_the_only_topic_of_images_is_named(robot):
    active = robot()
    active.robot.create_subscription(Image, "depth/image", lambda message: None, 1)
    active.robot.create_publisher(Image, "/cam/image_raw", 1)
    active.says("nobody publishes there; remap it, e.g. -r image:=/cam/image_raw")


def test_another_node_that_publishes_an_output_is_named(robot, until, capfd):
    active = robot()
    active.robot.create_publisher(PointCloud2, "depth/points", 1)
    feed(active, active.robot.get_clock().now().to_msg(), until)
    active.says("/depth/points is also published by /robot: its subscribers get both", DiagnosticStatus.WARN)
    until(lambda: "/depth/points is also published by /robot" in capfd.readouterr().err, "the warning")


def test_two_nodes_of_one_name_are_noticed(robot, elsewhere, until):
    active = robot()
    twin = Node("depth", context=elsewhere.context)
    twin.create_publisher(Image, "depth/image", 1)
    feed(active, active.robot.get_clock().now().to_msg(), until)
    active.says("/depth/image is also published by /depth: two nodes have that name", DiagnosticStatus.WARN)
    twin.destroy_node()


def feed(active: Robot, stamp: Time, until: Callable[..., None]) -> None:
    active.robot.create_subscription(Image, "depth/image", lambda message: None, 1)
    images = active.robot.create_publisher(Image, "image", 1)
    until(images.get_subscription_count, "the node to subscribe")
    until(active.node._pipeline.cameras[0].publishers.subscribers, "the output to be matched")
    images.publish(image_from_array(PICTURE, "rgb8", Header(stamp=stamp, frame_id="camera")))


def test_images_without_a_stamp_are_used_and_told(robot, until):
    active = robot(max_age=0.5)
    feed(active, Time(), until)
    active.says("images have no stamp (it is 0), so their age is unknown", DiagnosticStatus.WARN)
    assert "age_ms_p50" not in active.values()


def test_simulated_time_without_a_clock_is_told(robot, until):
    active = robot(use_sim_time=True)
    feed(active, Time(sec=7), until)
    active.says("use_sim_time is true, but nobody publishes /clock", DiagnosticStatus.WARN)


def test_depth_of_an_unrectified_image_is_told(robot, until, capfd):
    active = robot()
    active.robot.create_subscription(PointCloud2, "depth/points", active.clouds.append, 1)
    infos = active.robot.create_publisher(CameraInfo, "camera_info", 1)
    until(infos.get_subscription_count, "the node to subscribe")
    info = camera_info_from_camera(CAMERA, Header(frame_id="camera"))
    info.distortion_model, info.d = "double_sphere", [0.1, 0.2]
    infos.publish(info)
    until(lambda: active.node._pipeline.cameras[0].calibrations.frames, "camera_info")
    feed(active, active.robot.get_clock().now().to_msg(), until)
    active.says("distortion model must be one of", DiagnosticStatus.WARN)
    assert active.values()["rectification"].startswith("none: depth is of the unrectified image")
    assert "there is depth of the unrectified image, but no cloud" in capfd.readouterr().err

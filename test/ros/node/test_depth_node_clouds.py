"""Clouds for costmaps over real DDS: cropped by height, without hanging edges, dense."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header

from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.cloud import without_discontinuities
from space_clip_ros.inference import load_predictor
from space_clip_ros.messages import camera_info_from_camera, image_from_array, points_from_cloud
from space_clip_ros.ros.node.depth_node import DepthNode

CAMERA = PinholeCamera(32, 24, 30.0, 30.0, 15.5, 11.5)
PICTURE = np.random.default_rng(0).integers(0, 256, (24, 32, 3)).astype(np.uint8)


@pytest.fixture
def cloud_with(
    spinning: Callable[..., Any], until: Callable[..., None], tiny_model_file: Path
) -> Callable[..., PointCloud2]:
    """Return a function that sets parameters, shows one picture and returns the cloud."""
    values = {"model": str(tiny_model_file), "threads": 1, "points.stride": 1, "points.color": False}
    node = spinning(DepthNode(parameter_overrides=[Parameter(name, value=value) for name, value in values.items()]))
    robot = spinning(Node("robot"))
    clouds: list[PointCloud2] = []
    images = robot.create_publisher(Image, "image", 1)
    infos = robot.create_publisher(CameraInfo, "camera_info", 1)
    robot.create_subscription(PointCloud2, "depth/points", clouds.append, 10)
    until(lambda: images.get_subscription_count() and infos.get_subscription_count(), "inputs")
    until(lambda: node._state == "active" and node._cameras.streams[0].outputs.subscribers(), "outputs")
    infos.publish(camera_info_from_camera(CAMERA, Header(frame_id="camera")))
    until(lambda: node._cameras.streams[0].calibration.frames, "camera_info")

    def show(**parameters: Any) -> PointCloud2:
        changes = [Parameter(name.replace("__", "."), value=value) for name, value in parameters.items()]
        result = node.set_parameters_atomically(changes)
        assert result.successful, result.reason
        clouds.clear()
        images.publish(image_from_array(PICTURE, "rgb8", Header(frame_id="camera")))
        until(lambda: clouds, "a cloud")
        return clouds[0]

    return show


@pytest.fixture
def depth(tiny_model_file: Path) -> np.ndarray:
    return load_predictor(tiny_model_file, threads=1)(PICTURE)


def test_heights_are_metres_above_the_camera(cloud_with, depth):
    points = points_from_cloud(cloud_with(points__min_height=-1.0, points__max_height=0.5))
    y = (np.arange(24)[:, None] - 11.5) / 30.0 * depth
    kept = (y <= 1.0) & (y >= -0.5)
    assert 0 < kept.sum() < kept.size
    np.testing.assert_array_equal(np.isfinite(points["z"]), kept)
    np.testing.assert_array_equal(np.isfinite(points["x"]), kept)
    np.testing.assert_allclose(points["z"][kept], depth[kept], rtol=1e-5)


def test_edges_are_left_out(cloud_with, depth):
    steepest = float((depth.max() - depth.min()) / depth.min())
    jump = steepest / 20
    expected = np.isfinite(without_discontinuities(depth, jump))
    assert 0 < expected.sum() < expected.size
    np.testing.assert_array_equal(np.isfinite(points_from_cloud(cloud_with(points__max_jump=jump))["z"]), expected)
    assert np.isfinite(points_from_cloud(cloud_with(points__max_jump=0.0))["z"]).all()


def test_a_dense_cloud_has_only_valid_points(cloud_with, depth):
    limit = float(np.median(depth))
    organised = cloud_with(points__max_range=limit)
    grid = points_from_cloud(organised)
    valid = np.isfinite(grid["z"])
    assert 0 < valid.sum() < valid.size and not organised.is_dense
    dense = cloud_with(points__dense=True, points__color=True)
    assert (dense.height, dense.width, dense.is_dense) == (1, valid.sum(), True)
    assert [field.name for field in dense.fields] == ["x", "y", "z", "rgb"]
    np.testing.assert_array_equal(points_from_cloud(dense)["x"][0], grid["x"][valid])
    empty = cloud_with(points__max_range=0.2)
    assert (empty.height, empty.width, len(empty.data)) == (1, 0, 0)
    assert empty.header.frame_id == "camera"

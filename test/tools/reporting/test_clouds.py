from __future__ import annotations

import base64
from typing import Any

import numpy as np

from space_clip_ros.config import NodeConfig
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.tools.reporting.clouds import MAX_POINTS, MAX_TRUTH_POINTS, encoded_cloud, encoded_truth


def points(layer: dict[str, Any]) -> np.ndarray:
    codes = np.frombuffer(base64.b64decode(layer["points"]), "<u2").reshape(-1, 3)
    low, high = np.array(layer["low"]), np.array(layer["high"])
    return low + codes / 65535 * (high - low)


def test_points_come_back_where_they_were() -> None:
    camera = PinholeCamera(8, 4, 10.0, 10.0, 3.5, 1.5)
    depth = np.linspace(2.0, 40.0, 32, dtype=np.float32).reshape(4, 8)
    depth[0, 0] = np.nan
    image = np.random.default_rng(1).integers(0, 256, (4, 8, 3), np.uint8)
    layer = encoded_cloud(depth, image, camera, NodeConfig())
    z = depth.ravel()[1:]
    v, u = (grid.ravel()[1:] for grid in np.mgrid[:4, :8])
    expected = np.stack([(u - 3.5) / 10 * z, (v - 1.5) / 10 * z, z], axis=1)
    assert layer["count"] == 31
    np.testing.assert_allclose(points(layer), expected, atol=2e-3)
    colors = np.frombuffer(base64.b64decode(layer["colors"]), np.uint8).reshape(-1, 3)
    np.testing.assert_array_equal(colors, image.reshape(-1, 3)[1:])


def test_truth_of_another_size_lies_in_the_same_place() -> None:
    camera = PinholeCamera(8, 4, 10.0, 10.0, 3.5, 1.5)
    truth = np.full((8, 16), np.nan, np.float32)
    truth[4, 8] = 20.0
    layer = encoded_truth(truth, camera, NodeConfig())
    assert "colors" not in layer
    np.testing.assert_allclose(points(layer), [[0.5, 0.5, 20.0]], atol=1e-3)


def test_large_clouds_are_thinned_and_far_points_left_out() -> None:
    camera = PinholeCamera(1000, 500, 500.0, 500.0, 500.0, 250.0)
    depth = np.full((500, 1000), 10.0, np.float32)
    depth[:250] = 100.0
    assert MAX_POINTS / 4 < encoded_cloud(depth, None, camera, NodeConfig())["count"] <= MAX_POINTS
    assert MAX_TRUTH_POINTS / 2 < encoded_truth(depth, camera, NodeConfig())["count"] <= MAX_TRUTH_POINTS


def test_a_frame_without_valid_depth_is_an_empty_cloud() -> None:
    camera = PinholeCamera(8, 4, 10.0, 10.0, 3.5, 1.5)
    layer = encoded_cloud(np.full((4, 8), np.nan, np.float32), None, camera, NodeConfig())
    assert (layer["count"], layer["points"], layer["colors"]) == (0, "", "")

"""The node's messages and those written into bags are the same, whoever makes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header

from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.ros.node.outputs import RosMessages

pytest.importorskip("rosbags")

RANDOM = np.random.default_rng(0)
POINTS = RANDOM.random((5, 7, 4), np.float32)
POINTS[0, 0, :3] = np.nan
CAMERA = PinholeCamera(64, 48, 50.0, 52.0, 31.0, 23.0)


@pytest.mark.parametrize(
    ("name", "kind", "content"),
    [
        ("image", Image, (RANDOM.random((4, 6), np.float32), "32FC1")),
        ("image", Image, (RANDOM.integers(0, 65536, (4, 6)).astype(np.uint16), "16UC1")),
        ("image", Image, (RANDOM.integers(0, 256, (4, 6, 3)).astype(np.uint8), "rgb8")),
        ("camera_info", CameraInfo, (CAMERA,)),
        ("cloud", PointCloud2, (POINTS,)),
        ("cloud", PointCloud2, (POINTS[..., :3],)),
        ("dense_cloud", PointCloud2, (POINTS,)),
    ],
)
def test_both_makers_agree(name: str, kind: Any, content: tuple[Any, ...]) -> None:
    from space_clip_ros.messages.bag_types import TYPES
    from space_clip_ros.tools.bags import messages
    from space_clip_ros.tools.bags.depth_camera import BagMessages

    header = Header(frame_id="camera")
    header.stamp.sec, header.stamp.nanosec = 7, 9
    ours = getattr(RosMessages(), name)(*content, header)
    theirs = getattr(BagMessages(), name)(*content, messages.header(7_000_000_009, "camera"))
    data = TYPES.serialize_cdr(theirs, theirs.__msgtype__)
    assert deserialize_message(bytes(data), kind) == ours

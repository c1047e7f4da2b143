from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from space_clip_ros.errors import InputError
from space_clip_ros.messages import compressed_from_array
from space_clip_ros.messages.bag_types import BAGS, TYPES
from space_clip_ros.tools.bags import messages
from space_clip_ros.tools.bags.oxts import OxtsRecord


def test_headers_split_nanoseconds() -> None:
    head = messages.header(1_317_042_000_123_456_789, "camera")
    assert (head.stamp.sec, head.stamp.nanosec, head.frame_id) == (1_317_042_000, 123_456_789, "camera")


@pytest.mark.parametrize("array", [np.zeros((2, 2), np.float64), np.zeros((2, 2, 4), np.uint8), np.zeros(3, np.uint8)])
def test_other_arrays_are_refused(array: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"needs? "):
        messages.image(array, messages.header(0, ""))


def test_grey_compressed_images_say_so() -> None:
    message = compressed_from_array(np.zeros((4, 4), np.uint8), "png", messages.header(0, ""), BAGS)
    assert message.format == "mono8; png compressed "


@pytest.mark.parametrize(("mode", "status"), [(-1, 0), (0, -1), (2, -1), (3, 0), (4, 2), (6, 2), (7, 1)])
def test_the_fix_says_how_good_it_is(mode: int, status: int) -> None:
    record = OxtsRecord(49, 8, 116, 0, 0, 0, (0, 0, 0), (0, 0, 0), 1.0, mode)
    assert messages.gps_fix(record, messages.header(0, "imu_link")).status.status == status


def test_types_have_the_hashes_of_the_installed_ros() -> None:
    """What ROS's own build wrote beside its messages must be what goes into bags."""
    prefixes = [*filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)), sys.prefix]
    folders = [folder for prefix in prefixes if (folder := Path(prefix, "share/sensor_msgs/msg")).is_dir()]
    if not folders or not (folders[0] / "Image.json").is_file():
        pytest.skip("no ROS here, or one that has no type hashes yet (Humble)")
    for name in ("Image", "CameraInfo", "PointCloud2", "CompressedImage", "Imu"):
        described = json.loads((folders[0] / f"{name}.json").read_text(encoding="utf-8"))["type_hashes"]
        hashes = {item["type_name"]: item["hash_string"] for item in described}
        kind = f"sensor_msgs/msg/{name}"
        assert TYPES.hash_rihs01(kind) == hashes[kind]

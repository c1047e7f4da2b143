from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.tools.bags.reader import BagReader
from space_clip_ros.tools.lerobot.cameras import CameraFrame, find_cameras, frame_rate, in_step


def frame(stamp_ns: int) -> CameraFrame:
    camera = PinholeCamera(1, 1, 1.0, 1.0, 0.0, 0.0)
    return CameraFrame(stamp_ns, "", np.zeros((1, 1, 3), np.uint8), np.ones((1, 1), np.float32), camera)


def stamps(leading: list[int], *others: list[int], within_ns: int) -> list[list[int]]:
    steps = in_step(map(frame, leading), [map(frame, other) for other in others], within_ns)
    return [[item.stamp_ns for item in step] for step in steps]


def test_each_camera_gives_its_nearest_frame() -> None:
    assert stamps([0, 10, 20, 30], [1, 9, 22, 100], within_ns=5) == [[0, 1], [10, 9], [20, 22]]
    assert stamps([0, 10], [0, 10], [4, 14], within_ns=5) == [[0, 0, 4], [10, 10, 14]]
    assert stamps([0, 10], [], within_ns=5) == []
    assert stamps([0, 10], within_ns=5) == [[0], [10]]


def test_a_frame_may_serve_twice_where_a_camera_is_slower() -> None:
    assert stamps([0, 4, 8, 12], [0, 8], within_ns=4) == [[0, 0], [4, 8], [8, 8], [12, 8]]


def test_cameras_are_named_by_their_namespace(tmp_path: Path, write_bag: Callable[..., Path]) -> None:
    path = write_bag(tmp_path / "bag", cameras={"/": 0, "/robot/left/": 0})
    with BagReader(path) as bag:
        cameras = find_cameras(bag)
        assert [(camera.name, camera.topics.image) for camera in cameras] == [
            ("camera", "/image"),
            ("robot_left", "/robot/left/image"),
        ]
        assert frame_rate(bag, cameras[1]) == 10

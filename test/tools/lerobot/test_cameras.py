from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.tools.bags import qos
from space_clip_ros.tools.bags.reader import BagReader
from space_clip_ros.tools.bags.writer import BagWriter
from space_clip_ros.tools.lerobot.cameras import CameraFrame, find_cameras, frame_rate, in_step, read_camera


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


def test_the_only_colour_images_beside_the_depth_may_have_any_name(
    tmp_path: Path, write_bag: Callable[..., Path]
) -> None:
    with BagReader(write_bag(tmp_path / "bag", cameras={"/front/": 0})) as bag, BagWriter(tmp_path / "raw") as raw:
        names = {"/front/image": "/front/image_raw"}
        for topic in bag.topics.values():
            raw.add(names.get(topic.name, topic.name), topic.kind, topic.offered)
        raw.add("/front/depth/color", "sensor_msgs/msg/Image", qos.SENSOR)
        for name, stamp, data in bag.messages(bag.topics):
            raw.write_serialized(names.get(name, name), stamp, data)
            if name in names:
                raw.write_serialized("/front/depth/color", stamp, data)
    with BagReader(tmp_path / "raw") as bag:
        (camera,) = find_cameras(bag)
        assert camera.topics.image == "/front/image_raw"
        assert len(list(read_camera(bag, camera))) == 4

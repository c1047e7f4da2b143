from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from space_clip_ros.errors import DataError
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.rectification import Rectifier
from space_clip_ros.messages import camera_info_from_camera
from space_clip_ros.messages.bag_types import BAGS
from space_clip_ros.tools.bags import messages, qos
from space_clip_ros.tools.bags.reader import BagReader
from space_clip_ros.tools.bags.writer import BagWriter
from space_clip_ros.tools.reporting.recorded_frames import RecordedFrame, read_frames
from space_clip_ros.tools.reporting.recording import Topics, find_topics

START_NS, PERIOD_NS = 1_790_000_000_000_000_000, 100_000_000
Write = Callable[..., Path]


def read(path: Path, wanted: tuple[int, ...] | None = None) -> list[RecordedFrame]:
    with BagReader(path) as bag:
        return list(read_frames(bag, find_topics(bag, Topics()), wanted))


@pytest.mark.parametrize("compressed", [False, True])
def test_every_frame_with_depth_has_its_image_truth_and_camera(
    compressed: bool, tmp_path: Path, write_recording: Write
) -> None:
    frames = read(write_recording(tmp_path / "bag", compressed=compressed))
    assert [(frame.stamp_ns - START_NS) // PERIOD_NS for frame in frames] == [0, 1, 2, 3, 5]
    first = frames[0]
    assert first.image is not None
    assert first.truth is not None
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    np.testing.assert_array_equal(first.image[0, :, 0], ramp[::-1])
    np.testing.assert_array_equal(first.image[0, :, 2], ramp)
    assert np.isnan(first.truth[:, :16]).all()
    np.testing.assert_array_equal(first.depth[:, 16:], first.truth[:, 16:])
    assert first.camera == PinholeCamera(64, 32, 50.0, 50.0, 31.5, 15.5)


def test_uncertainty_and_scan_come_with_their_depth(tmp_path: Path, write_recording: Write) -> None:
    frames = read(write_recording(tmp_path / "bag", extras=True))
    # Frame 1 has no scan, and waits for one.
    assert [(frame.stamp_ns - START_NS) // PERIOD_NS for frame in frames] == [0, 2, 3, 5, 1]
    for frame in frames:
        assert frame.uncertainty is not None
        np.testing.assert_allclose(frame.uncertainty, frame.depth * 0.05, rtol=1e-6)
    assert frames[-1].scan is None
    scan = frames[0].scan
    assert scan is not None
    assert (scan.frame_id, scan.range_max, len(scan.ranges)) == ("base", 30.0, 60)
    np.testing.assert_array_equal(scan.ranges, 8.0)


def test_uncertainty_of_another_size_is_left_out(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as bag:
        for name, size in (("/depth/image", (4, 4)), ("/depth/uncertainty", (2, 2))):
            bag.add(name, "sensor_msgs/msg/Image", qos.SENSOR)
            bag.write(name, 5, messages.image(np.ones(size, np.float32), messages.header(5, "")))
    (frame,) = read(tmp_path / "bag")
    assert frame.depth.shape == (4, 4) and frame.uncertainty is None


def test_only_wanted_frames_are_read(recording: Path) -> None:
    wanted = START_NS + 2 * PERIOD_NS
    assert [frame.stamp_ns for frame in read(recording, (wanted,))] == [wanted]


def test_depth_alone_is_enough(tmp_path: Path, write_recording: Write) -> None:
    names = ("/image", "/camera_info", "/ground_truth/image", "/depth/camera_info")
    frames = read(write_recording(tmp_path / "bag", without=names))
    assert len(frames) == 5
    assert {(frame.image, frame.truth, frame.camera) for frame in frames} == {(None, None, None)}


def test_the_image_camera_serves_where_depth_has_none(tmp_path: Path, write_recording: Write) -> None:
    frames = read(write_recording(tmp_path / "bag", without=("/depth/camera_info",)))
    assert frames[0].camera == PinholeCamera(64, 32, 50.0, 50.0, 31.5, 15.5)


def test_distorted_images_are_rectified(tmp_path: Path) -> None:
    camera = PinholeCamera(64, 32, 50.0, 50.0, 31.5, 15.5)
    head = messages.header(START_NS, "camera")
    pixels = np.random.default_rng(1).integers(0, 256, (32, 64, 3), np.uint8)
    info = camera_info_from_camera(camera, head, types=BAGS)
    info.d = np.array([-0.3, 0.1, 0.0, 0.0, 0.0])
    with BagWriter(tmp_path / "bag") as bag:
        bag.add("/camera_info", "sensor_msgs/msg/CameraInfo", qos.SENSOR)
        for name in ("/image", "/depth/image"):
            bag.add(name, "sensor_msgs/msg/Image", qos.SENSOR)
        bag.write("/camera_info", 1, info)
        bag.write("/image", 2, messages.image(pixels, head))
        bag.write("/depth/image", 3, messages.image(np.ones((32, 64), np.float32), head))
    (frame,) = read(tmp_path / "bag")
    expected = Rectifier(info.k, info.d, info.r, info.p, "plumb_bob", (64, 32))(pixels)
    assert frame.image is not None
    np.testing.assert_array_equal(frame.image, expected)


def test_messages_are_passed_on_as_they_are_read(recording: Path) -> None:
    heard: list[tuple[str, int]] = []
    with BagReader(recording) as bag:
        topics = replace(find_topics(bag, Topics()), image="", truth="")
        frames = list(
            read_frames(bag, topics, on_message=lambda topic, at, _: heard.append((topic, at)), also=("/diagnostics",))
        )
    assert len(frames) == 5
    assert sum(topic == "/diagnostics" for topic, _ in heard) == 6
    assert heard[-1] == ("/depth/image", START_NS + 5 * PERIOD_NS + 40_000_000) or heard[-1][0] == "/depth/camera_info"


def test_incomplete_frames_do_not_pile_up(tmp_path: Path) -> None:
    """Depth whose image is missing comes some frames later, not at the end of the bag."""
    pixels = np.ones((4, 4), np.float32)
    with BagWriter(tmp_path / "bag") as bag:
        for name in ("/image", "/depth/image"):
            bag.add(name, "sensor_msgs/msg/Image", qos.SENSOR)
        bag.write("/image", 0, messages.image(pixels, messages.header(0, "")))
        for stamp in range(1, 80):
            bag.write("/depth/image", stamp, messages.image(pixels, messages.header(stamp, "")))
    seen: list[int] = []
    with BagReader(tmp_path / "bag") as bag:
        topics = find_topics(bag, Topics())
        first = next(read_frames(bag, topics, on_message=lambda *_: seen.append(1)))
    assert first.stamp_ns == 1
    assert len(seen) < 40
    assert [frame.stamp_ns for frame in read(tmp_path / "bag")] == list(range(1, 80))


@pytest.mark.parametrize(("broken", "reason"), [("encoding", "holds no depth"), ("bytes", "message")])
def test_a_broken_message_is_named(broken: str, reason: str, tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as bag:
        bag.add("/depth/image", "sensor_msgs/msg/Image", qos.SENSOR)
        if broken == "encoding":
            bag.write("/depth/image", 5, messages.image(np.zeros((4, 4, 3), np.uint8), messages.header(5, "")))
        else:
            bag.write_serialized("/depth/image", 5, b"\0\1\0\0\1\2\3")
    with pytest.raises(DataError, match=rf"bag: (?=.*/depth/image).*{reason}"):
        read(tmp_path / "bag")

"""Drives and bags give the demo the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from space_clip_ros.data.kitti import KittiDrive
from space_clip_ros.errors import DataError, InputError
from space_clip_ros.messages import camera_info_from_camera, compressed_from_array
from space_clip_ros.messages.bag_types import BAGS
from space_clip_ros.ros.executables import KITTI_PLAYER
from space_clip_ros.tools.bags import messages, qos
from space_clip_ros.tools.bags.kitti_to_bag import write_bag
from space_clip_ros.tools.bags.options import BagOptions
from space_clip_ros.tools.bags.writer import BagWriter
from space_clip_ros.tools.demo.sources import BagSource, DriveSource
from space_clip_ros.tools.executables import BAG_REPLAY


@pytest.fixture(scope="module")
def bag(small_drive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bag") / "bag"
    write_bag(small_drive, path)
    return path


def test_a_bag_gives_what_its_drive_gives(bag: Path, small_drive: Path) -> None:
    drive, ours = DriveSource(KittiDrive(small_drive)), BagSource(bag)
    assert (ours.name, ours.frame_count, ours.transport) == ("bag", drive.frame_count, drive.transport)
    (image, camera, frame_id), (expected, same_camera, same_frame_id) = ours.first_image(), drive.first_image()
    np.testing.assert_array_equal(image, expected)
    assert (camera, frame_id) == (same_camera, same_frame_id)
    for frame, wanted in zip(ours.frames_at([1, 4]), drive.frames_at([1, 4]), strict=True):
        np.testing.assert_array_equal(frame[0], wanted[0])
        np.testing.assert_array_equal(frame[1], wanted[1])
    assert ours.frames_at([]) == []


def test_a_drive_is_played_by_its_player(small_drive: Path) -> None:
    player = DriveSource(KittiDrive(small_drive), 3).player(5.0, 2)
    assert player.module == KITTI_PLAYER
    assert player.parameters == {
        "drive": str(small_drive),
        "frames": 3,
        "rate": 0.5,
        "stamps": "now",
        "subscribers": 2,
        "settle": 3.5,
    }


def test_a_bag_is_played_by_replay(bag: Path) -> None:
    player = BagSource(bag, frames=3).player(5.0, 2)
    assert (player.module, player.remaps, player.parameters) == (BAG_REPLAY, [], {})
    words = dict(word.split("=") for word in player.arguments if "=" in word)
    assert float(words["--rate"]) == pytest.approx(0.5)
    assert float(words["--duration"]) == pytest.approx(0.25)
    assert words["--stamps"] == "now" and words["--subscribers"] == "2"
    assert player.arguments[-3:] == ["/image", "/camera_info", "/ground_truth/image"]
    assert not any(word.startswith("--duration") for word in BagSource(bag).player(10.0, 1).arguments)


def test_another_camera_is_moved_to_the_plain_topics(tmp_path: Path, small_drive: Path) -> None:
    head = messages.header(7, "rear")
    drive = KittiDrive(small_drive)
    with BagWriter(tmp_path / "bag") as bag:
        bag.add("/rear/image/compressed", "sensor_msgs/msg/CompressedImage", qos.SENSOR)
        bag.add("/rear/camera_info", "sensor_msgs/msg/CameraInfo", qos.SENSOR)
        bag.write("/rear/camera_info", 7, camera_info_from_camera(drive.camera, head, types=BAGS))
        bag.write("/rear/image/compressed", 7, compressed_from_array(drive.image(0), "png", head, BAGS))
    source = BagSource(tmp_path / "bag", "/rear/image/compressed")
    assert source.transport == "compressed"
    np.testing.assert_array_equal(source.first_image()[0], drive.image(0))
    player = source.player(10.0, 1)
    assert player.remaps == ["/rear/image/compressed:=image/compressed", "/rear/camera_info:=camera_info"]
    ((_, truth),) = source.frames_at([0])
    assert truth.shape == (drive.camera.height, drive.camera.width)
    assert np.isnan(truth).all()


def test_frames_are_images_however_often_the_camera_info_comes(tmp_path: Path, small_drive: Path) -> None:
    drive = KittiDrive(small_drive)
    with BagWriter(tmp_path / "bag") as bag:
        bag.add("/image", "sensor_msgs/msg/Image", qos.SENSOR)
        bag.add("/camera_info", "sensor_msgs/msg/CameraInfo", qos.SENSOR)
        bag.write("/camera_info", 0, camera_info_from_camera(drive.camera, messages.header(0, "c"), types=BAGS))
        for index in range(4):
            stamp = index * 50_000_000
            bag.write("/image", stamp, messages.image(drive.image(index), messages.header(stamp, "c")))
    source = BagSource(tmp_path / "bag", frames=3)
    assert source.frame_count == 3
    words = dict(word.split("=") for word in source.player(10.0, 1).arguments if "=" in word)
    assert float(words["--rate"]) == pytest.approx(0.5)
    assert float(words["--duration"]) == pytest.approx(0.125)


def test_bags_that_cannot_be_shown_are_refused(tmp_path: Path, small_drive: Path) -> None:
    write_bag(small_drive, tmp_path / "two", BagOptions(cameras=("color_left",), truth="none"))
    with pytest.raises(InputError, match="no colour images on /rear/image"):
        BagSource(tmp_path / "two", "/rear/image")
    with BagWriter(tmp_path / "bare") as bag:
        bag.add("/image", "sensor_msgs/msg/Image", qos.SENSOR)
        bag.write("/image", 5, messages.image(np.zeros((4, 6, 3), np.uint8), messages.header(5, "c")))
    with pytest.raises(DataError, match="has no /camera_info beside /image, which the demo needs"):
        BagSource(tmp_path / "bare")
    with pytest.raises(DataError, match="no such bag"):
        BagSource(tmp_path / "missing")

"""A drive's bag, read back field by field with two readers that share no code."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from rosbags.interfaces import QosDurability, QosReliability
from rosbags.typesys import Stores, get_typestore

from space_clip_ros.data.kitti import KittiDrive
from space_clip_ros.errors import DataError
from space_clip_ros.tools.bags.kitti_to_bag import write_bag
from space_clip_ros.tools.bags.options import BagOptions

BASELINE = 0.5
Messages = dict[str, list[tuple[int, Any]]]


def read(bag: Path) -> Messages:
    """Messages by topic as (stamp in the bag, message), with rosbags."""
    messages_read: Messages = {}
    with AnyReader([bag], default_typestore=get_typestore(Stores.ROS2_KILTED)) as reader:
        for connection, stamp, data in reader.messages():
            messages_read.setdefault(connection.topic, []).append((stamp, reader.deserialize(data, connection.msgtype)))
    return messages_read


def read_with_mcap(bag: Path) -> Messages:
    """The same with the MCAP project's own reader and decoder, which uses the definitions in the file."""
    reader = pytest.importorskip("mcap.reader")
    decoder = pytest.importorskip("mcap_ros2.decoder")
    messages_read: Messages = {}
    with (bag / f"{bag.name}.mcap").open("rb") as file:
        for _, channel, message, decoded in reader.make_reader(
            file, decoder_factories=[decoder.DecoderFactory()]
        ).iter_decoded_messages():
            messages_read.setdefault(channel.topic, []).append((message.log_time, decoded))
    return messages_read


def stamp_ns(message: Any) -> int:
    return int(message.header.stamp.sec * 10**9 + message.header.stamp.nanosec)


def pixels(message: Any, dtype: str, channels: int) -> np.ndarray:
    assert message.step == message.width * channels * np.dtype(dtype).itemsize
    flat = np.frombuffer(bytes(message.data), dtype)
    return flat.reshape(message.height, message.width, channels).squeeze()


def matrix(transform: Any) -> np.ndarray:
    q, t = transform.rotation, transform.translation
    x, y, z, w = q.x, q.y, q.z, q.w
    pose = np.eye(4)
    pose[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    pose[:3, 3] = t.x, t.y, t.z
    return pose


def transforms(messages: Messages, topic: str = "/tf_static") -> dict[str, Any]:
    return {item.child_frame_id: item for item in messages[topic][0][1].transforms}


@pytest.fixture(scope="module", params=["mcap", "sqlite3", "mcap library"])
def messages(request: pytest.FixtureRequest, tiny_drive: Path, tmp_path_factory: pytest.TempPathFactory) -> Messages:
    bag = tmp_path_factory.mktemp("bag") / "small"
    storage, _, library = request.param.partition(" ")
    counts = write_bag(tiny_drive, bag, BagOptions(storage=storage))
    messages_read = read_with_mcap(bag) if library else read(bag)
    assert {topic: len(items) for topic, items in messages_read.items()} == counts
    return messages_read


def test_every_topic_has_every_frame_at_its_stamp(messages: Messages, tiny_drive: Path) -> None:
    stamps = KittiDrive(tiny_drive).stamps_ns.tolist()
    for topic in ("/image", "/camera_info", "/velodyne_points", "/ground_truth/image"):
        assert [stamp for stamp, _ in messages[topic]] == stamps, topic
        assert [stamp_ns(message) for _, message in messages[topic]] == stamps, topic
    assert [stamp for stamp, _ in messages["/tf_static"]] == stamps[:1]
    assert len(messages) == 5


def test_images_and_truth_are_the_drives(messages: Messages, tiny_drive: Path) -> None:
    drive = KittiDrive(tiny_drive)
    for index in range(3):
        image, truth = messages["/image"][index][1], messages["/ground_truth/image"][index][1]
        assert (image.encoding, truth.encoding) == ("rgb8", "32FC1")
        assert (image.is_bigendian, truth.is_bigendian) == (0, 0)
        assert image.header.frame_id == truth.header.frame_id == "camera_color_optical_frame"
        np.testing.assert_array_equal(pixels(image, "uint8", 3), drive.image(index))
        np.testing.assert_array_equal(pixels(truth, "<f4", 1), drive.ground_truth(index))


def test_scans_are_the_drives(messages: Messages, tiny_drive: Path) -> None:
    drive = KittiDrive(tiny_drive)
    for index, (_, cloud) in enumerate(messages["/velodyne_points"]):
        scan = drive.scan(index)
        assert (cloud.height, cloud.width, cloud.point_step, cloud.row_step) == (1, len(scan), 16, 16 * len(scan))
        assert cloud.is_dense
        assert not cloud.is_bigendian
        assert cloud.header.frame_id == "velodyne"
        fields = [(field.name, field.offset, field.datatype, field.count) for field in cloud.fields]
        assert fields == [("x", 0, 7, 1), ("y", 4, 7, 1), ("z", 8, 7, 1), ("intensity", 12, 7, 1)]
        np.testing.assert_array_equal(np.frombuffer(bytes(cloud.data), "<f4").reshape(-1, 4), scan)


def test_camera_info_is_the_calibration(messages: Messages, tiny_drive: Path) -> None:
    camera = KittiDrive(tiny_drive).camera
    _, info = messages["/camera_info"][1]
    assert (info.width, info.height, info.distortion_model) == (156, 48, "plumb_bob")
    np.testing.assert_allclose(np.reshape(info.k, (3, 3)), camera.K)
    np.testing.assert_allclose(np.reshape(info.p, (3, 4)), np.hstack([camera.K, np.zeros((3, 1))]))
    np.testing.assert_array_equal(np.reshape(info.r, (3, 3)), np.eye(3))
    np.testing.assert_array_equal(info.d, np.zeros(5))
    assert info.header.frame_id == "camera_color_optical_frame"


def test_transforms_lead_scan_points_to_their_pixels(messages: Messages, tiny_drive: Path) -> None:
    """The tree must say the same as KITTI's own projection, which the truth was made with."""
    drive = KittiDrive(tiny_drive)
    tree = transforms(messages)
    assert {(item.header.frame_id, child) for child, item in tree.items()} == {
        ("base_link", "velodyne"),
        ("velodyne", "camera_color_optical_frame"),
    }
    to_camera = np.linalg.inv(matrix(tree["camera_color_optical_frame"].transform))
    points = np.c_[drive.scan(0)[:, :3], np.ones(len(drive.scan(0)))]
    seen = points @ to_camera.T
    expected = points @ (drive.projection @ drive.velodyne_to_camera).T
    np.testing.assert_allclose(seen[:, :3] @ drive.camera.K.T, expected, rtol=1e-5, atol=1e-4)


def test_optical_frames_look_ahead_and_the_scanner_stands_on_the_ground(messages: Messages) -> None:
    tree = transforms(messages)
    camera = matrix(tree["camera_color_optical_frame"].transform)
    # Columns: the camera's x, y and z axes in the scanner's frame (x ahead, y left, z up).
    np.testing.assert_allclose(camera[:3, :3], [[0, 0, 1], [-1, 0, 0], [0, -1, 0]], atol=0.03)
    base = matrix(tree["velodyne"].transform)
    np.testing.assert_allclose(base, [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 1.73], [0, 0, 0, 1]])


@pytest.fixture(scope="module")
def full(full_drive: Path, tmp_path_factory: pytest.TempPathFactory) -> Messages:
    bag = tmp_path_factory.mktemp("bag") / "full"
    write_bag(full_drive, bag, BagOptions(cameras=("color_left", "color_right", "gray_left", "gray_right")))
    return read(bag)


def test_gps_and_imu_become_messages(full: Messages) -> None:
    stamps = [stamp for stamp, _ in full["/imu"]]
    assert stamps == [1_767_268_800_020_000_000 + index * 100_000_000 for index in range(3)]
    imu, fix = full["/imu"][1][1], full["/gps/fix"][1][1]
    assert (imu.header.frame_id, fix.header.frame_id) == ("imu_link", "imu_link")
    assert stamp_ns(imu) == stamp_ns(fix) == stamps[1]
    acceleration, turn = imu.linear_acceleration, imu.angular_velocity
    assert (acceleration.x, acceleration.y, acceleration.z) == (11, 12, 13)
    assert (turn.x, turn.y, turn.z) == (17, 18, 19)
    assert (imu.orientation.x, imu.orientation.y, imu.orientation.z, imu.orientation.w) == (0, 0, 0, 1)
    assert (fix.latitude, fix.altitude, fix.status.status, fix.status.service) == (49.0, 116.0, 2, 1)
    np.testing.assert_allclose(np.reshape(fix.position_covariance, (3, 3)), np.eye(3) * 23.0**2)
    assert fix.position_covariance_type == 1


def test_the_car_moves_in_the_map(full: Messages) -> None:
    """One metre east each record; the IMU, 0.8 m behind and 0.3 m left of the scanner, starts at the map's origin."""
    poses = [message.transforms[0] for _, message in full["/tf"]]
    assert {(pose.header.frame_id, pose.child_frame_id) for pose in poses} == {("map", "base_link")}
    places = [matrix(pose.transform)[:3, 3] for pose in poses]
    np.testing.assert_allclose(places, [[0.8 + index, -0.3, 0.8 - 1.73] for index in range(3)], atol=1e-6)
    imu = transforms(full)["imu_link"]
    assert imu.header.frame_id == "velodyne"
    np.testing.assert_allclose(matrix(imu.transform)[:3, 3], [-0.8, 0.3, -0.8])


def test_more_cameras_have_their_own_topics_and_frames(full: Messages, full_drive: Path) -> None:
    right, gray = full["/right/image"][2][1], full["/gray_left/image"][2][1]
    assert (right.encoding, gray.encoding) == ("rgb8", "mono8")
    np.testing.assert_array_equal(pixels(right, "uint8", 3), KittiDrive(full_drive, 3).image(2))
    np.testing.assert_array_equal(pixels(gray, "uint8", 1), KittiDrive(full_drive, 0).image(2)[..., 0])
    frames = {topic: items[0][1].header.frame_id for topic, items in full.items() if topic.endswith("camera_info")}
    assert frames == {
        "/camera_info": "camera_color_optical_frame",
        "/right/camera_info": "camera_color_right_optical_frame",
        "/gray_left/camera_info": "camera_gray_optical_frame",
        "/gray_right/camera_info": "camera_gray_right_optical_frame",
    }
    assert set(frames.values()) <= set(transforms(full))


def test_right_cameras_carry_their_baseline(full: Messages) -> None:
    tx = {topic: items[0][1].p[3] for topic, items in full.items() if topic.endswith("camera_info")}
    expected = {"/camera_info": 0, "/right/camera_info": -90.0 * BASELINE, "/gray_left/camera_info": 0}
    np.testing.assert_allclose([tx[topic] for topic in expected], list(expected.values()), atol=1e-4)
    tree = transforms(full)
    left, right = (matrix(tree[f"camera_color{side}_optical_frame"].transform) for side in ("", "_right"))
    np.testing.assert_allclose((np.linalg.inv(left) @ right)[:3, 3], [BASELINE, 0, 0], atol=1e-5)


def test_messages_lie_in_the_bag_in_the_order_of_their_stamps(full_drive: Path, tmp_path: Path) -> None:
    write_bag(full_drive, tmp_path / "bag", BagOptions())
    reader = pytest.importorskip("mcap.reader")
    with (tmp_path / "bag" / "bag.mcap").open("rb") as file:
        messages = reader.make_reader(file).iter_messages(log_time_order=False)
        stored = [(message.log_time, channel.topic) for _, channel, message in messages]
    assert [stamp for stamp, _ in stored] == sorted(stamp for stamp, _ in stored)
    assert stored[0][1] == "/tf_static"


@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_compressed_images(kind: str, tiny_drive: Path, tmp_path: Path) -> None:
    write_bag(tiny_drive, tmp_path / "bag", BagOptions(compressed=kind))
    messages_read = read(tmp_path / "bag")
    assert "/image" not in messages_read
    _, message = messages_read["/image/compressed"][0]
    assert message.format == f"rgb8; {kind} compressed bgr8"
    decoded = cv2.cvtColor(cv2.imdecode(message.data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB).astype(int)
    difference = np.abs(decoded - KittiDrive(tiny_drive).image(0)).mean()
    assert difference == 0 if kind == "png" else difference < 6


def test_truth_can_be_the_annotated_depth_or_left_out(tiny_drive: Path, tmp_path: Path) -> None:
    write_bag(tiny_drive, tmp_path / "exact", BagOptions(truth="annotated"))
    truth = pixels(read(tmp_path / "exact")["/ground_truth/image"][0][1], "<f4", 1)
    np.testing.assert_array_equal(truth, KittiDrive(tiny_drive).ground_truth(0, annotated=True))
    assert "/ground_truth/image" not in write_bag(tiny_drive, tmp_path / "none", BagOptions(truth="none"))


def test_offered_qos_lets_late_subscribers_have_the_static_transforms(full_drive: Path, tmp_path: Path) -> None:
    write_bag(full_drive, tmp_path / "bag", BagOptions())
    with AnyReader([tmp_path / "bag"]) as reader:
        offered = {connection.topic: connection.ext.offered_qos_profiles for connection in reader.connections}
    assert offered["/tf_static"][0].durability == QosDurability.TRANSIENT_LOCAL
    assert {profiles[0].reliability for profiles in offered.values()} == {QosReliability.RELIABLE}
    volatile = {topic for topic, profiles in offered.items() if profiles[0].durability == QosDurability.VOLATILE}
    assert volatile == set(offered) - {"/tf_static"}


@pytest.mark.parametrize("distribution", ["HUMBLE", "IRON", "JAZZY", "KILTED"])
def test_types_have_the_same_hash_from_humble_on(distribution: str, full_drive: Path, tmp_path: Path) -> None:
    write_bag(full_drive, tmp_path / "bag", BagOptions(compressed="jpeg"))
    types = get_typestore(Stores[f"ROS2_{distribution}"])
    with AnyReader([tmp_path / "bag"]) as reader:
        for connection in reader.connections:
            assert connection.digest == types.hash_rihs01(connection.msgtype)


def test_a_frame_without_a_scan_has_neither_scan_nor_truth(tiny_drive: Path, tmp_path: Path) -> None:
    day = tmp_path / tiny_drive.parent.name
    shutil.copytree(tiny_drive.parent, day)
    (day / tiny_drive.name / "velodyne_points" / "data" / "0000000001.bin").unlink()
    counts = write_bag(day / tiny_drive.name, tmp_path / "bag")
    assert (counts["/image"], counts["/velodyne_points"], counts["/ground_truth/image"]) == (3, 2, 2)


def test_a_broken_frame_leaves_nothing(tiny_drive: Path, tmp_path: Path) -> None:
    day = tmp_path / "day" / tiny_drive.parent.name
    shutil.copytree(tiny_drive.parent, day)
    (day / tiny_drive.name / "image_02" / "data" / "0000000002.png").write_bytes(b"no picture")
    (tmp_path / "out").mkdir()
    with pytest.raises(DataError, match=r"0000000002\.png"):
        write_bag(day / tiny_drive.name, tmp_path / "out" / "bag")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (BagOptions(cameras=("color_right",)), "image_03"),
        (BagOptions(truth="annotated"), "no annotated depth"),
    ],
)
def test_what_the_drive_lacks_is_named(options: BagOptions, message: str, tiny_drive: Path, tmp_path: Path) -> None:
    day = tmp_path / tiny_drive.parent.name
    shutil.copytree(tiny_drive.parent, day, ignore=shutil.ignore_patterns("proj_depth"))
    with pytest.raises(DataError, match=message):
        write_bag(day / tiny_drive.name, tmp_path / "bag", options)


def test_progress_counts_every_step(full_drive: Path, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    write_bag(full_drive, tmp_path / "bag", progress=lambda done, total: steps.append((done, total)))
    assert steps == [(done, 6) for done in range(1, 7)]

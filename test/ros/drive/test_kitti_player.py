"""The player: every frame once, in order, with the right stamps, numbers and end."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from space_clip_ros.data.kitti import KittiDrive
from space_clip_ros.errors import ConfigError, DataError
from space_clip_ros.messages import depth_from_image, image_to_rgb, points_from_cloud
from space_clip_ros.ros.drive.kitti_player import KittiPlayer
from space_clip_ros.ros.node.depth_node import DepthNode

TOPICS = {
    "image": Image,
    "camera_info": CameraInfo,
    "velodyne_points": PointCloud2,
    "ground_truth/image": Image,
    "/diagnostics": DiagnosticArray,
    "/clock": Clock,
}


class Listener:
    """Collects everything that is published, and plays a drive meanwhile."""

    def __init__(self, spinning: Callable[..., Any], until: Callable[..., None]) -> None:
        self.node = rclpy.create_node("listener")
        self.got: dict[str, list[Any]] = {topic: [] for topic in TOPICS}
        self.finished = threading.Event()
        self._until = until
        for topic, kind in TOPICS.items():
            self.node.create_subscription(kind, topic, self.got[topic].append, QoSProfile(depth=200))
        spinning(self.node)

    def play(self, images: int, **parameters: Any) -> str:
        """Play until so many images came, and return the farewell."""
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        player = KittiPlayer(self.finished.set, parameter_overrides=overrides)
        self._until(lambda: len(self.got["image"]) >= images, f"{images} images")
        if not parameters.get("loop"):
            assert self.finished.wait(30)
        farewell = player.close()
        player.destroy_node()
        return farewell

    def stamps_ns(self, topic: str) -> list[int]:
        return [message.header.stamp.sec * 10**9 + message.header.stamp.nanosec for message in self.got[topic]]


@pytest.fixture
def listener(spinning: Callable[..., Any], until: Callable[..., None]) -> Listener:
    return Listener(spinning, until)


def test_every_frame_comes_once_in_order_with_the_drives_stamps(
    listener: Listener, small_drive: Path, until: Callable[..., None]
) -> None:
    drive = KittiDrive(small_drive)
    farewell = listener.play(5, drive=str(small_drive), rate=4.0)
    until(lambda: all(len(listener.got[topic]) == 5 for topic in ("camera_info", "velodyne_points")), "all messages")
    until(lambda: len(listener.got["ground_truth/image"]) == 5, "all truth")
    for topic in ("image", "camera_info", "velodyne_points", "ground_truth/image"):
        assert listener.stamps_ns(topic) == drive.stamps_ns.tolist(), topic
    assert "played 5 frames" in farewell


def test_messages_hold_what_the_drive_holds(listener: Listener, small_drive: Path, until: Callable[..., None]) -> None:
    drive = KittiDrive(small_drive)
    listener.play(1, drive=str(small_drive), frames=1, frame_id="cam", scan_frame_id="lidar")
    until(lambda: listener.got["ground_truth/image"] and listener.got["velodyne_points"], "truth and scan")
    until(lambda: listener.got["camera_info"], "camera_info")
    image, truth = listener.got["image"][0], listener.got["ground_truth/image"][0]
    scan, info = listener.got["velodyne_points"][0], listener.got["camera_info"][0]
    np.testing.assert_array_equal(image_to_rgb(image), drive.image(0))
    np.testing.assert_array_equal(depth_from_image(truth), drive.ground_truth(0))
    points = points_from_cloud(scan).ravel()
    for column, name in enumerate(("x", "y", "z", "intensity")):
        np.testing.assert_array_equal(points[name], drive.scan(0)[:, column])
    assert (image.encoding, truth.encoding) == ("rgb8", "32FC1")
    assert [message.header.frame_id for message in (image, info, truth, scan)] == ["cam", "cam", "cam", "lidar"]
    np.testing.assert_allclose(np.reshape(info.k, (3, 3)), drive.camera.K)


def test_stamps_can_be_the_moment_of_sending(listener: Listener, small_drive: Path) -> None:
    before = time.time_ns()
    listener.play(2, drive=str(small_drive), frames=2, stamps="now")
    stamps = listener.stamps_ns("image")
    assert before < stamps[0] < stamps[1] < time.time_ns()


def test_a_loop_goes_on_with_rising_stamps_until_it_is_stopped(listener: Listener, small_drive: Path) -> None:
    listener.play(7, drive=str(small_drive), rate=20.0, loop=True)
    stamps = listener.stamps_ns("image")[:7]
    assert np.diff(stamps).tolist() == [100_000_000] * 6
    np.testing.assert_array_equal(image_to_rgb(listener.got["image"][5]), image_to_rgb(listener.got["image"][0]))


def test_the_clock_runs_with_the_drive(listener: Listener, small_drive: Path, until: Callable[..., None]) -> None:
    listener.play(3, drive=str(small_drive), frames=3, clock=True)
    until(lambda: len(listener.got["/clock"]) >= 3, "the clock")
    times = [message.clock.sec * 10**9 + message.clock.nanosec for message in listener.got["/clock"]]
    stamps = KittiDrive(small_drive).stamps_ns
    assert times == sorted(times)
    assert stamps[0] <= times[0]
    assert len(times) > 3, "the clock ticks between frames too"


def test_progress_is_on_diagnostics(listener: Listener, small_drive: Path, until: Callable[..., None]) -> None:
    listener.play(2, drive=str(small_drive), frames=2)
    until(lambda: listener.got["/diagnostics"], "diagnostics")
    status = listener.got["/diagnostics"][-1].status[0]
    values = {item.key: item.value for item in status.values}
    assert status.name == "kitti_player: playback"
    assert (values["frames_sent"], values["finished"]) == ("2", "true")


def test_a_frame_without_a_scan_has_no_truth(
    listener: Listener, small_drive: Path, tmp_path: Path, until: Callable[..., None]
) -> None:
    day = tmp_path / small_drive.parent.name
    shutil.copytree(small_drive.parent, day)
    drive = day / small_drive.name
    (drive / "velodyne_points" / "data" / "0000000001.bin").unlink()
    listener.play(3, drive=str(drive), frames=3, rate=4.0)
    until(lambda: len(listener.got["ground_truth/image"]) == 2, "the truth of two frames")
    stamps = KittiDrive(drive).stamps_ns
    assert listener.stamps_ns("ground_truth/image") == [stamps[0], stamps[2]]


def test_best_effort_subscribers_are_served(ros: int, small_drive: Path, until: Callable[..., None]) -> None:
    node, got = rclpy.create_node("camera_user"), []
    node.create_subscription(Image, "image", got.append, QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT))
    player = KittiPlayer(lambda: None, parameter_overrides=[Parameter("drive", value=str(small_drive))])
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    until(lambda: executor.spin_once(timeout_sec=0.05) or got, "an image")
    player.close()
    player.destroy_node()
    node.destroy_node()


@pytest.mark.parametrize(
    "parameters, error, text",
    [
        ({}, ConfigError, "drive: must be the folder"),
        ({"drive": "/nowhere"}, DataError, "/nowhere: no such folder"),
        ({"drive": "/x", "clock": True, "stamps": "now"}, ConfigError, "clock: carries the drive's time"),
    ],
)
def test_unusable_parameters_are_refused(
    ros: int, parameters: dict[str, Any], error: type[Exception], text: str
) -> None:
    overrides = [Parameter(name, value=value) for name, value in parameters.items()]
    with pytest.raises(error, match=text):
        KittiPlayer(lambda: None, parameter_overrides=overrides)


def run_player(domain: int, **parameters: object) -> subprocess.CompletedProcess[str]:
    settings = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
    command = [sys.executable, "-m", "space_clip_ros.ros.drive.kitti_player", "--ros-args", *settings]
    environment = {**os.environ, "ROS_DOMAIN_ID": str(domain)}
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False, env=environment)


def test_the_program_ends_well_and_says_what_it_played(domain: int, small_drive: Path) -> None:
    result = run_player(domain, drive=small_drive, wait_for_subscribers=0.1)
    assert result.returncode == 0, result.stderr
    lines = result.stderr.strip().splitlines()
    assert "waiting up to 0.1 s for a subscriber of /image" in lines[0]
    assert "nobody subscribes to /image" in lines[1]
    assert "played 5 frames" in lines[2]
    assert len(lines) == 3


def test_too_few_subscribers_are_told(domain: int, ros: int, small_drive: Path) -> None:
    node = rclpy.create_node("lonely")
    node.create_subscription(Image, "/image", lambda message: None, 1)
    result = run_player(domain, drive=small_drive, wait_for_subscribers=3.0, subscribers=2)
    node.destroy_node()
    assert result.returncode == 0, result.stderr
    assert "only 1 of 2 subscribe to /image after 3 s; playing anyway" in result.stderr


def test_a_broken_frame_ends_the_program_with_its_name(domain: int, small_drive: Path, tmp_path: Path) -> None:
    day = tmp_path / small_drive.parent.name
    shutil.copytree(small_drive.parent, day)
    broken = day / small_drive.name / "image_02" / "data" / "0000000003.png"
    broken.write_bytes(b"no picture")
    result = run_player(domain, drive=day / small_drive.name, wait_for_subscribers=0.0)
    assert result.returncode == 1
    assert "0000000003.png" in result.stderr
    assert "played 3 frames" in result.stderr
    assert "Traceback" not in result.stderr


def test_an_error_that_nobody_expected_ends_it(ros: int, small_drive: Path) -> None:
    """Once, such an error left a node that never ended."""
    finished = threading.Event()
    settings = {"drive": str(small_drive), "loop": True, "wait_for_subscribers": 0.0}
    overrides = [Parameter(name, value=value) for name, value in settings.items()]
    player = KittiPlayer(finished.set, parameter_overrides=overrides)
    for publisher in [publisher for publisher in player.publishers if publisher.topic_name == "/image"]:
        player.destroy_publisher(publisher)
    assert finished.wait(30)
    assert str(player.error).startswith(f"{small_drive}: internal error, InvalidHandle: ")
    player.close()
    player.destroy_node()


def test_it_waits_until_depth_node_is_ready_so_that_no_frame_is_lost(
    spinning: Callable[..., Any], until: Callable[..., None], tiny_model_file: Path, small_drive: Path
) -> None:
    values = {"model": str(tiny_model_file), "threads": 1, "diagnostics.period": 0.1}
    node = spinning(DepthNode(parameter_overrides=[Parameter(name, value=value) for name, value in values.items()]))
    depth: list[Image] = []
    spinning(rclpy.create_node("viewer")).create_subscription(Image, "depth/image", depth.append, 20)
    until(lambda: node._state == "active", "the node to be active")
    prepare, prepared = node._model.warm_up, threading.Event()

    def slowly(*size: int) -> None:
        time.sleep(1.0)
        prepare(*size)
        prepared.set()

    node._model.warm_up = slowly
    over = threading.Event()
    settings = {"drive": str(small_drive), "wait_for_subscribers": 30.0, "wait_for_depth": 30.0}
    spinning(
        KittiPlayer(over.set, parameter_overrides=[Parameter(name, value=item) for name, item in settings.items()])
    )
    until(over.is_set, "the end of the drive")
    assert prepared.is_set()
    until(lambda: len(depth) == 5, "depth of every frame")


def test_without_a_depth_node_it_plays_all_the_same(
    listener: Listener, small_drive: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    listener.play(5, drive=str(small_drive), rate=10.0, wait_for_depth=0.5)
    assert "depth_node was not ready after 0.5 s; playing anyway" in capfd.readouterr().err

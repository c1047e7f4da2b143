"""The executable as a user starts and stops it: command line, remaps, signals, exit status, what is printed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import rclpy
from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from space_clip_ros.messages import image_from_array

# A second is promised; on a loaded test machine the process itself may be starved, so a test waits longer.
PATIENCE_S = 30


@pytest.fixture
def robot(ros: int) -> Iterator[Node]:
    node = Node("robot")
    yield node
    node.destroy_node()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_quietly_while_it_waits(start_process, tiny_model_file, number):
    process = start_process("-p", f"model:={tiny_model_file}")
    process.wait_for("active, waiting for images on /image")
    status, lines = process.end(number)
    assert status == 0
    assert len(lines) == 1, lines
    assert "stopped after 0 frames" in lines[0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_quietly_while_it_works(start_process, robot, until, tiny_model_file, number):
    process = start_process("-p", f"model:={tiny_model_file}", "-r", "image:=/camera/image", "-r", "__ns:=/front")
    images = robot.create_publisher(Image, "/camera/image", 10)
    received: list[Image] = []
    for topic, kind in (("/front/depth/image", Image), ("/front/depth/color", Image)):
        robot.create_subscription(kind, topic, received.append, 10)
    picture = np.random.default_rng(0).integers(0, 256, (375, 1242, 3)).astype(np.uint8)

    def flowing() -> bool:
        images.publish(image_from_array(picture, "rgb8", Header(frame_id="camera")))
        rclpy.spin_once(robot, timeout_sec=0.02)
        return len(received) > 20

    until(flowing, "depth to flow", 60)
    for _ in range(4):
        images.publish(image_from_array(picture, "rgb8", Header(frame_id="camera")))
    status, lines = process.end(number)
    assert status == 0
    assert len(lines) == 1, lines
    assert "stopped" in lines[0]


def test_a_model_that_is_missing_is_logged_and_the_process_stays(start_process, robot, until):
    process = start_process("-p", "model:=/nowhere/model.onnx")
    process.wait_for("configure failed: /nowhere/model.onnx")
    until(lambda: "depth" in robot.get_node_names(), "the node to be seen")
    status, lines = process.end(signal.SIGTERM)
    assert status == 0
    assert len(lines) == 1


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("-p", "max_depth:=0.01"), "min_depth: must be below max_depth"),
        (("-p", "backend:=tpu"), "backend: must be one of"),
        (("--no-such-option",), "--no-such-option"),
    ],
)
def test_parameters_that_cannot_be_used_are_one_line_and_exit_status_1(start_process, arguments, text):
    status, lines = start_process(*arguments).end()
    assert status == 1
    assert len(lines) == 1, lines
    assert text in lines[0]


def test_help_and_wrong_usage(monkeypatch: pytest.MonkeyPatch):
    command = [sys.executable, "-m", "space_clip_ros.ros.node.depth_node"]
    process = subprocess.run([*command, "--help"], capture_output=True, text=True, timeout=60, check=True)
    assert "example: depth_node --ros-args" in process.stdout
    wrong = subprocess.run([*command, "--model", "x"], capture_output=True, text=True, timeout=60, check=False)
    assert wrong.returncode == 2


def test_bad_messages_of_another_process_never_end_it(start_process, robot, until, tiny_model_file):
    """Every field random, then one good image; the process must still answer."""
    process = start_process("-p", f"model:={tiny_model_file}")
    images = robot.create_publisher(Image, "/image", 10)
    received: list[Any] = []
    robot.create_subscription(Image, "/depth/image", received.append, 10)
    until(lambda: images.get_subscription_count() and robot.count_publishers("/depth/image"), "matching", 60)
    random = np.random.default_rng(5)
    encodings = ["rgb8", "bgr8", "mono16", "bayer_rggb8", "yuv422", "nv12", "32FC1", "", "\u00e9" * 50]
    for _ in range(300):
        sizes = [int(value) for value in random.choice([0, 1, 2, 7, 64, 2**31, 2**32 - 1], 3)]
        bad = Image(height=sizes[0], width=sizes[1], step=sizes[2], encoding=str(random.choice(encodings)))
        bad.is_bigendian = int(random.integers(0, 256))
        bad.data.frombytes(random.bytes(int(random.integers(0, 200))))
        images.publish(bad)

    def answered() -> bool:
        good = image_from_array(np.zeros((8, 10, 3), np.uint8), "rgb8", Header(frame_id="good"))
        images.publish(good)
        rclpy.spin_once(robot, timeout_sec=0.05)
        return any(message.header.frame_id == "good" for message in received)

    until(answered, "depth after the bad messages")
    started = time.monotonic()
    status, _ = process.end(signal.SIGINT)
    assert status == 0
    assert time.monotonic() - started < PATIENCE_S

"""What a middleware without QoS events leads to, and lost messages; the rest is tested over DDS with the node."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from rclpy.node import Node
from sensor_msgs.msg import Image

from space_clip_ros.ros.common import qos
from space_clip_ros.ros.common.throttled_log import ThrottledLog

# Messages that do not fit the shared memory of Fast DDS's defaults, so pieces of them are lost.
_CAMERA = """
import array, sys, time
import rclpy
from sensor_msgs.msg import Image
from space_clip_ros.ros.common.qos import best_effort
rclpy.init()
camera = rclpy.create_node("camera")
images = camera.create_publisher(Image, "image", best_effort(1))
message = Image(data=array.array("B", bytes(8_000_000)))
while not images.get_subscription_count():
    time.sleep(0.02)
while sys.stdin.readable():
    images.publish(message)
    time.sleep(0.02)
"""


def test_a_middleware_without_qos_events_costs_the_events_only() -> None:
    """Humble's rclpy raises where later ones leave the event out; here its refusal is acted."""
    requested: list[Any] = []

    def create(callbacks: Any) -> str:
        requested.append(callbacks)
        if callbacks is not None:
            raise qos._events.UnsupportedEventTypeError("not by this middleware")
        return "created"

    assert qos.with_events(create, "callbacks", "fewer") == "created"
    assert requested == ["callbacks", "fewer", None]


def test_other_failures_are_not_hidden() -> None:
    def create(callbacks: Any) -> None:
        raise RuntimeError("no memory")

    with pytest.raises(RuntimeError, match="no memory"):
        qos.with_events(create, "callbacks")


def test_images_that_are_lost_on_the_way_are_counted(
    ros: int, spinning: Callable[..., Any], until: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"):
        monkeypatch.delenv(name, raising=False)
    lost: list[int] = []
    node = Node("node")
    log = ThrottledLog(node.get_logger())
    qos.subscribe(node, Image, "image", lambda image: None, qos.best_effort(1), log, lost.append)
    spinning(node)
    camera = subprocess.Popen([sys.executable, "-c", _CAMERA], stdin=subprocess.PIPE)
    try:
        until(lambda: sum(lost) >= 3, "images to be lost")
    finally:
        camera.kill()
        camera.communicate()
    assert min(lost) >= 1

"""What a camera_info announces is prepared for before the first image, over real DDS."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.messages import camera_info_from_camera
from space_clip_ros.ros.node.depth_node import DepthNode

CAMERA = PinholeCamera(48, 32, fx=40.0, fy=40.0, cx=23.5, cy=15.5)


class Announcing:
    """The node, publishers of camera_info, and what the node's model was warmed up for, in which thread."""

    def __init__(
        self, node: DepthNode, spinning: Callable[..., Any], until: Callable[..., None], cameras: list[str]
    ) -> None:
        self.node = node
        robot = spinning(Node("robot"))
        topics = [f"{name}/camera_info" if name else "camera_info" for name in cameras]
        self.publishers = [robot.create_publisher(CameraInfo, topic, 10) for topic in topics]
        until(lambda: all(item.get_subscription_count() for item in self.publishers), "matching")
        self.warmed: list[tuple[int, int, int]] = []
        self.threads: set[str] = set()
        self.until = until
        predictor = self.node._model._predictor
        original = predictor.warm_up

        def warm_up(*size: int) -> None:
            original(*size)
            self.threads.add(threading.current_thread().name)
            self.warmed.append(size)

        predictor.warm_up = warm_up

    def sessions(self) -> set[tuple[int, int, int]]:
        return {shape for shape, _ in self.node._model._predictor._backend._sessions._sessions}

    def announce(self, camera: int, info: CameraInfo) -> None:
        info.header.stamp.sec += 1
        known = self.node._pipeline.cameras[camera].calibrations._calibrations
        before = known.get(info.header.frame_id)
        self.publishers[camera].publish(info)
        self.until(lambda: known.get(info.header.frame_id) is not before, "camera_info to arrive")


@pytest.fixture
def start(start_node, spinning, until) -> Callable[..., Announcing]:
    def make(*cameras: str) -> Announcing:
        names = list(cameras) or [""]
        return Announcing(start_node(cameras=names), spinning, until, names)

    return make


def info(camera: PinholeCamera = CAMERA, **fields: Any) -> CameraInfo:
    message = camera_info_from_camera(camera, Header(frame_id="camera"))
    for name, value in fields.items():
        setattr(message, name, value)
    return message


def test_the_model_is_ready_before_the_first_image_and_the_executor_stays_free(start, until):
    robot = start()
    robot.announce(0, info(binning_x=2, binning_y=2))
    until(lambda: robot.warmed, "the warm-up")
    assert robot.warmed == [(16, 24, 1)]
    assert robot.threads == {"depth worker"}
    assert robot.sessions() == {(1, 16, 24)}
    assert robot.node._statistics[""].snapshot().dropped == {}


def test_several_cameras_are_prepared_for_together(start, until):
    robot = start("front", "rear", "left")
    robot.announce(1, info())
    until(lambda: robot.warmed, "the warm-up")
    assert robot.warmed == [(32, 48, 3)]
    assert robot.sessions() == {(1, 32, 48), (2, 32, 48)}


def test_only_the_first_word_of_a_camera_counts_until_it_is_activated_anew(start, until):
    robot = start()
    for width in (48, 50, 52):
        robot.announce(0, info(PinholeCamera(width, 32, 40.0, 40.0, 23.5, 15.5)))
    until(lambda: robot.warmed, "the warm-up")
    robot.node.trigger_deactivate()
    robot.node.trigger_activate()
    # Again and again: the first ones may still go to the subscription that is gone.
    until(lambda: (robot.publishers[0].publish(info()), len(robot.warmed) > 1)[1], "the next warm-up")
    assert robot.warmed == [(32, 48, 1)] * 2


@pytest.mark.parametrize(
    "fields",
    [{"width": 2**32 - 1, "height": 2**32 - 1}, {"width": 5000, "height": 4000}, {"k": [float("nan")] * 9}],
)
def test_absurd_words_cost_nothing(start, fields):
    robot = start()
    robot.announce(0, info(**fields))
    # deactivating waits for the worker, and drops what it has not begun
    robot.node.trigger_deactivate()
    assert robot.warmed == []
    assert robot.sessions() == set()

"""The node under a lifecycle manager: every transition over its service, failures included."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from space_clip_ros.messages import image_from_array
from space_clip_ros.ros.node.depth_node import DepthNode


class Manager:
    """What Nav2's lifecycle manager does: calls the node's services from another process's point of view."""

    def __init__(self, spinning: Callable[..., Any], until: Callable[..., None]) -> None:
        self.until = until
        self._spinning = spinning
        self.node = spinning(Node("manager"))
        self._change = self.node.create_client(ChangeState, "/depth/change_state")
        self._get = self.node.create_client(GetState, "/depth/get_state")

    def start(self, **parameters: Any) -> DepthNode:
        node = DepthNode(parameter_overrides=[Parameter(name, value=value) for name, value in parameters.items()])
        self._spinning(node)
        assert self._change.wait_for_service(30)
        assert self._get.wait_for_service(30)
        return node

    def change(self, transition: int) -> bool:
        return self._call(self._change, ChangeState.Request(transition=Transition(id=transition))).success

    def state(self) -> str:
        return self._call(self._get, GetState.Request()).current_state.label

    def _call(self, client: Any, request: Any) -> Any:
        future = client.call_async(request)
        self.until(future.done, "the service to answer")
        return future.result()


@pytest.fixture
def manager(spinning: Callable[..., Any], until: Callable[..., None]) -> Manager:
    return Manager(spinning, until)


def test_all_transitions(manager, until, tiny_model_file):
    node = manager.start(model=str(tiny_model_file), autostart=False, threads=1)
    robot = manager.node
    images = robot.create_publisher(Image, "image", 1)
    received: list[Image] = []
    robot.create_subscription(Image, "depth/image", received.append, 10)
    assert manager.state() == "unconfigured"
    assert node.count_publishers("/depth/image") == 0

    assert manager.change(Transition.TRANSITION_CONFIGURE)
    assert manager.state() == "inactive"
    assert node.count_publishers("/depth/image") == 1
    assert node.count_subscribers("/image") == 0

    for _ in range(2):
        assert manager.change(Transition.TRANSITION_ACTIVATE)
        assert manager.state() == "active"
        until(lambda: images.get_subscription_count() and robot.count_publishers("/depth/image"), "matching")
        before = len(received)

        def answered(before: int = before) -> bool:
            images.publish(image_from_array(np.zeros((8, 8, 3), np.uint8), "rgb8", Header()))
            return len(received) > before

        until(answered, "depth while active")
        assert manager.change(Transition.TRANSITION_DEACTIVATE)
        assert manager.state() == "inactive"
        until(lambda: not images.get_subscription_count(), "the input to be let go")

    assert manager.change(Transition.TRANSITION_CLEANUP)
    assert manager.state() == "unconfigured"
    assert node.count_publishers("/depth/image") == 0
    assert manager.change(Transition.TRANSITION_CONFIGURE)
    assert manager.change(Transition.TRANSITION_INACTIVE_SHUTDOWN)
    assert manager.state() == "finalized"


def test_a_transition_that_does_not_fit_is_refused(manager, tiny_model_file, capfd):
    manager.start(model=str(tiny_model_file), autostart=True, threads=1)
    manager.until(lambda: manager.state() == "active", "the node to start by itself")
    # Nav2's manager tries this at its start, whatever state the node is in.
    assert not manager.change(Transition.TRANSITION_CONFIGURE)
    # Ours on Jazzy and before; since Kilted rclpy refuses by itself and has its own words.
    said = r"transition 1 (is not possible while the node is active|from current state \(3, 'active'\))"
    assert re.search(said, capfd.readouterr().err)
    assert manager.state() == "active"
    assert manager.change(Transition.TRANSITION_DEACTIVATE)


def test_shutdown_while_active(manager, tiny_model_file):
    node = manager.start(model=str(tiny_model_file), autostart=True, threads=1)
    manager.until(lambda: manager.state() == "active", "the node to start by itself")
    assert manager.change(Transition.TRANSITION_ACTIVE_SHUTDOWN)
    assert manager.state() == "finalized"
    assert node.count_subscribers("/image") == 0


def test_a_failing_configure_says_why_and_can_be_tried_again(manager, tiny_model_file, tmp_path: Path, capfd):
    late = tmp_path / "late.onnx"
    node = manager.start(model=str(late), autostart=True, threads=1)
    manager.until(lambda: "configure failed" in node._failure, "the node to try by itself")
    assert str(late) in node._failure
    assert manager.state() == "unconfigured"
    assert not manager.change(Transition.TRANSITION_CONFIGURE)
    assert manager.state() == "unconfigured"

    late.write_bytes(b"this is no model")
    assert not manager.change(Transition.TRANSITION_CONFIGURE)

    shutil.copy(tiny_model_file, late)
    assert manager.change(Transition.TRANSITION_CONFIGURE)
    assert manager.change(Transition.TRANSITION_ACTIVATE)
    assert manager.state() == "active"
    assert node._failure == ""
    errors = [line for line in capfd.readouterr().err.splitlines() if "configure failed" in line]
    assert len(errors) == 3
    assert all(str(late) in line for line in errors)


def test_a_bad_qos_override_is_a_failed_configure(manager, tiny_model_file):
    name = "qos_overrides./depth/image.publisher.reliability"
    node = manager.start(model=str(tiny_model_file), autostart=False, threads=1, **{name: "hopeful"})
    assert not manager.change(Transition.TRANSITION_CONFIGURE)
    assert "hopeful" in node._failure
    assert manager.state() == "unconfigured"


def test_qos_overrides_are_used(manager, tiny_model_file):
    overrides = {
        "qos_overrides./depth/image.publisher.reliability": "best_effort",
        "qos_overrides./image.subscription.reliability": "reliable",
    }
    node = manager.start(model=str(tiny_model_file), autostart=True, threads=1, **overrides)
    manager.until(lambda: manager.state() == "active", "the node to be active")
    assert node.get_publishers_info_by_topic("/depth/image")[0].qos_profile.reliability.name == "BEST_EFFORT"
    assert node.get_subscriptions_info_by_topic("/image")[0].qos_profile.reliability.name == "RELIABLE"
    assert node.get_publishers_info_by_topic("/depth/points")[0].qos_profile.reliability.name == "RELIABLE"

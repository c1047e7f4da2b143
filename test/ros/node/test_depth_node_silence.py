"""What the node says, over real DDS, when nothing comes out: who publishes how, and which QoS keeps them apart."""

from __future__ import annotations

import pytest
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image


class Log:
    """Everything said on stderr so far."""

    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        self._capfd = capfd
        self.text = ""

    def has(self, *parts: str) -> bool:
        self.text += self._capfd.readouterr().err
        return any(all(part in line for part in parts) for line in self.text.splitlines())


@pytest.fixture
def log(capfd: pytest.CaptureFixture[str]) -> Log:
    return Log(capfd)


def test_after_five_seconds_it_says_that_nobody_publishes_and_where_images_are(start_node, spinning, until, log):
    robot = spinning(Node("robot"))
    robot.create_publisher(CompressedImage, "image/compressed", 1)
    start_node()
    until(
        lambda: log.has(
            "no image on /image yet: nobody publishes there; remap it, e.g. -r image:=/camera/image_raw",
            "/image/compressed is published: set image_transport to compressed",
        ),
        "the reason",
    )


def test_a_node_that_nobody_activates_says_so_once(start_node, until, log):
    start_node(state="unconfigured", autostart=False)
    reason = "not active but unconfigured: a lifecycle manager must configure and activate it"
    until(lambda: log.has(reason), "the reason")
    assert log.text.count(reason) == 1


def test_a_publisher_that_cannot_be_heard_is_named_with_both_sides_qos(start_node, spinning, until, log):
    node = start_node(**{"qos_overrides./image.subscription.reliability": "reliable"})
    robot = spinning(Node("robot"))
    robot.create_publisher(Image, "image", QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT))
    until(
        lambda: log.has(
            "/image: cannot hear",
            "(sensor_msgs/msg/Image, best_effort, volatile), because this node asks for reliable, volatile",
            "qos_overrides./image.subscription.*",
        ),
        "the event",
    )
    situation = node._reporter._situation("", node._parts())
    assert situation.hint == "this node asks for reliable, volatile and so cannot hear all of them"


def test_a_subscriber_that_cannot_be_reached_is_named_with_both_sides_qos(start_node, spinning, until, log):
    start_node()
    robot = spinning(Node("robot"))
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    robot.create_subscription(Image, "depth/image", lambda message: None, latched)
    until(
        lambda: log.has(
            "/depth/image: cannot reach",
            "(sensor_msgs/msg/Image, reliable, transient_local), because this node offers reliable, volatile",
        ),
        "the event",
    )

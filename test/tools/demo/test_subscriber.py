"""What the demo's subscriber keeps for the report."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from std_msgs.msg import Header

from space_clip_ros.messages.clouds import cloud_from_points
from space_clip_ros.messages.images import image_from_array
from space_clip_ros.tools.demo.subscriber import DemoSubscriber


@pytest.fixture
def subscriber(ros: int) -> Iterator[DemoSubscriber]:
    node = DemoSubscriber(frames=6, shown=2)
    yield node
    node.destroy_node()


def test_frames_sent_before_the_first_one_seen_are_counted(subscriber: DemoSubscriber) -> None:
    header = Header(frame_id="camera")
    points = np.ones((1, 1, 3), np.float32)
    for stamp, metres in ((30, 3.0), (40, 4.0), (50, 5.0)):
        subscriber.sent.append(stamp)
        depth = image_from_array(np.full((2, 3), metres, np.float32), "32FC1", header)
        subscriber.on_arrival("depth/image", stamp, depth)
        subscriber.on_arrival("depth/points", stamp, cloud_from_points(points, header))
    (kept,) = subscriber.kept(unseen=3)
    assert kept.index == 5 and float(kept.depth[0, 0]) == 5.0
    assert subscriber.kept()[0].index == 2
    # The source has six frames, however many camera_info came.
    assert subscriber.kept(unseen=9)[0].index == 5

"""Bags with depth that is known at every pixel, of one camera or two."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

START_NS = 1_790_000_000_000_000_000
PERIOD_NS = 100_000_000
WIDTH, HEIGHT = 64, 32


def depth_of(index: int) -> np.ndarray:
    """Return a frame's depth: from 2 m at the bottom to 70 m at the top, one metre more a frame, the left invalid."""
    depth = np.repeat(np.linspace(70.0, 2.0, HEIGHT, dtype=np.float32)[:, None], WIDTH, axis=1) + np.float32(index)
    depth[:, :16] = np.nan
    return depth


def image_of(index: int) -> np.ndarray:
    """Return a frame's (H, W, 3) uint8 RGB image: noise."""
    return np.random.default_rng(index).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


@pytest.fixture(scope="session")
def known() -> SimpleNamespace:
    """What the bags hold: ``depth(index)`` and ``image(index)``, and their stamps."""
    return SimpleNamespace(depth=depth_of, image=image_of, start_ns=START_NS, period_ns=PERIOD_NS)


@pytest.fixture(scope="session")
def write_bag() -> Callable[..., Path]:
    """Write a bag: ``write_bag(path, frames=range(4), cameras={"/": 0}, without=("/image",), size=(32, 64))``.

    ``frames`` are the numbers of its frames, ten a second, and each camera's value delays its stamps, nanoseconds.
    """
    return _write


def _write(
    path: Path,
    frames: Sequence[int] = range(4),
    cameras: dict[str, int] | None = None,
    without: Sequence[str] = (),
    depth_encoding: str = "32FC1",
) -> Path:
    from space_clip_ros.geometry.camera import PinholeCamera
    from space_clip_ros.geometry.depth import to_millimetres
    from space_clip_ros.messages import camera_info_from_camera
    from space_clip_ros.messages.bag_types import BAGS
    from space_clip_ros.tools.bags import messages, qos
    from space_clip_ros.tools.bags.writer import BagWriter

    kinds = {
        "image": "sensor_msgs/msg/Image",
        "depth/image": "sensor_msgs/msg/Image",
        "depth/camera_info": "sensor_msgs/msg/CameraInfo",
    }
    cameras = cameras or {"/": 0}
    camera = PinholeCamera(WIDTH, HEIGHT, 50.25, 49.75, 31.5, 15.125)
    with BagWriter(path) as bag:
        topics = {name + topic: kind for name in cameras for topic, kind in kinds.items()}
        for topic, kind in topics.items():
            if topic not in without:
                bag.add(topic, kind, qos.SENSOR)
        for index in frames:
            for name, delay in cameras.items():
                stamp = START_NS + index * PERIOD_NS + delay
                head = messages.header(stamp, f"{name.strip('/') or 'camera'}_optical")
                depth = depth_of(index)
                sent = {
                    "image": messages.image(image_of(index), head),
                    "depth/camera_info": camera_info_from_camera(camera, head, types=BAGS),
                    "depth/image": messages.image(depth if depth_encoding == "32FC1" else to_millimetres(depth), head),
                }
                for topic, message in sent.items():
                    if name + topic not in without:
                        bag.write(name + topic, stamp, message)
    return path

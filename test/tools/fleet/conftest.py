"""A fleet's bags: small ones that differ, and a broken one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest


def write_bag(path: Path, value: int, frames: int = 2) -> Path:
    """Write a bag of grey images."""
    from space_clip_ros.tools.bags import messages, qos
    from space_clip_ros.tools.bags.writer import BagWriter

    with BagWriter(path) as writer:
        writer.add("/image", "sensor_msgs/msg/Image", qos.SENSOR)
        for stamp in range(frames):
            pixels = np.full((48, 156, 3), (value + stamp) % 256, np.uint8)
            writer.write("/image", stamp, messages.image(pixels, messages.header(stamp, "camera")))
    return path


@pytest.fixture(name="write_bag")
def provide_write_bag() -> Callable[..., Path]:
    """Return :func:`write_bag`."""
    return write_bag


@pytest.fixture()
def fleet(tmp_path: Path) -> Path:
    """``monday/first``, ``monday/second`` and ``tuesday``, and ``broken``, whose file is cut."""
    folder = tmp_path / "fleet"
    write_bag(folder / "monday" / "first", 10)
    write_bag(folder / "monday" / "second", 60)
    write_bag(folder / "tuesday", 110, frames=3)
    broken = write_bag(folder / "broken", 160) / "broken.mcap"
    broken.write_bytes(broken.read_bytes()[:-200])
    return folder

"""Poses from TF, with a library that has tf2_ros's names, since ROS 2's wheels have no tf2_ros."""

from __future__ import annotations

import importlib.util
import math
import sys
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

from space_clip_ros.ros.node.transforms import Transforms


class LostError(Exception):
    """What tf2_ros raises where it knows no transform."""


class Buffer:
    """Holds transforms by parent and child."""

    known: ClassVar[dict[tuple[str, str], Any]] = {}

    def clear(self) -> None:
        self.known.clear()

    def lookup_transform(self, parent: str, child: str, time: Any) -> Any:
        assert time.nanoseconds == 0, "the newest is asked for"
        if (parent, child) not in self.known:
            raise LostError(f'"{child}" passed to lookupTransform argument\nsource_frame does not exist')
        return self.known[parent, child]


class TransformListener:
    """Counts the listeners that are open."""

    open = 0

    def __init__(self, buffer: Any, node: Any) -> None:
        TransformListener.open += 1

    def unregister(self) -> None:
        TransformListener.open -= 1


@pytest.fixture
def tf2_ros(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("tf2_ros")
    vars(module).update(Buffer=Buffer, TransformListener=TransformListener, TransformException=LostError)
    monkeypatch.setitem(sys.modules, "tf2_ros", module)
    half = math.sqrt(0.5)
    monkeypatch.setattr(Buffer, "known", {("base", "camera"): transform((1, 2, 3), (0, 0, half, half))})


def transform(position: tuple[float, ...], turn: tuple[float, ...]) -> Any:
    x, y, z, w = turn
    translation = SimpleNamespace(x=position[0], y=position[1], z=position[2])
    return SimpleNamespace(
        transform=SimpleNamespace(translation=translation, rotation=SimpleNamespace(x=x, y=y, z=z, w=w))
    )


def test_the_newest_pose_is_returned(tf2_ros: None) -> None:
    transforms = Transforms(SimpleNamespace())  # type: ignore[arg-type]
    transforms.start()
    transforms.start()
    assert TransformListener.open == 1
    pose = transforms.pose("base", "camera")
    np.testing.assert_allclose(pose, [[0, -1, 0, 1], [1, 0, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]], atol=1e-12)
    transforms.forget()
    assert "no transform" in str(transforms.pose("base", "camera"))
    transforms.stop()
    transforms.forget()
    assert TransformListener.open == 0
    assert transforms.pose("base", "camera") == "this node does not listen to TF"


def test_what_is_not_known_is_said_in_one_line(tf2_ros: None) -> None:
    transforms = Transforms(SimpleNamespace())  # type: ignore[arg-type]
    transforms.start()
    pose = transforms.pose("base", "lidar")
    assert isinstance(pose, str) and "no transform from 'lidar' to 'base'" in pose and "\n" not in pose
    assert "no frame_id" in transforms.pose("base", "")
    Buffer.known["base", "odd"] = transform((0, 0, 0), (0, 0, 0, 0))
    assert "unit quaternion" in transforms.pose("base", "odd")
    transforms.stop()


@pytest.mark.skipif(importlib.util.find_spec("tf2_ros") is not None, reason="tf2_ros is installed")
def test_a_missing_library_is_named_with_its_remedy() -> None:
    transforms = Transforms(SimpleNamespace())  # type: ignore[arg-type]
    transforms.start()
    pose = transforms.pose("base", "camera")
    assert isinstance(pose, str) and pose.startswith("tf2_ros: is not installed")

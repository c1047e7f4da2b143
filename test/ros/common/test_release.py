from __future__ import annotations

import importlib.metadata
from collections.abc import Callable

import pytest

from space_clip_ros.ros.common.release import ros_release


def installed(version: str | None) -> Callable[[str], str]:
    def answer(name: str) -> str:
        assert name == "rclpy"
        if version is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return version

    return answer


@pytest.mark.parametrize(
    ("distro", "rclpy", "expected"),
    [
        ("humble", "7.1.6", "humble"),
        ("", "7.1.5", "jazzy"),
        ("", "9.1.2", "kilted"),
        ("", "99.0.0", ""),
        ("", None, ""),
    ],
)
def test_what_is_sourced_counts_before_what_is_installed(
    distro: str, rclpy: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.metadata, "version", installed(rclpy))
    assert ros_release({"ROS_DISTRO": distro}) == expected
    assert ros_release({"ROS_DISTRO": distro} if distro else {}) == expected

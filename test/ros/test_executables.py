"""The installed executables end quietly even while their libraries are being imported."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Sends the signal at the moment the import of rclpy begins.
PROGRAM = """
import os, sys
from space_clip_ros.{room} import executables

class Signalling:
    def find_spec(self, name, path=None, target=None):
        if name == "rclpy":
            os.kill(os.getpid(), {number})

sys.meta_path.insert(0, Signalling())
executables.{name}()
"""


@pytest.mark.parametrize("number", [2, 15])
@pytest.mark.parametrize(
    ("room", "name"),
    [
        *(("ros", name) for name in ("depth_node", "kitti_player", "depth_evaluator")),
        *(("tools", name) for name in ("bag_replay", "live_view")),
    ],
)
def test_a_signal_during_the_imports_ends_quietly(room: str, name: str, number: int) -> None:
    program = PROGRAM.format(room=room, name=name, number=number)
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0
    assert result.stdout == f"{name}: stopped before it started\n"
    assert result.stderr == ""


def test_each_executable_passes_its_command_line_and_status_on() -> None:
    program = "import sys; from space_clip_ros.ros import executables; sys.argv = ['depth_node', '--nonsense']\n"
    result = subprocess.run(
        [sys.executable, "-c", f"{program}executables.depth_node()"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 2
    assert "--nonsense" in result.stderr

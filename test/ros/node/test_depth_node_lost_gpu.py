"""The whole node on a GPU that breaks: it ends with the reason, so that it can be started again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from space_clip_ros.messages import image_from_array

# A process with a fake GPU that breaks where the test says so.
SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {test!r})
from fake_gpu import Gpu
gpu = Gpu(lambda *libraries: None)
gpu.install("10.3.0")
from space_clip_ros.export.engine import build_engine
from space_clip_ros.ros.node import depth_node
build_engine(Path({model!r}), (40, 60))
{breaks}
depth_node.main(["--ros-args", "-p", "model:={model}", "-p", "diagnostics.period:=0.2"])
"""


@pytest.mark.parametrize(
    ("breaks", "loaded"),
    [("gpu.errors['cudaGraphLaunch'] = [0, 700]", True), ("gpu.lost = 700", False)],
    ids=["in a run", "while the model is loaded"],
)
def test_it_ends_with_the_reason_in_log_and_diagnostics(
    ros: int, tiny_model_file: Path, tmp_path: Path, project_root: Path, breaks: str, loaded: bool
) -> None:
    pytest.importorskip("onnx", reason="the fake GPU runs graphs with it")
    script = SCRIPT.format(test=str(project_root / "test"), model=str(tiny_model_file), breaks=breaks)
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )
    robot = Node("robot")
    reports: list[str] = []
    robot.create_subscription(
        DiagnosticArray, "/diagnostics", lambda message: reports.append(message.status[0].message), 10
    )
    publisher = robot.create_publisher(Image, "image", 1)
    robot.create_subscription(Image, "depth/image", lambda message: None, 1)
    picture = image_from_array(np.zeros((40, 60, 3), np.uint8), "rgb8", Header(frame_id="camera"))
    end = time.monotonic() + 100
    while process.poll() is None and time.monotonic() < end:
        picture.header.stamp = robot.get_clock().now().to_msg()
        publisher.publish(picture)
        rclpy.spin_once(robot, timeout_sec=0.05)
    for _ in range(20):
        rclpy.spin_once(robot, timeout_sec=0.01)
    robot.destroy_node()
    output, _ = process.communicate(timeout=10)
    reason = "CUDA failed: an illegal memory access was encountered (CUDA error 700); start the process again"
    assert process.returncode == 1, output
    assert ("on tensorrt, cuda:0" in output) == loaded
    assert reason in output and "Traceback" not in output
    # While the model is loaded, the node may end before anybody has found its diagnostics.
    assert not loaded or f"no depth: the model failed for good: DeviceLostError: {reason}" in reports[-1]

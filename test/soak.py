"""Runs depth_node for minutes or hours under good and broken messages: memory must stay, and the rate must, too.

  python test/soak.py --minutes 60 --json soak.json      an hour by hand
  python test/soak.py --minutes 2                        before a merge

The node is a process of its own. It first gets 10,000 broken images in a row, then good images at a steady rate with
broken ones among them. Memory is what the process holds for itself, without DDS's shared memory, which fills up to its
fixed size. Exit status 0 if it held, 1 if not.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header

from space_clip_ros.errors import InputError
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.messages import camera_info_from_camera, image_from_array, image_to_rgb
from space_clip_ros.ros.common.dds import prepare_environment, unused_domain

BROKEN_AT_FIRST = 10_000
BROKEN_EVERY = 10
WARM_UP = 0.2
ENCODINGS = ("rgb8", "bgr8", "mono16", "bayer_rggb8", "yuv422", "nv12", "32FC1", "", "h264", "\u00e9" * 50)
SIZES = (0, 1, 2, 7, 64, 375, 1242, 2**26, 2**31, 2**32 - 1)
MIB = 2**20


@dataclass
class Run:
    """What was seen, sampled once a second."""

    seconds: list[float] = field(default_factory=list)
    private_mib: list[float] = field(default_factory=list)
    frames: list[int] = field(default_factory=list)

    def after_warm_up(self) -> np.ndarray:
        """Return (N, 3): seconds, MiB, frames."""
        samples = np.array([self.seconds, self.private_mib, self.frames], np.float64).T
        return samples[samples[:, 0] >= WARM_UP * samples[-1, 0]]

    def summary(self) -> dict[str, float]:
        """Return memory's slope and growth, and the rate at the beginning and the end."""
        samples = self.after_warm_up()
        quarter = max(len(samples) // 4, 2)
        first, last = samples[:quarter], samples[-quarter:]
        return {
            "minutes": round(self.seconds[-1] / 60, 2),
            "private_mib": round(float(samples[-1, 1]), 1),
            "growth_mib": round(float(np.median(last[:, 1]) - np.median(first[:, 1])), 2),
            "mib_per_hour": round(float(np.polyfit(samples[:, 0], samples[:, 1], 1)[0] * 3600), 2),
            "first_hz": round(rate(first), 2),
            "last_hz": round(rate(last), 2),
        }


def rate(samples: np.ndarray) -> float:
    """Return frames per second over some samples."""
    return float((samples[-1, 2] - samples[0, 2]) / (samples[-1, 0] - samples[0, 0]))


def broken_image(random: np.random.Generator) -> Image:
    """Return a message with random fields that is not an image."""
    height, width, step = (int(value) for value in random.choice(SIZES, 3))
    image = Image(height=height, width=width, step=step, encoding=str(random.choice(ENCODINGS)))
    image.header.frame_id = "broken"
    image.is_bigendian = int(random.integers(0, 256))
    image.data.frombytes(random.bytes(int(random.integers(0, 400))))
    with contextlib.suppress(InputError):
        image_to_rgb(image)
        image.encoding = "a sound one by chance"
    return image


class Robot(Node):
    """A camera, sound and broken by turns, and a listener to depth and cloud."""

    def __init__(self, width: int, height: int) -> None:
        super().__init__("soak")
        self.depths = 0
        self._random = np.random.default_rng(0)
        self._pixels = self._random.integers(0, 256, (height, width, 3)).astype(np.uint8)
        self._camera = PinholeCamera(width, height, 0.6 * width, 0.6 * width, width / 2, height / 2)
        self._images = self.create_publisher(Image, "image", 10)
        self._infos = self.create_publisher(CameraInfo, "camera_info", 10)
        self.create_subscription(Image, "depth/image", self._count, 10)
        self.create_subscription(PointCloud2, "depth/points", lambda message: None, 10)

    def _count(self, message: Any) -> None:
        assert message.header.frame_id == "camera", "depth of a broken image"
        self.depths += 1

    def spin_until(self, end: float) -> None:
        """Receive until a moment of the monotonic clock."""
        while (left := end - time.monotonic()) > 0:
            rclpy.spin_once(self, timeout_sec=left)

    def good(self) -> None:
        """Publish an image and its camera_info."""
        header = Header(stamp=self.get_clock().now().to_msg(), frame_id="camera")
        self._infos.publish(camera_info_from_camera(self._camera, header))
        self._images.publish(image_from_array(self._pixels, "rgb8", header))

    def broken(self) -> None:
        """Publish an image that is none."""
        self._images.publish(broken_image(self._random))


def soak(robot: Robot, process: subprocess.Popen[bytes], seconds: float, hz: float) -> Run:
    """Feed the node and sample it until the time is over or it has ended."""
    run, start, sent = Run(), time.monotonic(), 0
    while (now := time.monotonic() - start) < seconds and process.poll() is None:
        robot.good()
        sent += 1
        if sent % BROKEN_EVERY == 0:
            robot.broken()
        if not run.seconds or now - run.seconds[-1] >= 1:
            run.seconds.append(now)
            run.private_mib.append(private_bytes(process.pid) / MIB)
            run.frames.append(robot.depths)
        robot.spin_until(start + sent / hz)
    return run


def private_bytes(process: int) -> int:
    """Return resident memory without shared pages: files, and DDS's shared memory, which fills up over time."""
    _, resident, shared, *_ = map(int, Path(f"/proc/{process}/statm").read_text(encoding="ascii").split())
    return (resident - shared) * os.sysconf("SC_PAGE_SIZE")


def wait_for_depth(robot: Robot, process: subprocess.Popen[bytes]) -> None:
    """Send images until depth comes, which loads the model and warms it up."""
    end = time.monotonic() + 120
    while not robot.depths:
        if process.poll() is not None or time.monotonic() > end:
            raise SystemExit("soak: the node gave no depth within 120 s")
        robot.good()
        robot.spin_until(time.monotonic() + 0.1)


def judged(summary: dict[str, float], status: int, limit_mib: float) -> list[str]:
    """Return what did not hold, in words."""
    problems = []
    if status != 0:
        problems.append(f"the node ended with status {status}")
    if summary["growth_mib"] > limit_mib:
        problems.append(f"memory grew by {summary['growth_mib']} MiB, more than {limit_mib:g}")
    if summary["last_hz"] < 0.8 * summary["first_hz"]:
        problems.append(f"the rate fell from {summary['first_hz']} to {summary['last_hz']} Hz")
    return problems


def arguments(given: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=2.0, help="how long good images flow (2)")
    parser.add_argument("--model", default="road_tiny", help="name or file (road_tiny)")
    parser.add_argument("--hz", type=float, default=10.0, help="good images a second (10)")
    parser.add_argument("--size", type=int, nargs=2, default=(1242, 375), metavar=("W", "H"), help="image size (KITTI)")
    parser.add_argument("--growth", type=float, default=16.0, help="MiB that memory may grow by (16)")
    parser.add_argument("--json", type=Path, help="file for the summary")
    return parser.parse_args(given)


def main(given: list[str] | None = None) -> int:
    """Run it all; return the exit status."""
    options = arguments(given)
    os.environ["ROS_DOMAIN_ID"] = str(unused_domain())
    with tempfile.TemporaryDirectory() as folder:
        # Room for whole images between the two processes, as the launch files give it.
        prepare_environment(Path(folder), participants=2)
        return run_and_judge(options)


def run_and_judge(options: argparse.Namespace) -> int:
    """Start the node, feed it, say what was seen; return the exit status."""
    command = [
        sys.executable,
        "-m",
        "space_clip_ros.ros.node.depth_node",
        "--ros-args",
        "-p",
        f"model:={options.model}",
    ]
    process = subprocess.Popen(command)
    rclpy.init()
    try:
        robot = Robot(*options.size)
        wait_for_depth(robot, process)
        for _ in range(BROKEN_AT_FIRST):
            robot.broken()
        run = soak(robot, process, 60 * options.minutes, options.hz)
        process.send_signal(signal.SIGTERM)
        status = process.wait(30)
    finally:
        process.kill()
        rclpy.try_shutdown()
    summary = run.summary()
    problems = judged(summary, status, options.growth)
    if options.json:
        options.json.write_text(json.dumps({**summary, "problems": problems}, indent=2), encoding="utf-8")
    print(json.dumps(summary))
    for problem in problems:
        print(f"soak: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

"""Node ``camera_sender``: a camera that shows one made-up picture at a steady rate, for benchmarks."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from space_clip_ros.config import PlayerConfig
from space_clip_ros.errors import ConfigError
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.messages import camera_info_from_camera, image_from_array
from space_clip_ros.ros.common.spin import run
from space_clip_ros.ros.drive.playback import Pacer

_FOCAL_PER_WIDTH = 0.58
_SEED = 1
_QOS = QoSProfile(depth=10, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.RELIABLE)


class CameraSender(Node):
    """Publishes ``camera_info`` and ``image`` (rgb8, stamped with the moment of sending) until it is stopped.

    Parameters, all of which must be given: ``width`` and ``height`` in pixels, ``rate`` in hertz.

    Raises:
        ConfigError: one of them is missing, or not above zero.
    """

    def __init__(self, **node_arguments: Any) -> None:
        """Make the messages and start to send."""
        super().__init__("camera_sender", **node_arguments)
        width, height = int(self._given("width", "INTEGER")), int(self._given("height", "INTEGER"))
        self._period_s = 1.0 / self._given("rate", "DOUBLE")
        self._header = Header(frame_id=PlayerConfig().frame_id)
        self._info_message = camera_info_from_camera(made_up_camera(width, height), self._header)
        self._image_message = image_from_array(made_up_picture(width, height), "rgb8", self._header)
        self._info = self.create_publisher(CameraInfo, "camera_info", _QOS)
        self._image = self.create_publisher(Image, "image", _QOS)
        self._stopping = threading.Event()
        self._pacer = Pacer(self._stopping, late_s=0.5 * self._period_s)
        self._sent = 0
        self._thread = threading.Thread(target=self._send, name="camera", daemon=True)
        self._thread.start()

    def _given(self, name: str, kind: str) -> float:
        value: float | None = self.declare_parameter(name, Parameter.Type[kind]).value
        if value is None or not value > 0:
            raise ConfigError(f"parameters: {name}: must be given and above 0, got {value}; e.g. -p {name}:=10")
        return float(value)

    def close(self) -> str:
        """Stop sending."""
        self._stopping.set()
        self._thread.join()
        return f"sent {self._sent} images, {self._pacer.late} of them late"

    def _send(self) -> None:
        self._pacer.start()
        while self._pacer.wait_until(self._sent * self._period_s):
            self._pacer.note(self._sent * self._period_s)
            seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
            self._header.stamp = Time(sec=seconds, nanosec=nanoseconds)
            self._info.publish(self._info_message)
            self._image.publish(self._image_message)
            self._sent += 1


def made_up_camera(width: int, height: int) -> PinholeCamera:
    """Return a camera with a field of view like KITTI's."""
    focal = _FOCAL_PER_WIDTH * width
    return PinholeCamera(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)


def made_up_picture(width: int, height: int) -> NDArray[np.uint8]:
    """Return a ramp with noise, (height, width, 3) uint8."""
    noise = np.random.default_rng(_SEED).normal(0, 20, (height, width, 3))
    return np.clip(np.linspace(40, 200, width)[None, :, None] + noise, 0, 255).astype(np.uint8)


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until it is told to stop."""
    return run(lambda finish: CameraSender(), "camera_sender", "Sends one made-up picture at a steady rate.", args)


if __name__ == "__main__":
    sys.exit(main())

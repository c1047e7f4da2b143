"""Node ``camera_sender``: a camera for benchmarks that sends the same image at a steady rate."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from space_clip_ros.config import PlayerConfig
from space_clip_ros.errors import ConfigError
from space_clip_ros.messages import camera_info_from_camera, image_from_array, time_at
from space_clip_ros.ros.common.qos import reliable
from space_clip_ros.ros.common.spin import run
from space_clip_ros.ros.drive.playback import Pacer
from space_clip_ros.tools.benchmark.placeholder import placeholder_camera, placeholder_images

_QOS = reliable(10)


class CameraSender(Node):
    """Publishes ``camera_info`` and ``image`` (rgb8, stamped with the time of sending) until it is stopped.

    Its parameters ``width`` and ``height`` (pixels) and ``rate`` (hertz) must all be given.

    Raises:
        ConfigError: one of them is missing, or not above zero.
    """

    def __init__(self, **node_arguments: Any) -> None:
        """Create the messages and start sending."""
        super().__init__("camera_sender", **node_arguments)
        width, height = int(self._given("width", "INTEGER")), int(self._given("height", "INTEGER"))
        self._period_s = 1.0 / self._given("rate", "DOUBLE")
        self._header = Header(frame_id=PlayerConfig().frame_id)
        self._info_message = camera_info_from_camera(placeholder_camera(width, height), self._header)
        self._image_message = image_from_array(placeholder_images(width, height)[0], "rgb8", self._header)
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
            raise ConfigError(f"parameters: {name}", f"must be given and above 0, got {value}", f"e.g. -p {name}:=10")
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
            self._header.stamp = time_at(time.time_ns())
            self._info.publish(self._info_message)
            self._image.publish(self._image_message)
            self._sent += 1


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until it is stopped."""
    return run(lambda finish: CameraSender(), "camera_sender", "Sends the same image at a steady rate.", args)


if __name__ == "__main__":
    sys.exit(main())

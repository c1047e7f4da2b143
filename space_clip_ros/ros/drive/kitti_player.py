"""Node ``kitti_player``: plays a KITTI raw drive as a camera, a LiDAR, and the LiDAR's depth in the image."""

from __future__ import annotations

import contextlib
import itertools
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.duration import Duration
from rclpy.node import Node
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header

from space_clip_ros.config import PlayerConfig
from space_clip_ros.data.kitti import KittiDrive
from space_clip_ros.data.read_ahead import map_ahead
from space_clip_ros.errors import ConfigError, SpaceClipError
from space_clip_ros.messages import camera_info_from_camera, cloud_from_scan, image_from_array
from space_clip_ros.messages.diagnostics import (
    DepthValues,
    Level,
    PlaybackValues,
    status,
    status_array,
    status_texts,
)
from space_clip_ros.ros.common.parameters import Parameters
from space_clip_ros.ros.common.qos import reliable
from space_clip_ros.ros.common.spin import run
from space_clip_ros.ros.drive.playback import Pacer, Timetable, playback_failure, wait_for_subscribers

_AHEAD = 8
_TRUTH_DELAY = 0.7
"""How long after its image the truth goes out, in frame periods."""

_CLOCK_PERIOD_S = 0.01
_REPORT_PERIOD_S = 1.0
_DELIVERY_S = 2.0
_ASK_S = 0.2
# Reliable, so that reliable and best-effort subscribers both match; deep enough for one that falls a second behind.
_QOS = reliable(10)


@dataclass(frozen=True)
class FrameMessages:
    """The messages of one frame, complete except for their stamps.

    All but the scan share ``header``. Some of KITTI's drives lack a few scans, and so their truth.
    """

    header: Header
    camera_info: CameraInfo
    image: Image
    truth: Image | None
    scan: PointCloud2 | None


class KittiPlayer(Node):
    """Publishes a drive's frames with the drive's own timing.

    ``camera_info`` goes out just before its ``image``, so that a subscriber of the image knows its camera.
    ``ground_truth/image`` and ``velodyne_points`` follow with the same stamp most of a frame later: they are three
    times as large, and on a small machine they would slow down the very depth they are compared with. Progress is on
    ``/diagnostics``.

    Raises:
        ConfigError: parameters that cannot be used, ``drive`` missing among them.
        DataError: the drive is missing or broken.
    """

    def __init__(self, finish: Callable[[], None], **node_arguments: Any) -> None:
        """Declare the parameters, open the drive and start playing; ``finish`` is called at the drive's end."""
        super().__init__("kitti_player", **node_arguments)
        self._settings = Parameters(self, PlayerConfig).current
        if not self._settings.drive:
            raise ConfigError(
                "parameters", "drive: must be the folder of a KITTI raw drive, e.g. -p drive:=/data/drive"
            )
        self._drive = KittiDrive(self._settings.drive)
        self._count = min(self._settings.frames or len(self._drive), len(self._drive))
        self._timetable = Timetable(self._drive.stamps_ns[: self._count].tolist(), self._settings.rate)
        self._stopping = threading.Event()
        self._ready = threading.Event()
        self._pacer = Pacer(self._stopping, late_s=0.5 / self._timetable.frame_rate)
        self._sent = 0
        self._last_s = self._reported_s = 0.0
        self.error: SpaceClipError | None = None
        self._create_publishers()
        self._finish = finish
        self._thread = threading.Thread(target=self._run, name="playback", daemon=True)
        self._thread.start()

    def _create_publishers(self) -> None:
        self._image = self.create_publisher(Image, "image", _QOS)
        self._camera_info = self.create_publisher(CameraInfo, "camera_info", _QOS)
        self._truth = self.create_publisher(Image, "ground_truth/image", _QOS)
        self._scan = self.create_publisher(PointCloud2, "velodyne_points", _QOS)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", _QOS)
        self._clock_publisher = self.create_publisher(Clock, "/clock", _QOS) if self._settings.clock else None
        if self._settings.wait_for_depth:
            self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, _QOS)

    def close(self) -> str:
        """Stop playing and return a line about what was played."""
        self._stopping.set()
        self._thread.join()
        rate = (self._sent - 1) / self._last_s if self._sent > 1 and self._last_s > 0 else 0.0
        return (
            f"played {self._sent} frames at {rate:.2f} Hz, {self._pacer.late} of them late "
            f"({self._pacer.worst_s * 1e3:.0f} ms at most)"
        )

    def _run(self) -> None:
        try:
            self._play()
        except Exception as error:
            # Without its thread, the node would never end.
            self.error = playback_failure(self._drive.path, error)
            self.get_logger().fatal(str(self.error))
        self._finish()

    def _play(self) -> None:
        numbers = range(sys.maxsize if self._settings.loop else self._count)
        try:
            # Decoding and projecting take much of a frame period on a small machine, so they happen before it is due.
            with contextlib.closing(map_ahead(self._prepare, numbers, _AHEAD)) as frames:
                # Taken before the waits, so that the next frames are prepared meanwhile.
                first = next(frames)
                self._wait_for_subscriber()
                self._wait_for_depth()
                self._pacer.start()
                for number, frame in enumerate(itertools.chain([first], frames)):
                    if not self._play_frame(number, frame):
                        return
        finally:
            self._report(finished=True)
        self._deliver()

    def _prepare(self, number: int) -> FrameMessages:
        index = number % self._count
        header = Header(frame_id=self._settings.frame_id)
        scanned = self._drive.has_scan(index)
        scan_header = Header(frame_id=self._settings.scan_frame_id)
        return FrameMessages(
            header=header,
            camera_info=camera_info_from_camera(self._drive.camera, header),
            image=image_from_array(self._drive.image(index), "rgb8", header),
            truth=image_from_array(self._drive.ground_truth(index), "32FC1", header) if scanned else None,
            scan=cloud_from_scan(self._drive.scan(index), scan_header) if scanned else None,
        )

    def _play_frame(self, number: int, frame: FrameMessages) -> bool:
        """Publish a frame when it is due; return False when stopped."""
        due_s = self._timetable.due_s(number)
        if not self._wait_until(due_s):
            return False
        self._pacer.note(due_s)
        self._publish_image(number, frame)
        self._sent += 1
        self._last_s = self._pacer.elapsed_s
        if not self._wait_until(due_s + _TRUTH_DELAY / self._timetable.frame_rate):
            return False
        self._publish_truth(frame)
        if self._last_s - self._reported_s > _REPORT_PERIOD_S:
            self._report(finished=False)
        return True

    def _wait_until(self, due_s: float) -> bool:
        return self._pacer.wait_until(due_s, _CLOCK_PERIOD_S, self._publish_clock)

    def _publish_image(self, number: int, frame: FrameMessages) -> None:
        stamp_ns = time.time_ns() if self._settings.stamps == "now" else self._timetable.stamp_ns(number)
        frame.header.stamp = _time(stamp_ns)
        if frame.scan is not None:
            frame.scan.header.stamp = frame.header.stamp
        self._publish_clock()
        self._camera_info.publish(frame.camera_info)
        self._image.publish(frame.image)

    def _publish_truth(self, frame: FrameMessages) -> None:
        if frame.truth is not None and frame.scan is not None:
            self._truth.publish(frame.truth)
            self._scan.publish(frame.scan)

    def _publish_clock(self) -> None:
        if self._clock_publisher is not None:
            self._clock_publisher.publish(Clock(clock=_time(self._timetable.stamp_at(self._pacer.elapsed_s))))

    def _wait_for_subscriber(self) -> None:
        patience = self._settings.wait_for_subscribers
        if not patience:
            return
        topic = self._image.topic_name
        if not self._image.get_subscription_count():
            self.get_logger().info(f"waiting up to {patience:g} s for a subscriber of {topic}")
        if not wait_for_subscribers(self._stopping, self._listening, patience, self._settings.settle):
            count, wanted = self._image.get_subscription_count(), self._settings.subscribers
            who = f"only {count} of {wanted} subscribe" if count else "nobody subscribes"
            self.get_logger().warning(f"{who} to {topic} after {patience:g} s; playing anyway")

    def _wait_for_depth(self) -> None:
        """Wait until ``depth_node`` is ready: its first image of a size takes it a second or so.

        It prepares when it hears a camera_info, so that goes out meanwhile.
        """
        patience = self._settings.wait_for_depth
        if not patience:
            return
        header = Header(stamp=_time(int(self._drive.stamps_ns[0])), frame_id=self._settings.frame_id)
        info = camera_info_from_camera(self._drive.camera, header)
        deadline = time.monotonic() + patience
        while not self._ready.is_set() and not self._stopping.is_set() and time.monotonic() < deadline:
            self._camera_info.publish(info)
            self._ready.wait(_ASK_S)
        if not self._ready.is_set() and not self._stopping.is_set():
            self.get_logger().warning(f"depth_node was not ready after {patience:g} s; playing anyway")

    def _on_diagnostics(self, report: DiagnosticArray) -> None:
        for part in report.status:
            # /diagnostics is open to everybody: a status that only has our name's ending is not depth_node's.
            with contextlib.suppress(ValueError):
                if part.name.endswith(DepthValues.PART) and DepthValues.read(status_texts(part)).ready:
                    self._ready.set()

    def _listening(self) -> int:
        """Return the number of subscribers of all topics, or 0 while too few subscribe to images."""
        publishers = (self._image, self._camera_info, self._truth, self._scan)
        counts = [publisher.get_subscription_count() for publisher in publishers]
        return sum(counts) if counts[0] >= self._settings.subscribers else 0

    def _deliver(self) -> None:
        """Let reliable subscribers receive what was published before the process ends."""
        for publisher in (self._image, self._truth, self._scan, self._diagnostics):
            publisher.wait_for_all_acked(Duration(seconds=_DELIVERY_S))

    def _report(self, finished: bool) -> None:
        self._reported_s = self._pacer.elapsed_s
        values = PlaybackValues(
            frames_sent=self._sent,
            frames_late=self._pacer.late,
            latest_by_ms=self._pacer.worst_s * 1e3,
            frame_rate_hz=self._timetable.frame_rate,
            finished=finished,
        )
        name = f"{self.get_fully_qualified_name().lstrip('/')}: {PlaybackValues.PART}"
        message = f"played {self._sent} frames"
        statuses = [status(name, Level.OK, message, values.texts(), str(self._settings.drive))]
        self._diagnostics.publish(status_array(self.get_clock().now().to_msg(), statuses))


def _time(stamp_ns: int) -> Time:
    seconds, nanoseconds = divmod(stamp_ns, 1_000_000_000)
    return Time(sec=seconds, nanosec=nanoseconds)


def main(args: Sequence[str] | None = None) -> int:
    """Run the node; return its exit status, 1 if the drive could not be played to its end."""
    description = "Plays a KITTI raw drive: image, camera_info, velodyne_points, truth."
    return run(KittiPlayer, "kitti_player", description, args)


if __name__ == "__main__":
    sys.exit(main())

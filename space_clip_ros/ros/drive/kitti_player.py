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

from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header

from space_clip_ros.config import PlayerConfig
from space_clip_ros.data.kitti import KittiDrive
from space_clip_ros.data.read_ahead import map_ahead
from space_clip_ros.errors import ConfigError
from space_clip_ros.messages import camera_info_from_camera, cloud_from_scan, image_from_array, time_at
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
from space_clip_ros.ros.drive.playback import Timetable, wait_for_subscribers
from space_clip_ros.ros.drive.playback_node import PlaybackNode

_AHEAD = 8
_TRUTH_DELAY = 0.7
"""How long after its image the truth goes out, in frame periods."""

_REPORT_PERIOD_S = 1.0
_ASK_S = 0.2
# Deep enough for a subscriber that falls a second behind.
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


class KittiPlayer(PlaybackNode):
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
        super().__init__("kitti_player", finish, **node_arguments)
        self._settings = Parameters(self, PlayerConfig).current
        if not self._settings.drive:
            raise ConfigError(
                "parameters", "drive: must be the folder of a KITTI raw drive, e.g. -p drive:=/data/drive"
            )
        self._drive = KittiDrive(self._settings.drive)
        self._count = min(self._settings.frames or len(self._drive), len(self._drive))
        self._timetable = Timetable(self._drive.stamps_ns[: self._count].tolist(), self._settings.rate)
        self._ready = threading.Event()
        self._reported_s = 0.0
        self._create_publishers()
        late_s = 0.5 / self._timetable.frame_rate
        self.start(self._drive.path, late_s, self._played_ns if self._settings.clock else None)

    def _create_publishers(self) -> None:
        self._image = self.create_publisher(Image, "image", _QOS)
        self._camera_info = self.create_publisher(CameraInfo, "camera_info", _QOS)
        self._truth = self.create_publisher(Image, "ground_truth/image", _QOS)
        self._scan = self.create_publisher(PointCloud2, "velodyne_points", _QOS)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", _QOS)
        if self._settings.wait_for_depth:
            self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, _QOS)

    def close(self) -> str:
        """Stop playing and return a line about what was played."""
        lateness = super().close()
        rate = (self.sent - 1) / self.last_s if self.sent > 1 and self.last_s > 0 else 0.0
        return f"played {self.sent} frames at {rate:.2f} Hz, {lateness}"

    def play(self) -> None:
        """Publish the frames, each when it is due."""
        numbers = range(sys.maxsize if self._settings.loop else self._count)
        try:
            # Decoding and projecting take much of a frame period on a small machine, so they happen before it is due.
            with contextlib.closing(map_ahead(self._prepare, numbers, _AHEAD)) as frames:
                # Taken before the waits, so that the next frames are prepared meanwhile.
                first = next(frames)
                self._wait_for_subscriber()
                self._wait_for_depth()
                self.pacer.start()
                for number, frame in enumerate(itertools.chain([first], frames)):
                    if not self._play_frame(number, frame):
                        return
        finally:
            self._report(finished=True)
        self.deliver((self._image, self._truth, self._scan, self._diagnostics))

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
        if not self.wait_until(due_s):
            return False
        self.pacer.note(due_s)
        self._publish_image(number, frame)
        self.sent += 1
        self.last_s = self.pacer.elapsed_s
        if not self.wait_until(due_s + _TRUTH_DELAY / self._timetable.frame_rate):
            return False
        self._publish_truth(frame)
        if self.last_s - self._reported_s > _REPORT_PERIOD_S:
            self._report(finished=False)
        return True

    def _publish_image(self, number: int, frame: FrameMessages) -> None:
        stamp_ns = time.time_ns() if self._settings.stamps == "now" else self._timetable.stamp_ns(number)
        frame.header.stamp = time_at(stamp_ns)
        if frame.scan is not None:
            frame.scan.header.stamp = frame.header.stamp
        self.publish_clock()
        self._camera_info.publish(frame.camera_info)
        self._image.publish(frame.image)

    def _publish_truth(self, frame: FrameMessages) -> None:
        if frame.truth is not None and frame.scan is not None:
            self._truth.publish(frame.truth)
            self._scan.publish(frame.scan)

    def _played_ns(self) -> int:
        return self._timetable.stamp_at(self.pacer.elapsed_s)

    def _wait_for_subscriber(self) -> None:
        patience = self._settings.wait_for_subscribers
        if not patience:
            return
        topic = self._image.topic_name
        if not self._image.get_subscription_count():
            self.get_logger().info(f"waiting up to {patience:g} s for a subscriber of {topic}")
        if not wait_for_subscribers(self.stopping, self._listening, patience, self._settings.settle):
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
        header = Header(stamp=time_at(int(self._drive.stamps_ns[0])), frame_id=self._settings.frame_id)
        info = camera_info_from_camera(self._drive.camera, header)
        deadline = time.monotonic() + patience
        while not self._ready.is_set() and not self.stopping.is_set() and time.monotonic() < deadline:
            self._camera_info.publish(info)
            self._ready.wait(_ASK_S)
        if not self._ready.is_set() and not self.stopping.is_set():
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

    def _report(self, finished: bool) -> None:
        self._reported_s = self.pacer.elapsed_s
        values = PlaybackValues(
            frames_sent=self.sent,
            frames_late=self.pacer.late,
            latest_by_ms=self.pacer.worst_s * 1e3,
            frame_rate_hz=self._timetable.frame_rate,
            finished=finished,
        )
        name = f"{self.get_fully_qualified_name().lstrip('/')}: {PlaybackValues.PART}"
        message = f"played {self.sent} frames"
        statuses = [status(name, Level.OK, message, values.texts(), str(self._settings.drive))]
        self._diagnostics.publish(status_array(self.get_clock().now().to_msg(), statuses))


def main(args: Sequence[str] | None = None) -> int:
    """Run the node; return its exit status, 1 if the drive could not be played to its end."""
    description = "Plays a KITTI raw drive: image, camera_info, velodyne_points, truth."
    example = "-p drive:=2011_09_26/2011_09_26_drive_0005_sync"
    return run(KittiPlayer, "kitti_player", description, args, settings=PlayerConfig, example=example)


if __name__ == "__main__":
    sys.exit(main())

"""Converts a KITTI raw drive, or a synthetic one, into a rosbag2."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from space_clip_ros.data.kitti import KittiDrive
from space_clip_ros.data.kitti_calibration import read_calibration
from space_clip_ros.errors import DataError
from space_clip_ros.messages import camera_info_from_camera, cloud_from_scan, compressed_from_array
from space_clip_ros.messages.bag_types import BAGS
from space_clip_ros.tools.bags import messages, qos, transforms
from space_clip_ros.tools.bags.options import CAMERAS, BagOptions
from space_clip_ros.tools.bags.oxts import Oxts
from space_clip_ros.tools.bags.writer import BagWriter

_PREFIXES = {"color_left": "", "color_right": "/right", "gray_left": "/gray_left", "gray_right": "/gray_right"}
# The left neighbour of each right camera, for the baseline between them.
_LEFT_OF = {"color_right": "color_left", "gray_right": "gray_left"}
_SCAN_TOPIC = "/velodyne_points"

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class _Step:
    """One step of the conversion: a frame of a camera, or a GPS/IMU record."""

    stamp_ns: int
    make: Callable[[], list[tuple[str, Any]]]


def write_bag(
    drive: str | Path, out: str | Path, options: BagOptions | None = None, progress: Progress | None = None
) -> dict[str, int]:
    """Write a drive into a rosbag2 folder.

    Topics: ``/image`` (or ``/image/compressed``), ``/camera_info``, ``/velodyne_points``, ``/ground_truth/image`` and
    ``/tf_static``; with ``oxts`` records ``/tf`` (``map`` to ``base_link``), ``/imu`` and ``/gps/fix``; more cameras
    under ``/right``, ``/gray_left`` and ``/gray_right``. Scans and truth carry the stamp of their frame's image, to
    which KITTI has synchronised them; everything else carries its own stamp.

    Only one frame is in memory at a time. The bag appears whole or not at all.

    Args:
        drive: the drive's folder.
        out: the bag's folder, which must not exist.
        options: what goes into the bag.
        progress: called with (steps done, all steps) after each step.

    Returns:
        The number of messages of each topic.

    Raises:
        DataError: the drive is missing or broken or lacks a chosen camera, or the bag cannot be written.
    """
    return _Conversion(Path(drive), options or BagOptions()).write(out, progress)


class _Conversion:
    """One drive, and the parts of it that go into the bag."""

    def __init__(self, drive: Path, options: BagOptions) -> None:
        self._options = options
        self._drives = {name: KittiDrive(drive, CAMERAS[name]) for name in options.cameras}
        self._main = self._drives[options.cameras[0]]
        self._oxts = Oxts(self._main.path)
        frames = range(len(self._main))
        self._scans = any(map(self._main.has_scan, frames))
        self._annotated = options.truth == "annotated"
        if self._annotated and not any(self._main.has_ground_truth(index, annotated=True) for index in frames):
            raise DataError(self._main.path, "has no annotated depth (proj_depth)", "use the scan's")
        self._truth = self._annotated or (options.truth == "scan" and self._scans)

    def write(self, out: str | Path, progress: Progress | None) -> dict[str, int]:
        sources = [*map(self._camera_steps, self._drives), self._oxts_steps()]
        total = sum(map(len, self._drives.values())) + len(self._oxts)
        with BagWriter(out, self._options.storage) as bag:
            self._declare(bag)
            start = min(int(drive.stamps_ns[0]) for drive in self._drives.values())
            if len(self._oxts):
                start = min(start, int(self._oxts.stamps_ns[0]))
            bag.write("/tf_static", start, self._static_transforms(start))
            steps = heapq.merge(*sources, key=lambda step: step.stamp_ns)
            for done, step in enumerate(steps, 1):
                for topic, message in step.make():
                    bag.write(topic, step.stamp_ns, message)
                if progress is not None:
                    progress(done, total)
        return bag.counts

    def _declare(self, bag: BagWriter) -> None:
        bag.add("/tf_static", "tf2_msgs/msg/TFMessage", qos.STATIC_TF)
        for name in self._drives:
            bag.add(self._info_topic(name), "sensor_msgs/msg/CameraInfo", qos.SENSOR)
            kind = "CompressedImage" if self._options.compressed else "Image"
            bag.add(self._image_topic(name), f"sensor_msgs/msg/{kind}", qos.SENSOR)
        if self._scans:
            bag.add(_SCAN_TOPIC, "sensor_msgs/msg/PointCloud2", qos.SENSOR)
        if self._truth:
            bag.add(self._truth_topic(), "sensor_msgs/msg/Image", qos.SENSOR)
        if len(self._oxts):
            bag.add("/tf", "tf2_msgs/msg/TFMessage", qos.TF)
            bag.add("/imu", "sensor_msgs/msg/Imu", qos.SENSOR)
            bag.add("/gps/fix", "sensor_msgs/msg/NavSatFix", qos.SENSOR)

    def _static_transforms(self, stamp_ns: int) -> Any:
        base = messages.header(stamp_ns, transforms.BASE_FRAME)
        scanner = messages.header(stamp_ns, transforms.SCANNER_FRAME)
        poses = [(base, transforms.SCANNER_FRAME, transforms.base_to_scanner())]
        for name, drive in self._drives.items():
            poses.append((scanner, transforms.CAMERA_FRAMES[CAMERAS[name]], transforms.scanner_to_camera(drive)))
        if len(self._oxts):
            poses.append((scanner, transforms.IMU_FRAME, self._oxts.imu_in_scanner))
        return messages.transforms(*poses)

    def _camera_steps(self, name: str) -> Iterator[_Step]:
        for index, stamp in enumerate(self._drives[name].stamps_ns.tolist()):
            yield _Step(stamp, partial(self._frame, name, index, stamp))

    def _frame(self, name: str, index: int, stamp_ns: int) -> list[tuple[str, Any]]:
        drive = self._drives[name]
        header = messages.header(stamp_ns, transforms.CAMERA_FRAMES[CAMERAS[name]])
        pixels = drive.image(index)
        if name.startswith("gray"):
            pixels = np.ascontiguousarray(pixels[..., 0])
        compressed = self._options.compressed
        image = (
            compressed_from_array(pixels, compressed, header, BAGS) if compressed else messages.image(pixels, header)
        )
        # camera_info goes first, so that subscribers have the camera when the image arrives.
        outgoing = [
            (self._info_topic(name), camera_info_from_camera(drive.camera, header, self._offset(name), BAGS)),
            (self._image_topic(name), image),
        ]
        return outgoing if drive is not self._main else outgoing + self._laser(index, stamp_ns, header)

    def _laser(self, index: int, stamp_ns: int, header: Any) -> list[tuple[str, Any]]:
        outgoing = []
        if self._truth and self._main.has_ground_truth(index, self._annotated):
            truth = self._main.ground_truth(index, self._annotated)
            outgoing.append((self._truth_topic(), messages.image(truth, header)))
        if self._main.has_scan(index):
            scanner = messages.header(stamp_ns, transforms.SCANNER_FRAME)
            outgoing.append((_SCAN_TOPIC, cloud_from_scan(self._main.scan(index), scanner, BAGS)))
        return outgoing

    def _oxts_steps(self) -> Iterator[_Step]:
        for index, stamp in enumerate(self._oxts.stamps_ns.tolist()):
            yield _Step(stamp, partial(self._motion, index, stamp))

    def _motion(self, index: int, stamp_ns: int) -> list[tuple[str, Any]]:
        record = self._oxts.record(index)
        base_to_imu = transforms.base_to_scanner() @ self._oxts.imu_in_scanner
        pose = self._oxts.pose(record) @ np.linalg.inv(base_to_imu)
        header = messages.header(stamp_ns, transforms.IMU_FRAME)
        world = messages.header(stamp_ns, transforms.MAP_FRAME)
        return [
            ("/tf", messages.transforms((world, transforms.BASE_FRAME, pose))),
            ("/imu", messages.imu(record, header)),
            ("/gps/fix", messages.gps_fix(record, header)),
        ]

    def _offset(self, name: str) -> float:
        """Return Tx of a camera's P: its P_rect's fourth column minus its left neighbour's; 0 for left cameras."""
        if name not in _LEFT_OF:
            return 0.0
        left = CAMERAS[_LEFT_OF[name]]
        projection = read_calibration(self._main.day, left).projection
        return float(self._drives[name].projection[0, 3] - projection[0, 3])

    def _image_topic(self, name: str) -> str:
        return f"{_PREFIXES[name]}/image" + ("/compressed" if self._options.compressed else "")

    def _info_topic(self, name: str) -> str:
        return f"{_PREFIXES[name]}/camera_info"

    def _truth_topic(self) -> str:
        return f"{_PREFIXES[self._options.cameras[0]]}/ground_truth/image"

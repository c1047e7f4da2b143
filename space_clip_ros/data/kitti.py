"""One drive of KITTI raw (Geiger et al., IJRR 2013), synchronised and rectified.

Layout: ``<root>/<date>/`` holds ``calib_cam_to_cam.txt``, ``calib_velo_to_cam.txt`` and the drives
``<date>_drive_NNNN_sync/``, each with ``image_02/data/NNNNNNNNNN.png``, ``image_02/timestamps.txt`` and
``velodyne_points/data/NNNNNNNNNN.bin``. Frames are matched by number: some drives lack a few scans. Other layouts that
copies have are described in :mod:`space_clip_ros.data.kitti_files`.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from space_clip_ros.data.kitti_calibration import read_calibration
from space_clip_ros.data.kitti_files import (
    ANNOTATED_FOLDERS,
    PICTURE_SUFFIXES,
    Scan,
    calibration_folder,
    drive_folder,
    drive_name,
    numbered_files,
    read_scan,
    read_stamps,
)
from space_clip_ros.errors import DataError, InputError
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.depth import Depth, read_depth_png
from space_clip_ros.geometry.image_file import read_rgb
from space_clip_ros.geometry.rigid import Matrix


class KittiDrive:
    """The frames of a drive: image, stamp, laser scan and true depth.

    Args:
        path: the drive's folder, ``.../<date>/<date>_drive_NNNN_sync``.
        camera: 2 is the left colour camera, 3 the right; 0 and 1 are the grey ones.
        annotated_root: folder that the annotated depth set (``data_depth_annotated``) was unpacked to, if not into
            the drives; it or its ``train`` or ``val`` holds ``<drive>/proj_depth``.

    Attributes:
        path: the drive's folder.
        name: its KITTI name, ``<date>_drive_NNNN_sync``, even if the folder's name is shorter.
        day: the folder with the calibration of its day.
        camera: the rectified camera.
        projection: P_rect of that camera, (3, 4) float64.
        velodyne_to_camera: (4, 4) float64, scanner to the rectified frame of camera 0, metres.
        frame_ids: numbers of the frames that have an image, ascending.

    Raises:
        DataError: the folder is not a drive, is empty, or lacks calibration.
        InputError: ``camera`` is not 0 to 3.
    """

    def __init__(self, path: str | Path, camera: int = 2, annotated_root: str | Path | None = None) -> None:
        """Read the calibration and the list of frames."""
        if camera not in range(4):
            raise InputError(f"KITTI's cameras are 0 to 3, got {camera}")
        self.path = drive_folder(path)
        self.name = drive_name(self.path)
        self.day = calibration_folder(self.path)
        images = self.path / f"image_{camera:02d}"
        self._stamps = images / "timestamps.txt"
        self._images = numbered_files(images / "data", *PICTURE_SUFFIXES) or numbered_files(images, *PICTURE_SUFFIXES)
        if not self._images:
            raise DataError(
                images / "data",
                "has no pictures named by frame number (0000000000.png)",
                "unpack the drive's archive there again",
            )
        self.frame_ids = list(self._images)
        calibration = read_calibration(self.day, camera)
        self.camera: PinholeCamera = calibration.camera
        self.projection: Matrix = calibration.projection
        self.velodyne_to_camera: Matrix = calibration.velodyne_to_camera
        self._velodyne_to_image = calibration.velodyne_to_image
        scans = self.path / "velodyne_points"
        self._scans = numbered_files(scans / "data", ".bin") or numbered_files(scans, ".bin")
        self._annotated = _annotated_files(self.path, self.name, camera, annotated_root)
        self._label_maps = numbered_files(self.path / "proj_label" / f"image_{camera:02d}", ".png")

    def __len__(self) -> int:
        """Return the number of frames that have an image."""
        return len(self.frame_ids)

    @cached_property
    def stamps_ns(self) -> npt.NDArray[np.int64]:
        """Stamps of the frames, (frames,) int64 nanoseconds since 1970; read when first asked for.

        Raises:
            DataError: the drive has none, like many copies made for training.
        """
        return read_stamps(self._stamps, self.frame_ids)

    def image(self, index: int) -> npt.NDArray[np.uint8]:
        """Return frame ``index``'s image, (H, W, 3) uint8 RGB (grey cameras have three equal channels).

        Raises:
            DataError: the picture is damaged, or its size is not the calibration's.
            IndexError: no such frame.
        """
        path = self.image_file(index)
        image = read_rgb(path)
        self._check_size(path, image.shape)
        return image

    def image_file(self, index: int) -> Path:
        """Return the file of frame ``index``'s image.

        Raises:
            IndexError: no such frame.
        """
        return self._images[self.frame_ids[index]]

    def has_scan(self, index: int) -> bool:
        """Return whether frame ``index`` has a laser scan."""
        return self.frame_ids[index] in self._scans

    def scan(self, index: int) -> Scan:
        """Return frame ``index``'s scan: (N, 4) float32, x forward, y left, z up in metres, reflectance in [0, 1].

        Raises:
            DataError: this frame has no scan, or it is damaged.
            IndexError: no such frame.
        """
        return read_scan(self.ground_truth_file(index))

    def has_ground_truth(self, index: int, annotated: bool = False) -> bool:
        """Return whether frame ``index`` has the depth that :meth:`ground_truth` returns."""
        return self.frame_ids[index] in (self._annotated if annotated else self._scans)

    def ground_truth(self, index: int, annotated: bool = False) -> Depth:
        """Return frame ``index``'s true depth, (H, W) float32 metres, NaN where unknown.

        Args:
            index: which frame.
            annotated: return the denser depth of the annotated set (Uhrig et al., 3DV 2017) instead of projecting this
                frame's scan. KITTI has none for a drive's first and last five frames; a synthetic drive's is exact.

        Raises:
            DataError: this frame has none, or its file is damaged or not of the image's size.
            IndexError: no such frame.
        """
        if not annotated:
            return project_scan(self.scan(index), self._velodyne_to_image, self.camera.width, self.camera.height)
        path = self.ground_truth_file(index, annotated=True)
        depth = read_depth_png(path, "kitti")
        self._check_size(path, depth.shape)
        return depth

    def ground_truth_file(self, index: int, annotated: bool = False) -> Path:
        """Return the file that :meth:`ground_truth` reads: a scan, or an annotated depth PNG.

        Raises:
            DataError: this frame has none.
            IndexError: no such frame.
        """
        if annotated:
            return self._file(self._annotated, index, "annotated depth", "proj_depth/groundtruth")
        return self._file(self._scans, index, "laser scan", "velodyne_points/data")

    def label_file(self, index: int) -> Path:
        """Return the file of frame ``index``'s label map; only synthetic drives have them.

        Raises:
            DataError: this frame has none.
            IndexError: no such frame.
        """
        return self._file(self._label_maps, index, "label map", "proj_label")

    def _file(self, files: dict[int, Path], index: int, what: str, where: str) -> Path:
        frame = self.frame_ids[index]
        if frame not in files:
            raise DataError(self.path, f"frame {frame} has no {what} ({len(files)} of {len(self)} in {where})")
        return files[frame]

    def _check_size(self, path: Path, shape: tuple[int, ...]) -> None:
        if shape[:2] != (self.camera.height, self.camera.width):
            raise DataError(
                path,
                f"is {shape[1]}x{shape[0]}, but the calibration of {self.day.name} says"
                f" {self.camera.width}x{self.camera.height}",
                "put the calibration of its own day beside the drive",
            )


def project_scan(scan: Scan, velodyne_to_image: Matrix, width: int, height: int) -> Depth:
    """Project a laser scan to a depth map, as the usual Eigen-split evaluation does (Eigen et al., NeurIPS 2014).

    Points behind the scanner (x < 0) or the camera (z <= 0) are dropped. A point falls on pixel (round(u) - 1,
    round(v) - 1), KITTI's 1-based convention, ties to even. Where several points meet, the nearest wins.

    Args:
        scan: (N, 3 or more) float32 metres in the scanner's frame.
        velodyne_to_image: (3, 4), P_rect * R_rect * [R|T].
        width: image width, pixels.
        height: image height, pixels.

    Returns:
        (height, width) float32 metres along the optical axis, NaN where no point fell.

    Raises:
        InputError: an array has another shape.
    """
    if scan.ndim != 2 or scan.shape[1] < 3 or velodyne_to_image.shape != (3, 4):
        raise InputError(
            f"need a scan (N, 3 or more) and a projection (3, 4), got {scan.shape} and {velodyne_to_image.shape}"
        )
    points = scan[scan[:, 0] >= 0, :3].astype(np.float64)
    projected = velodyne_to_image[:, :3] @ points.T + velodyne_to_image[:, 3:]
    projected = projected[:, projected[2] > 0]
    columns, rows = np.rint(projected[:2] / projected[2]) - 1
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    pixels = (rows[inside] * width + columns[inside]).astype(np.intp)
    depths = projected[2, inside].astype(np.float32)
    # NumPy keeps the last write to an index, so the furthest point goes first.
    order = np.argsort(-depths, kind="stable")
    depth = np.full(height * width, np.nan, np.float32)
    depth[pixels[order]] = depths[order]
    return depth.reshape(height, width)


def _annotated_files(drive: Path, name: str, camera: int, root: str | Path | None) -> dict[int, Path]:
    inside = Path("proj_depth", "groundtruth", f"image_{camera:02d}")
    folders = [drive / inside]
    if root is not None:
        names = dict.fromkeys((name, drive.name, name.removesuffix("_sync")))
        parts = [Path(root).expanduser() / part for part in (*ANNOTATED_FOLDERS, name[:10])]
        folders += [part / folder / inside for part in parts for folder in names]
        if not any(folder.is_dir() for folder in folders):
            raise DataError(
                root,
                f"has no annotated depth of {name} (looked for {name}/{inside})",
                "give the folder of data_depth_annotated; 'space_clip download kitti' fetches it",
            )
    return next((files for folder in folders if (files := numbered_files(folder, ".png"))), {})

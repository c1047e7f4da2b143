"""Synthetic drives in KITTI raw's layout: pictures, exact dense depth, laser scans, calibration and stamps."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from space_clip_ros.errors import DataError, InputError
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.depth import to_kitti_png
from space_clip_ros.synthetic.build import build_scene
from space_clip_ros.synthetic.calibration import drawing_camera, scanner_to_camera, write_calibration
from space_clip_ros.synthetic.layouts import LAYOUTS
from space_clip_ros.synthetic.lidar import scan
from space_clip_ros.synthetic.render import View
from space_clip_ros.synthetic.scene import Scene
from space_clip_ros.synthetic.sensor import expose

RATE = 10.0
"""Pictures a second of a drive with stride 1, as KITTI's."""

KITTI_CAMERA = PinholeCamera(1242, 375, 721.54, 721.54, 609.56, 172.85)
"""A camera like KITTI's left colour camera of 2011-09-26, pixels counted from 1."""

DATE = "2026_01_01"

Picture = NDArray[np.uint8]
Depth = NDArray[np.float32]


def render(
    scene: Scene, pose: NDArray[np.floating], camera: PinholeCamera, time: float = 0.0, seed: int = 0
) -> tuple[Picture, Depth]:
    """Return the picture and the exact depth that a camera takes of a scene.

    Args:
        scene: what there is.
        pose: (4, 4) camera (x right, y down, z forward) to world.
        camera: intrinsics, pixel centres at integer coordinates counted from 0.
        time: seconds after the scene's start.
        seed: of the sensor's noise.

    Returns:
        (H, W, 3) uint8 RGB, and (H, W) float32 metres along the optical axis at pixel centres, NaN for the sky.
    """
    return _exposed(View(scene.mesh(time), scene.atlas, camera, pose), scene, seed)


def write_drive(
    out_dir: str | Path,
    frames: int,
    seed: int,
    camera: PinholeCamera = KITTI_CAMERA,
    *,
    stride: int = 1,
    layout: str | None = None,
    speed: float | None = None,
    scans: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write one drive; the same arguments write the same files.

    Layout: ``<out_dir>/<date>/`` with the calibration and ``<date>_drive_NNNN_sync/``, which holds ``image_02``,
    ``velodyne_points`` and ``proj_depth/groundtruth/image_02`` (uint16 metres * 256; 0 for the sky and from 256 m on).
    Scans cover the 90 degrees ahead. Every file appears whole or not at all, and a frame's picture last, so that an
    interrupted drive holds only whole frames; writing it again starts over.

    Args:
        out_dir: where to, made if need be.
        frames: how many.
        seed: of everything random; its last four digits number the drive.
        camera: the rectified colour camera as :class:`KittiDrive` will read it, pixels counted from 1 as in KITTI's
            files: the image's first pixel has its centre at (1, 1).
        stride: take every n-th picture of a 10 Hz drive.
        layout: kind of road (city, residential, country, highway, avenue); drawn by seed where None.
        speed: of the car, metres/second; drawn where None.
        scans: write laser scans too.
        progress: called with (frames done, frames) after each frame.

    Returns:
        The drive's folder.

    Raises:
        InputError: frames or stride below 1, a negative seed or speed, or an unknown layout.
        DataError: a file cannot be written, or the folder holds drives of another camera.
    """
    _check(frames, seed, stride, layout, speed)
    period = stride / RATE
    scene = build_scene(seed, (frames - 1) * period, layout, speed)
    day = Path(out_dir) / DATE
    drive = day / f"{DATE}_drive_{seed % 10_000:04d}_sync"
    images, depths, points = (
        drive / name for name in ("image_02", "proj_depth/groundtruth/image_02", "velodyne_points")
    )
    try:
        day.mkdir(parents=True, exist_ok=True)
        write_calibration(day, camera)
        for folder in (images / "data", depths, *((points / "data",) if scans else ())):
            folder.mkdir(parents=True, exist_ok=True)
        for folder in (images / "data", depths, points / "data"):
            _remove_frames(folder)
        for folder in (images, *((points,) if scans else ())):
            _write_stamps(folder / "timestamps.txt", frames, period)
        for index in range(frames):
            time, name = index * period, f"{index:010d}"
            pose = scene.camera_pose(time)
            view = partial(View, scene.mesh(time), scene.atlas)
            picture, depth = _exposed(view(drawing_camera(camera), pose), scene, seed * 100_003 + index)
            if scans:
                rng = np.random.default_rng([seed, index])
                cloud = scan(view, pose @ scanner_to_camera(), rng)
                _write(points / "data" / f"{name}.bin", cloud.tobytes())
            _write(depths / f"{name}.png", _png(to_kitti_png(depth)))
            _write(images / "data" / f"{name}.png", _png(picture))
            if progress is not None:
                progress(index + 1, frames)
    except OSError as error:
        raise DataError(f"{error.filename or drive}: cannot be written ({error.strerror})") from error
    return drive


def _exposed(view: View, scene: Scene, seed: int) -> tuple[Picture, Depth]:
    return expose(view.color(scene.light), scene.sensor, np.random.default_rng(seed)), view.depth()


def _check(frames: int, seed: int, stride: int, layout: str | None, speed: float | None) -> None:
    if frames < 1 or stride < 1:
        raise InputError(f"frames and stride must be at least 1, got {frames} and {stride}")
    if seed < 0:
        raise InputError(f"seed must be 0 or more, got {seed}")
    if layout is not None and layout not in LAYOUTS:
        raise InputError(f"layout must be one of {', '.join(LAYOUTS)}, got {layout!r}")
    if speed is not None and not 0 <= speed <= 50:
        raise InputError(f"speed must be from 0 to 50 m/s, got {speed}")


def _remove_frames(folder: Path) -> None:
    """Remove what an earlier run left."""
    for pattern in ("*.png", "*.bin", "*.part"):
        for path in folder.glob(pattern):
            path.unlink()


def _write_stamps(path: Path, frames: int, period: float) -> None:
    start = datetime.datetime(2026, 1, 1, 12)
    step = round(period * 1e9)
    lines = []
    for index in range(frames):
        seconds, nanoseconds = divmod(index * step, 1_000_000_000)
        lines.append(f"{start + datetime.timedelta(seconds=seconds):%Y-%m-%d %H:%M:%S}.{nanoseconds:09d}\n")
    _write(path, "".join(lines).encode())


def _png(image: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
    """Return a file of an RGB picture or of depth codes."""
    # OpenCV takes its fastest settings (one filter, level 1) only where no level is given. Noise holds nothing that
    # repeats, so pictures are only coded by frequency; smooth depth is half as large with the usual strategy.
    if image.ndim == 3:
        picture = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        return bytes(
            cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY])[1]
        )
    return bytes(cv2.imencode(".png", image, [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_DEFAULT])[1])


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    part.replace(path)

"""Synthetic drives in KITTI raw's layout: images, exact dense depth, laser scans, calibration and timestamps."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Collection
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from space_clip_ros.errors import DataError, InputError
from space_clip_ros.files import write_whole
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.color import Rgb
from space_clip_ros.geometry.depth import Depth, to_kitti_png
from space_clip_ros.synthetic.calibration import (
    drawing_camera,
    scaled_camera,
    scanner_to_camera,
    write_calibration,
)
from space_clip_ros.synthetic.layouts import LAYOUTS
from space_clip_ros.synthetic.lidar import scan
from space_clip_ros.synthetic.render import CameraView
from space_clip_ros.synthetic.rig import random_rig, random_shape
from space_clip_ros.synthetic.scene import Scene
from space_clip_ros.synthetic.scene_builder import build_scene
from space_clip_ros.synthetic.sensor import expose

RATE_HZ = 10.0
"""Frame rate of a drive with stride 1, as KITTI's."""

KITTI_CAMERA = PinholeCamera(1242, 375, 721.54, 721.54, 609.56, 172.85)
"""A camera like KITTI's left colour camera of 2011-09-26, pixels counted from 1."""

DATE = "2026_01_01"
"""Day of the drives that share one camera."""

VARIATIONS = ("camera", "shape", "streets")
"""What :func:`write_drive` can vary from drive to drive on request."""

_FIRST_OWN_DAY = datetime.date(2027, 1, 1)
_OWN_DAYS = 1_000_000

LABEL_FOLDER = "proj_label/image_02"
"""Folder of the label maps in a drive."""

_OPTIONS = "synthesize.json"

_FOLDERS = ("image_02", "proj_depth/groundtruth/image_02", LABEL_FOLDER, "velodyne_points")


def render(
    scene: Scene, pose: NDArray[np.floating], camera: PinholeCamera, time: float = 0.0, seed: int = 0
) -> tuple[Rgb, Depth]:
    """Return the image and the exact depth that a camera takes of a scene.

    Args:
        scene: what to render.
        pose: (4, 4) camera (x right, y down, z forward) to world.
        camera: intrinsics, pixel centres at integer coordinates counted from 0.
        time: seconds since the scene's start.
        seed: seed of the sensor's noise.

    Returns:
        (H, W, 3) uint8 RGB, and (H, W) float32 metres along the optical axis at pixel centres, NaN for the sky.
    """
    return _exposed(CameraView(scene.mesh(time), scene.atlas, camera, pose), scene, seed)


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
    vary: Collection[str] = (),
    labels: bool = False,
    scale: float = 1.0,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write one drive; the same arguments write the same files.

    Layout: ``<out_dir>/<date>/`` with the calibration and ``<date>_drive_NNNN_sync/``, which holds ``image_02``,
    ``velodyne_points`` and ``proj_depth/groundtruth/image_02`` (uint16 metres * 256; 0 for the sky and from 256 m on).
    Scans cover the 90 degrees ahead. A day has one calibration, so a drive with its own camera also gets its own
    day: ``<date>`` is 2026_01_01, or 2027_01_01 plus ``seed`` days where ``vary`` names camera or shape. Every file
    appears whole or not at all, and a frame's image last, so an interrupted drive holds only whole frames.
    Writing it again starts over; only ``frames`` may then differ from the arguments in the drive's ``synthesize.json``.

    Args:
        out_dir: folder to write to; created if missing.
        frames: number of frames.
        seed: seed of everything random, and the drive's number.
        camera: the rectified colour camera as :class:`KittiDrive` will read it, pixels counted from 1 as in KITTI's
            files: the image's first pixel has its centre at (1, 1).
        stride: take every n-th frame of a 10 Hz drive.
        layout: kind of road, a name in :data:`~space_clip_ros.synthetic.layouts.LAYOUTS`; None draws one by seed.
        speed: speed of the car, metres/second; None draws one by seed.
        scans: write laser scans too.
        vary: which of :data:`VARIATIONS` to add. ``camera``: height, pitch, roll and lens of the camera
            (:func:`~space_clip_ros.synthetic.rig.random_rig`). ``shape``: pictures as most cameras take them, from
            4:3 to 16:9 (:func:`~space_clip_ros.synthetic.rig.random_shape`). ``streets``: more kinds of streets,
            weather and road users, many of them close
            (:func:`~space_clip_ros.synthetic.scene_builder.build_scene`).
        labels: write label maps too: ``proj_label/image_02``, uint8, a
            :class:`~space_clip_ros.data.labels.Label` for every pixel.
        scale: size of the pictures relative to the camera's, from 0.1 to 1; small ones are faster. The view stays the
            same; blur and noise shrink with it.
        progress: called with (frames done, frames) after each frame.

    Returns:
        The drive's folder.

    Raises:
        InputError: frames or stride below 1, a negative seed or speed, or an unknown layout or variation.
        DataError: a file cannot be written, or the folder holds drives of another camera or this drive made with other
            arguments.
    """
    _check(frames, seed, stride, layout, speed, vary, scale)
    date = _own_day(seed) if {"camera", "shape"}.intersection(vary) else DATE
    day = Path(out_dir) / date
    drive = day / f"{date}_drive_{seed:04d}_sync"
    options = {"seed": seed, "camera": asdict(camera), "stride": stride, "layout": layout, "speed": speed}
    options |= {"scans": scans, "vary": sorted(set(vary)), "labels": labels, "scale": scale}
    made_with = json.dumps(options).encode()
    _check_same(drive, made_with)
    period = stride / RATE_HZ
    scene = build_scene(seed, (frames - 1) * period, layout, speed, varied="streets" in vary)
    if "shape" in vary:
        camera = random_shape(seed, camera)
    if "camera" in vary:
        rig = random_rig(seed, camera)
        camera, scene.ego = rig.camera, rig.mounted_on(scene.ego)
    if scale != 1.0:
        camera, scene.sensor = scaled_camera(camera, scale), scene.sensor.scaled(scale)
    images, depths, classes, points = (drive / name for name in _FOLDERS)
    try:
        write_calibration(day, camera)
        write_whole(drive / _OPTIONS, made_with)
        _remove_frames(images / "data", depths, classes, points / "data")
        for folder in (images, *((points,) if scans else ())):
            _write_timestamps(folder / "timestamps.txt", frames, period)
        for index in range(frames):
            time, name = index * period, f"{index:010d}"
            mesh, pose = scene.mesh(time), scene.camera_pose(time)
            view = CameraView(mesh, scene.atlas, drawing_camera(camera), pose)
            rgb, depth = _exposed(view, scene, seed * 100_003 + index)
            if scans:
                rng = np.random.default_rng([seed, index])
                cloud = scan(mesh, scene.atlas, pose @ scanner_to_camera(), rng)
                write_whole(points / "data" / f"{name}.bin", cloud.tobytes())
            if labels:
                write_whole(classes / f"{name}.png", _png(view.labels()))
            write_whole(depths / f"{name}.png", _png(to_kitti_png(depth)))
            write_whole(images / "data" / f"{name}.png", _png(rgb))
            if progress is not None:
                progress(index + 1, frames)
    except OSError as error:
        raise DataError(error.filename or drive, f"cannot be written ({error.strerror})") from error
    return drive


def _exposed(view: CameraView, scene: Scene, seed: int) -> tuple[Rgb, Depth]:
    return expose(view.color(scene.light), scene.sensor, np.random.default_rng(seed)), view.depth()


def _own_day(seed: int) -> str:
    """Return the day of the drive that has the camera of ``seed``."""
    return f"{_FIRST_OWN_DAY + datetime.timedelta(days=seed % _OWN_DAYS):%Y_%m_%d}"


def _check(
    frames: int, seed: int, stride: int, layout: str | None, speed: float | None, vary: Collection[str], scale: float
) -> None:
    if frames < 1 or stride < 1:
        raise InputError(f"frames and stride must be at least 1, got {frames} and {stride}")
    if seed < 0:
        raise InputError(f"seed must be 0 or more, got {seed}")
    if layout is not None and layout not in LAYOUTS:
        raise InputError(f"layout must be one of {', '.join(LAYOUTS)}, got {layout!r}")
    if speed is not None and not 0 <= speed <= 50:
        raise InputError(f"speed must be from 0 to 50 m/s, got {speed}")
    if not 0.1 <= scale <= 1:
        raise InputError(f"scale must be from 0.1 to 1, got {scale}")
    unknown = [name for name in vary if name not in VARIATIONS]
    if unknown:
        raise InputError(f"vary must name some of {', '.join(VARIATIONS)}, got {', '.join(map(repr, unknown))}")


def _check_same(drive: Path, made_with: bytes) -> None:
    """Refuse a drive that was made with other arguments, or whose arguments are not known."""
    file = drive / _OPTIONS
    if (drive / _FOLDERS[0]).is_dir() and not (file.is_file() and file.read_bytes() == made_with):
        raise DataError(drive, "was made with other options", "remove it, or write to another folder")


def _remove_frames(*folders: Path) -> None:
    """Remove what an earlier run left."""
    for folder in folders:
        for pattern in ("*.png", "*.bin"):
            for path in folder.glob(pattern):
                path.unlink()


def _write_timestamps(path: Path, frames: int, period: float) -> None:
    start = datetime.datetime(2026, 1, 1, 12)
    step = round(period * 1e9)
    lines = []
    for index in range(frames):
        seconds, nanoseconds = divmod(index * step, 1_000_000_000)
        lines.append(f"{start + datetime.timedelta(seconds=seconds):%Y-%m-%d %H:%M:%S}.{nanoseconds:09d}\n")
    write_whole(path, "".join(lines).encode())


def _png(image: Rgb | NDArray[np.uint16]) -> bytes:
    """Encode an RGB image, integer depth or classes as PNG."""
    # OpenCV uses its fastest settings (one filter, level 1) only if no level is given. Nothing repeats in noisy images,
    # so Huffman coding alone is enough for them; smooth depth is half as large with the default strategy.
    if image.ndim == 3:
        pixels, strategy = cv2.cvtColor(image, cv2.COLOR_RGB2BGR), cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY
    else:
        pixels, strategy = image, cv2.IMWRITE_PNG_STRATEGY_DEFAULT
    return bytes(cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_STRATEGY, strategy])[1])

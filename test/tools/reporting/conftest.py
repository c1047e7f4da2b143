"""A small recording with everything a report shows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from space_clip_ros.geometry.planar_scan import PlanarScan
from space_clip_ros.messages import camera_info_from_camera, compressed_from_array
from space_clip_ros.messages.bag_types import BAGS, TYPES
from space_clip_ros.messages.diagnostics import DepthValues
from space_clip_ros.messages.laser_scans import laser_scan_from_scan

START_NS = 1_790_000_000_000_000_000
PERIOD_NS = 100_000_000
LATENCY_NS = 40_000_000
WIDTH, HEIGHT = 64, 32
LACKING = ((4, "depth"), (1, "scan"))
SIGMA = 0.05
SCAN = PlanarScan(np.full(60, 8.0, np.float32), -0.3, 0.01, 0.1, 30.0, np.full((4, 4), np.nan), "base", 0.1)


def scale_of(index: int) -> float:
    """Return what a frame's depth is multiplied by; frame 3 is the worst."""
    return 1.5 if index == 3 else 1.0 + 0.01 * index


def truth() -> np.ndarray:
    """Return true depth: 4 m at the bottom to 60 m at the top, unknown in the left quarter."""
    rows = np.linspace(60.0, 4.0, HEIGHT, dtype=np.float32)
    depth = np.repeat(rows[:, None], WIDTH, axis=1)
    depth[:, : WIDTH // 4] = np.nan
    return depth


def depth(index: int) -> np.ndarray:
    """Return a frame's depth."""
    return np.nan_to_num(truth(), nan=9.0) * np.float32(scale_of(index))


def scale(index: int) -> dict[str, str]:
    """Return what diagnostics say of the scale; frame 2 has no evidence."""
    values = DepthValues(
        scale_mode="camera_height",
        scale_factor=1.0 + 0.02 * index,
        scale_sigma=0.05,
        scale_evidence="" if index == 2 else "camera height",
        scale_problem="camera height: a wall" if index == 2 else "",
    )
    return values.texts()


def image(index: int) -> np.ndarray:
    """Return a ramp from red to blue that moves from frame to frame, (H, W, 3) uint8 RGB."""
    ramp = np.linspace(0, 255, WIDTH).astype(np.uint8)
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[..., 0], pixels[..., 2] = ramp[::-1], np.roll(ramp, index)
    return pixels


@pytest.fixture()
def write_recording() -> Callable[..., Path]:
    """Write a bag: ``write_recording(path, frames=6, without=("/image",), compressed=False, latency_ns=...)``.

    With ``extras`` it has uncertainty, 5 % of depth; a scan, of all but frame 1; and a scale in the diagnostics.
    """
    return _write


@pytest.fixture()
def recording(tmp_path: Path) -> Path:
    """Six frames, one of them without depth."""
    return _write(tmp_path / "drive")


def _write(
    path: Path,
    frames: int = 6,
    without: tuple[str, ...] = (),
    compressed: bool = False,
    latency_ns: int = LATENCY_NS,
    prefix: str = "/",
    extras: bool = False,
) -> Path:
    from space_clip_ros.geometry.camera import PinholeCamera
    from space_clip_ros.tools.bags import messages, qos
    from space_clip_ros.tools.bags.writer import BagWriter

    camera = PinholeCamera(WIDTH, HEIGHT, 50.0, 50.0, 31.5, 15.5)
    picture = "image/compressed" if compressed else "image"
    kinds = {
        picture: "sensor_msgs/msg/CompressedImage" if compressed else "sensor_msgs/msg/Image",
        "camera_info": "sensor_msgs/msg/CameraInfo",
        "ground_truth/image": "sensor_msgs/msg/Image",
        "depth/image": "sensor_msgs/msg/Image",
        "depth/camera_info": "sensor_msgs/msg/CameraInfo",
    }
    if extras:
        kinds |= {"depth/uncertainty": "sensor_msgs/msg/Image", "depth/scan": "sensor_msgs/msg/LaserScan"}
    kinds = {prefix + name: kind for name, kind in kinds.items()} | {"/diagnostics": _kind("DiagnosticArray")}
    kinds = {name: kind for name, kind in kinds.items() if name not in without}
    with BagWriter(path) as bag:
        for name, kind in kinds.items():
            bag.add(name, kind, qos.SENSOR)
        for index in range(frames):
            stamp = START_NS + index * PERIOD_NS
            head = messages.header(stamp, "camera")
            rgb = image(index)
            contents = {
                prefix + picture: compressed_from_array(rgb, "png", head, BAGS)
                if compressed
                else messages.image(rgb, head),
                prefix + "camera_info": camera_info_from_camera(camera, head, types=BAGS),
                prefix + "ground_truth/image": messages.image(truth(), head),
                "/diagnostics": _diagnostics(head, scale(index) if extras else {}),
                prefix + "depth/image": messages.image(depth(index), head),
                prefix + "depth/uncertainty": messages.image(depth(index) * np.float32(SIGMA), head),
                prefix + "depth/scan": laser_scan_from_scan(SCAN, head, BAGS),
                prefix + "depth/camera_info": camera_info_from_camera(camera, head, types=BAGS),
            }
            for name, content in contents.items():
                if name in kinds and not any(index == lacking and part in name for lacking, part in LACKING):
                    bag.write(name, stamp + (latency_ns if "depth" in name else 1_000_000), content)
    return path


def _kind(name: str) -> str:
    return f"diagnostic_msgs/msg/{name}"


def _diagnostics(head: Any, more: dict[str, str]) -> Any:
    pair = TYPES.types[_kind("KeyValue")]
    values = [
        pair(*item)
        for item in (
            ("backend", "<onnx>"),
            ("stage_ms: engine", "31.25"),
            ("dropped: busy", "1"),
            ("dropped: bad image", "1"),
            *more.items(),
        )
    ]
    status = TYPES.types[_kind("DiagnosticStatus")](0, "depth: depth estimation", "runs", "cpu", values)
    return TYPES.types[_kind("DiagnosticArray")](head, [status])

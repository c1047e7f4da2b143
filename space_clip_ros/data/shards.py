"""Frames in shards: plain tar files, as WebDataset has them, with an index of where each frame lies.

A frame is three members: ``KEY.png`` or ``KEY.jpg``, ``KEY.depth.png`` or ``KEY.depth.npz``, and ``KEY.json``. The
index makes any frame one read of a part of a file, so that order, resuming and the split between processes are the same
as with single files.
"""

from __future__ import annotations

import io
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from space_clip_ros.data.frames import RgbdFrame
from space_clip_ros.data.shard_files import ShardFiles
from space_clip_ros.errors import DataError
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.depth import Depth, from_kitti_png, to_kitti_png
from space_clip_ros.geometry.image_file import decode_image, decode_rgb
from space_clip_ros.training_config import SourceConfig

INDEX = "index.json"
FORMAT = 1
_PNG = ".png"
_NPZ = ".npz"


@dataclass(frozen=True)
class ShardedFrame:
    """Where a frame lies, and what is known of it.

    Attributes:
        shard: name of the shard.
        start: its first byte, that of the image.
        image_size: bytes of the image.
        depth_start: first byte of its depth, in the shard.
        depth_size: bytes of its depth.
        depth_suffix: ``.png``, uint16 metres * 256, or ``.npz``, float32 metres named ``depth``.
        label: name that tells a person which frame it is.
        scene: place that it shows, or drive or folder that it is from.
        camera: width, height, fx, fy, cx, cy in pixels; empty where not known.
    """

    shard: str
    start: int
    image_size: int
    depth_start: int
    depth_size: int
    depth_suffix: str
    label: str
    scene: str
    camera: tuple[float, ...] = ()


def encode_depth(depth: Depth) -> tuple[str, bytes]:
    """Return the suffix and the bytes that hold (H, W) float32 metres, NaN where unknown, without any loss."""
    codes = to_kitti_png(depth)
    if np.array_equal(from_kitti_png(codes), depth, equal_nan=True):
        return _PNG, bytes(cv2.imencode(_PNG, codes)[1])
    stream = io.BytesIO()
    np.savez_compressed(stream, depth=depth)
    return _NPZ, stream.getvalue()


def decode_depth(suffix: str, data: bytes, what: str) -> Depth:
    """Return (H, W) float32 metres, NaN where unknown.

    Raises:
        DataError: the bytes are damaged.
    """
    if suffix == _PNG:
        codes = decode_image(data, cv2.IMREAD_UNCHANGED, what)
        if codes.dtype != np.uint16 or codes.ndim != 2:
            raise DataError(what, f"its depth is not one channel of 16 bits, but {codes.shape} of {codes.dtype}")
        return from_kitti_png(codes.astype(np.uint16, copy=False))
    try:
        with np.load(io.BytesIO(data)) as arrays:
            return np.asarray(arrays["depth"], np.float32)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(what, f"its depth cannot be read ({error})", "copy the shard again") from error
    except Exception as error:  # a damaged ZIP archive raises nearly anything
        raise DataError(what, f"its depth is damaged ({error})", "copy the shard again") from error


def camera_values(camera: PinholeCamera | None) -> tuple[float, ...]:
    """Return a camera as the index stores it."""
    return () if camera is None else tuple(asdict(camera).values())


class ShardedFrames:
    """The frames of a folder of shards, in the order in which they were written.

    Args:
        config: the folder's path or address (``path``), which frames of it (``frames``, ``step``), and their weight.

    Attributes:
        weight: how often an epoch shows each frame, on average.

    Raises:
        DataError: there is no index, it is damaged or of another version, or no frame is left.
        LibraryError: what this kind of address needs is not installed.
    """

    def __init__(self, config: SourceConfig) -> None:
        """Read the index."""
        self.weight = config.weight
        self._files = ShardFiles(config.path)
        frames = self._read_index()
        self._frames = frames[config.chosen]
        if not self._frames:
            raise DataError(config.path, f"none of its {len(frames)} frames is left", "check frames of this source")

    classes: tuple[str, ...] = ()
    """Its frames have no labels."""

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._frames)

    def label(self, index: int) -> str:
        """Return the name that the frame had where the shards were made from."""
        return self._frames[index].label

    def scene(self, index: int) -> str:
        """Return the place, drive or folder that the frame is from."""
        return self._frames[index].scene

    def files(self, index: int) -> tuple[Path, ...]:
        """Return the shard, if it is on this machine's disk."""
        local = self._files.local
        return () if local is None else (local / self._frames[index].shard,)

    def frame(self, index: int) -> RgbdFrame:
        """Read one frame.

        Raises:
            DataError: the shard is missing or damaged, or cannot be reached.
        """
        entry = self._frames[index]
        size = entry.depth_start + entry.depth_size - entry.start
        data = self._files.read(entry.shard, entry.start, size)
        what = f"{entry.label} in {self._files.address(entry.shard)}"
        image = decode_rgb(data[: entry.image_size], what)
        depth = decode_depth(entry.depth_suffix, data[entry.depth_start - entry.start :], what)
        camera = PinholeCamera(int(entry.camera[0]), int(entry.camera[1]), *entry.camera[2:]) if entry.camera else None
        return RgbdFrame(image, depth, camera)

    def _read_index(self) -> list[ShardedFrame]:
        place = self._files.address(INDEX)
        try:
            content: Any = json.loads(self._files.read(INDEX))
        except ValueError as error:
            raise DataError(place, f"is not an index of shards ({error})", "write the shards again") from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise DataError(place, f"is not an index of shards of format {FORMAT}", "write the shards again")
        try:
            return [ShardedFrame(**{**entry, "camera": tuple(entry["camera"])}) for entry in content["frames"]]
        except (TypeError, KeyError) as error:
            raise DataError(place, f"is damaged ({error})", "write the shards again") from error

"""Writes the frames of sources into shards; an interrupted run continues where it stopped."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from space_clip_ros.data.frames import FrameSource, RgbdFrame
from space_clip_ros.data.shards import FORMAT, INDEX, ShardedFrame, camera_values, encode_depth
from space_clip_ros.errors import DataError, InputError, SpaceClipError
from space_clip_ros.files import write_json, written_whole
from space_clip_ros.geometry.image_file import read_rgb

FRAMES_A_SHARD = 256
"""About 250 MB of KITTI's frames."""

_PARTS = ".parts"
_JOB = "job.json"
_BLOCK = 512
_PICTURES = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class Written:
    """The content of a folder of shards.

    Attributes:
        frames: how many.
        shards: how many.
        size: of all shards, bytes.
    """

    frames: int
    shards: int
    size: int


def write_shards(
    sources: Sequence[FrameSource],
    out: Path,
    on_frame: Callable[[], None] = lambda: None,
    frames_a_shard: int = FRAMES_A_SHARD,
) -> Written:
    """Write the frames of sources, in their order, as shards with an index.

    A shard appears once it is whole. The index is written last; until then the same call continues with the
    missing shards.

    Args:
        sources: the frames.
        out: the folder.
        on_frame: called for each frame, including those of finished shards.
        frames_a_shard: how many frames a shard holds.

    Raises:
        DataError: a frame cannot be read, the folder holds finished shards or unfinished ones of other frames, or it
            cannot be written.
        InputError: fewer than one frame a shard.
    """
    if frames_a_shard < 1:
        raise InputError("frames a shard", f"must be at least 1, got {frames_a_shard}")
    out = out.expanduser()
    if (out / INDEX).exists():
        raise DataError(out, "holds shards already", "remove it or choose another folder")
    items = [(source, index) for source in sources for index in range(len(source))]
    parts = out / _PARTS
    _check_job(out, items, frames_a_shard)
    entries: list[ShardedFrame] = []
    starts = range(0, len(items), frames_a_shard)
    for number, start in enumerate(starts):
        name = f"shard-{number:06d}.tar"
        part = parts / f"{number:06d}.json"
        own = items[start : start + frames_a_shard]
        if not (part.is_file() and (out / name).is_file()):
            written = _write_shard(out / name, own, start, on_frame)
            write_json(part, [asdict(entry) for entry in written], indent=None)
        else:
            for _ in own:
                on_frame()
        entries += [ShardedFrame(**entry) for entry in json.loads(part.read_text(encoding="utf-8"))]
    index = {"format": FORMAT, "frames": [asdict(entry) for entry in entries]}
    write_json(out / INDEX, index, indent=None)
    shutil.rmtree(parts, ignore_errors=True)
    return Written(len(entries), len(starts), sum(shard.stat().st_size for shard in out.glob("shard-*.tar")))


def _check_job(out: Path, items: Sequence[tuple[FrameSource, int]], frames_a_shard: int) -> None:
    """Record which frames are written; refuse labels, and unfinished shards of other frames."""
    if named := next((source.label(index) for source, index in items if source.classes), ""):
        raise DataError(named, "has labels, which shards cannot hold", "leave labels out of the sources to shard")
    labels = hashlib.sha256("\n".join(source.label(index) for source, index in items).encode()).hexdigest()
    job = {"frames": len(items), "labels": labels, "frames_a_shard": frames_a_shard}
    file = out / _PARTS / _JOB
    if not file.is_file():
        write_json(file, job)
    elif json.loads(file.read_text(encoding="utf-8")) != job:
        raise DataError(out, "holds unfinished shards of other frames", "repeat that run, or remove the folder")


def _write_shard(
    path: Path, items: Sequence[tuple[FrameSource, int]], first: int, on_frame: Callable[[], None]
) -> list[ShardedFrame]:
    entries = []
    with written_whole(path) as draft, tarfile.open(draft, "w", format=tarfile.USTAR_FORMAT) as tar:
        for number, (source, index) in enumerate(items, first):
            entries.append(_add(tar, path.name, f"{number:08d}", source, index))
            on_frame()
    return entries


def _add(tar: tarfile.TarFile, shard: str, key: str, source: FrameSource, index: int) -> ShardedFrame:
    label, scene = source.label(index), source.scene(index)
    try:
        frame = source.frame(index)
        image_suffix, image = _encoded_image(frame, source.files(index))
    except SpaceClipError as error:
        raise DataError(label, str(error)) from error
    depth_suffix, depth = encode_depth(frame.depth)
    camera = camera_values(frame.camera)
    described = json.dumps({"label": label, "scene": scene, "camera": camera}).encode()
    image_start = _add_member(tar, f"{key}{image_suffix}", image)
    depth_start = _add_member(tar, f"{key}.depth{depth_suffix}", depth)
    _add_member(tar, f"{key}.json", described)
    return ShardedFrame(shard, image_start, len(image), depth_start, len(depth), depth_suffix, label, scene, camera)


def _add_member(tar: tarfile.TarFile, name: str, data: bytes) -> int:
    """Add a file, the same bytes every time, and return where its content begins."""
    member = tarfile.TarInfo(name)
    member.size = len(data)
    start = tar.offset + _BLOCK
    tar.addfile(member, io.BytesIO(data))
    return start


def _encoded_image(frame: RgbdFrame, files: Sequence[Path]) -> tuple[str, bytes]:
    """Return suffix and bytes of the picture's own file if the frame shows all of it, otherwise of a PNG."""
    for file in files:
        suffix = file.suffix.lower()
        if suffix in _PICTURES and _shows(file, frame):
            return suffix, file.read_bytes()
    encoded: Any = cv2.imencode(".png", cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR))[1]
    return ".png", bytes(encoded)


def _shows(file: Path, frame: RgbdFrame) -> bool:
    try:
        return np.array_equal(read_rgb(file), frame.image)
    except SpaceClipError:
        return False

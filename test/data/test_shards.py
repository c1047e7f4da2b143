"""Frames come out of shards as they went in, by any way to the bytes."""

from __future__ import annotations

import io
import json
import re
import tarfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest

from space_clip_ros.data.collection import FrameCollection, open_sources
from space_clip_ros.data.file_check import check_files
from space_clip_ros.data.shard_files import ShardFiles
from space_clip_ros.data.shard_writer import write_shards
from space_clip_ros.data.shards import ShardedFrames, decode_depth, encode_depth
from space_clip_ros.errors import DataError
from space_clip_ros.training_config import SourceConfig


class _Ranges(SimpleHTTPRequestHandler):
    """Serves parts of files, as object storage does; refuses the first of some requests, as busy servers do."""

    busy: ClassVar[list[str]] = []
    parts = True

    def do_GET(self) -> None:
        if self.path in self.busy:
            self.busy.remove(self.path)
            self.send_error(503)
            return
        file = Path(self.translate_path(self.path))
        if not file.is_file():
            self.send_error(404)
            return
        data, status = file.read_bytes(), 200
        if (byte_range := re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))) and self.parts:
            data, status = data[int(byte_range[1]) : int(byte_range[2]) + 1], 206
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@pytest.fixture()
def serve() -> Iterator[Callable[[Path], str]]:
    servers = []

    def start(folder: Path) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Ranges, directory=str(folder)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def frames_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven frames of two sizes with cameras, some of them JPEGs."""
    folder = tmp_path_factory.mktemp("frames")
    random = np.random.default_rng(5)
    for number in range(7):
        width = 40 if number < 5 else 48
        suffix = ".jpg" if number % 2 else ".png"
        cv2.imwrite(str(folder / f"{number}{suffix}"), random.integers(0, 256, (24, width, 3), np.uint8))
        depth = random.integers(0, 65536, (24, width)).astype(np.uint16)
        cv2.imwrite(str(folder / f"{number}_depth.png"), depth)
        camera = {
            "width": width,
            "height": 24,
            "fx": 30.25,
            "fy": 30.5,
            "cx": 20.0,
            "cy": 11.5,
            "scene": f"at {number // 3}",
        }
        (folder / f"{number}.json").write_text(json.dumps(camera), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def shards(frames_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("shards") / "out"
    sources = open_sources([SourceConfig(kind="frames", path=str(frames_dir))])
    written = write_shards(sources, out, frames_a_shard=3)
    assert (written.frames, written.shards) == (7, 3)
    return out


def source(place: object, **settings: Any) -> ShardedFrames:
    return ShardedFrames(SourceConfig(kind="shards", path=str(place), **settings))


def assert_same(place: object, frames_dir: Path) -> None:
    (original,) = open_sources([SourceConfig(kind="frames", path=str(frames_dir))])
    read = source(place)
    assert len(read) == len(original) == 7
    for index in range(7):
        expected, result = original.frame(index), read.frame(index)
        np.testing.assert_array_equal(result.image, expected.image)
        np.testing.assert_array_equal(result.depth, expected.depth)
        assert result.depth.dtype == np.float32
        assert result.camera == expected.camera is not None
        assert (read.label(index), read.scene(index)) == (original.label(index), original.scene(index))


def test_frames_come_back_to_the_bit_from_the_disk(shards: Path, frames_dir: Path) -> None:
    assert_same(shards, frames_dir)
    assert sorted(path.name for path in shards.iterdir()) == [
        "index.json",
        "shard-000000.tar",
        "shard-000001.tar",
        "shard-000002.tar",
    ]


def test_frames_come_back_from_a_web_server_that_is_busy_at_times(
    shards: Path, frames_dir: Path, serve: Callable[[Path], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("space_clip_ros.data.shard_files._PAUSE_S", 0.001)
    monkeypatch.setattr(_Ranges, "busy", ["/shard-000000.tar", "/index.json", "/shard-000002.tar"])
    assert_same(serve(shards), frames_dir)
    assert _Ranges.busy == []


def test_frames_come_back_from_object_storage(shards: Path, frames_dir: Path, tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    place = f"memory://{tmp_path.name}/shards"
    for file in shards.iterdir():
        fsspec.filesystem("memory").pipe_file(f"{place}/{file.name}", file.read_bytes())
    assert_same(place, frames_dir)
    assert source(place).files(0) == ()


def test_the_tar_files_are_webdatasets(shards: Path, frames_dir: Path) -> None:
    with tarfile.open(shards / "shard-000000.tar") as tar:
        names = tar.getnames()
        assert names == [
            f"{number:08d}.{suffix}"
            for number, picture in enumerate(("png", "jpg", "png"))
            for suffix in (picture, "depth.png", "json")
        ]
        jpeg = tar.extractfile("00000001.jpg")
        described = tar.extractfile("00000001.json")
        assert jpeg is not None and described is not None
        # The picture's own bytes, not compressed again.
        assert jpeg.read() == (frames_dir / "1.jpg").read_bytes()
        assert json.loads(described.read())["scene"] == "at 0"


def test_part_of_the_frames_is_chosen_as_of_a_folder(shards: Path) -> None:
    assert [source(shards, frames=(1, 6), step=2).label(index)[-1] for index in range(3)] == ["1", "3", "5"]
    assert source(shards, weight=0.5).weight == 0.5
    with pytest.raises(DataError, match="none of its 7 frames is left"):
        source(shards, frames=(9, 10))


def test_settings_open_shards_and_the_file_check_passes(shards: Path) -> None:
    frames = FrameCollection(open_sources([SourceConfig(kind="shards", path=str(shards))]))
    assert len(check_files(frames, False, lambda: None, print)) == 7


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("workers", [0, 2])
def test_the_steps_of_a_run_are_those_of_single_files(
    processes: int, workers: int, shards: Path, frames_dir: Path
) -> None:
    """Order, augmentation, the split between processes and resuming at step 2 included."""
    torch = pytest.importorskip("torch")
    from space_clip_ros.data.dataset import AugmentedFrames, StepSampler, training_loader
    from space_clip_ros.training_config import AugmentationConfig

    augmentation = AugmentationConfig(crop=(16, 32))
    for rank in range(processes):
        batches = []
        for config in (
            SourceConfig(kind="frames", path=str(frames_dir)),
            SourceConfig(kind="shards", path=str(shards)),
        ):
            frames = FrameCollection(open_sources([config]))
            sampler = StepSampler(frames.weights, 2, 7, rank, processes)
            sampler.first_step, sampler.end_step = 2, 8
            loader = training_loader(AugmentedFrames(frames, augmentation, 7), sampler, workers)
            batches.append(list(loader))
        assert len(batches[0]) == 6
        for left, right in zip(*batches, strict=True):
            assert torch.equal(left.frames, right.frames) and torch.equal(left.images, right.images)
            assert torch.equal(left.depth.nan_to_num(-1.0), right.depth.nan_to_num(-1.0))


def test_an_interrupted_run_goes_on(frames_dir: Path, shards: Path, tmp_path: Path) -> None:
    sources = open_sources([SourceConfig(kind="frames", path=str(frames_dir))])
    out, seen = tmp_path / "out", []

    def stop() -> None:
        seen.append(1)
        if len(seen) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shards(sources, out, stop, frames_a_shard=3)
    assert sorted(path.name for path in out.iterdir()) == [".parts", "shard-000000.tar"]
    first = (out / "shard-000000.tar").stat().st_mtime_ns
    with pytest.raises(DataError, match="holds unfinished shards of other frames"):
        write_shards(sources, out, frames_a_shard=2)
    assert write_shards(sources, out, frames_a_shard=3).frames == 7
    assert (out / "shard-000000.tar").stat().st_mtime_ns == first
    for name in ("index.json", "shard-000000.tar", "shard-000001.tar", "shard-000002.tar"):
        assert (out / name).read_bytes() == (shards / name).read_bytes(), name
    assert not (out / ".parts").exists()
    with pytest.raises(DataError, match="holds shards already"):
        write_shards(sources, out, frames_a_shard=3)


def test_depth_that_no_png_holds_is_kept_as_it_is() -> None:
    metres = np.array([[1.0, np.nan], [0.1, 1000.0]], np.float32)
    suffix, data = encode_depth(metres)
    assert suffix == ".npz"
    np.testing.assert_array_equal(decode_depth(suffix, data, "frame"), metres)
    exact = np.array([[1.5, np.nan], [255.0, 80.25]], np.float32)
    suffix, data = encode_depth(exact)
    assert suffix == ".png"
    np.testing.assert_array_equal(decode_depth(suffix, data, "frame"), exact)
    for broken in (b"", b"PK\x03\x04 broken"):
        with pytest.raises(DataError, match="its depth"):
            decode_depth(".npz", broken, "frame")


def test_what_is_missing_or_broken_is_named(
    shards: Path, tmp_path: Path, serve: Callable[[Path], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataError, match=r"nowhere/index\.json: cannot be read"):
        source("/nowhere")
    (tmp_path / "index.json").write_text("{}", encoding="utf-8")
    with pytest.raises(DataError, match="is not an index of shards of format 1"):
        source(tmp_path)
    (tmp_path / "index.json").write_text('{"format": 1, "frames": [{"shard": "a"}]}', encoding="utf-8")
    with pytest.raises(DataError, match=r"index\.json: is damaged"):
        source(tmp_path)
    for name in ("index.json", "shard-000000.tar"):
        (tmp_path / name).write_bytes((shards / name).read_bytes())
    cut = (tmp_path / "shard-000000.tar").read_bytes()
    (tmp_path / "shard-000000.tar").write_bytes(cut[:1000])
    with pytest.raises(DataError, match="ends early: "):
        source(tmp_path).frame(2)
    with pytest.raises(DataError, match=r"shard-000002\.tar: cannot be read"):
        source(tmp_path).frame(6)
    address = serve(tmp_path)
    with pytest.raises(DataError, match=r"shard-000002\.tar: cannot be read \(HTTP Error 404"):
        source(address).frame(6)
    monkeypatch.setattr(_Ranges, "parts", False)
    with pytest.raises(DataError, match="cannot send parts of files"):
        ShardFiles(address).read("index.json", 0, 5)
    pytest.importorskip("fsspec")
    with pytest.raises(DataError, match="is not an address that can be read"):
        source("nobody://bucket")


def test_bytes_that_are_no_image_are_named(shards: Path, tmp_path: Path) -> None:
    for name in ("index.json", "shard-000000.tar"):
        (tmp_path / name).write_bytes((shards / name).read_bytes())
    data = bytearray((tmp_path / "shard-000000.tar").read_bytes())
    data[512:560] = bytes(48)
    (tmp_path / "shard-000000.tar").write_bytes(data)
    with pytest.raises(DataError, match=r"/0 in .*shard-000000\.tar: is not an image"):
        source(tmp_path).frame(0)
    assert io.BytesIO(data).read(8) == b"00000000"

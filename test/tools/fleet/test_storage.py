"""fsspec's memory stands in for a bucket: a file system that is reached through the same interface as S3."""

from __future__ import annotations

from pathlib import Path

import pytest

from space_clip_ros.errors import DataError
from space_clip_ros.tools.fleet.storage import Storage, is_url, join

pytest.importorskip("fsspec")


def test_an_address_is_told_from_a_path() -> None:
    assert is_url("s3://bucket/bags") and is_url("memory://bags")
    assert not is_url("bags") and not is_url("/data/bags") and not is_url("C:/bags")
    assert join("s3://bucket/", "a/b", "c") == "s3://bucket/a/b/c"
    assert join("/data/", "a/b") == "/data/a/b"


def test_a_folder_goes_there_and_back(tmp_path: Path, fleet: Path) -> None:
    place = f"memory://{tmp_path.name}/first"
    storage = Storage(place)
    assert not storage.exists(join(place, "metadata.yaml"))
    storage.put(fleet / "monday" / "first", place)
    assert storage.exists(join(place, "metadata.yaml"))
    assert storage.files() == [join(place, "first.mcap"), join(place, "metadata.yaml")]
    storage.fetch(place, tmp_path / "back")
    for name in ("first.mcap", "metadata.yaml"):
        assert (tmp_path / "back" / name).read_bytes() == (fleet / "monday" / "first" / name).read_bytes()


def test_a_single_file_is_fetched_as_itself(tmp_path: Path, fleet: Path) -> None:
    place = f"memory://{tmp_path.name}/one"
    Storage(place).put(fleet / "tuesday", place)
    file = join(place, "tuesday.mcap")
    Storage(file).fetch(file, tmp_path / "tuesday.mcap")
    assert (tmp_path / "tuesday.mcap").read_bytes() == (fleet / "tuesday" / "tuesday.mcap").read_bytes()


def test_small_files_are_read_and_written(tmp_path: Path) -> None:
    place = f"memory://{tmp_path.name}/out"
    storage = Storage(place)
    assert storage.read(join(place, "fleet.json")) is None
    storage.write(join(place, "fleet.json"), b"{}")
    assert storage.read(join(place, "fleet.json")) == b"{}"


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"memory://nowhere-.*: has no files"):
        Storage(f"memory://nowhere-{tmp_path.name}").files()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match="cannot be read or written"):
        Storage(f"file://{tmp_path}").write(f"file://{tmp_path}/file/below", b"")

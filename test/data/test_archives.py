from __future__ import annotations

import shutil
import stat
import zipfile
from pathlib import Path

import pytest

from space_clip_ros.data import http_download
from space_clip_ros.data.archives import unpack
from space_clip_ros.errors import DownloadError


def make(path: Path, files: dict[str, bytes], mode: int = 0, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo("placeholder")
            # ZipInfo's constructor would clean up a name that an attacker wrote.
            info.filename = info.orig_filename = name
            info.external_attr = mode << 16
            info.compress_type = method
            archive.writestr(info, data)
    return path


def test_files_come_out_as_they_went_in(tmp_path: Path) -> None:
    files = {"day/drive/a.txt": b"a", "day/b.bin": bytes(1000), "c": b""}
    archive = make(tmp_path / "z.zip", files)
    seen: list[tuple[int, int]] = []
    assert unpack(archive, tmp_path / "out", progress=lambda *counts: seen.append(counts)) == 3
    for name, data in files.items():
        assert (tmp_path / "out" / name).read_bytes() == data
    assert seen[-1] == (1001, 1001)
    assert sorted(path.name for path in (tmp_path / "out").rglob("*") if path.is_file()) == ["a.txt", "b.bin", "c"]


def test_skipped_paths_are_not_unpacked(tmp_path: Path) -> None:
    archive = make(tmp_path / "z.zip", {"d/image_00/x": b"1", "d/image_02/x": b"2", "image_00/y": b"3"})
    assert unpack(archive, tmp_path / "out", ("/image_00/",)) == 1
    assert [path.name for path in (tmp_path / "out" / "d").iterdir()] == ["image_02"]


def test_folders_above_a_file_are_left_out(tmp_path: Path) -> None:
    archive = make(tmp_path / "z.zip", {"deep/down/hall/a": b"1", "hall/b": b"2", "c": b"3"})
    assert unpack(archive, tmp_path / "out", levels=1) == 3
    names = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert names == {"hall/a", "hall/b", "c"}
    clashing = make(tmp_path / "y.zip", {"deep/hall/a": b"1", "hall/a": b"2"})
    with pytest.raises(DownloadError, match="several files of the same name in 1 folders; nothing was unpacked"):
        unpack(clashing, tmp_path / "other", levels=1)
    assert not (tmp_path / "other").exists()


def test_unpacking_again_keeps_complete_files_and_repairs_broken_ones(tmp_path: Path) -> None:
    archive = make(tmp_path / "z.zip", {"a": b"12345", "b": b"67890"})
    unpack(archive, tmp_path)
    (tmp_path / "b").write_bytes(b"67")
    before = (tmp_path / "a").stat().st_mtime_ns
    unpack(archive, tmp_path)
    assert (tmp_path / "b").read_bytes() == b"67890"
    assert (tmp_path / "a").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    "name", ["../evil", "a/../../evil", "/evil", "//evil", "..\\evil", "a\\..\\evil", "C:/evil", "C:evil", "a\0/../b"]
)
def test_paths_that_lead_out_are_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    archive = make(tmp_path / "z.zip", {"good": b"1", name: b"2"})
    with pytest.raises(DownloadError, match="leads out"):
        unpack(archive, tmp_path / "deep" / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["z.zip"]


@pytest.mark.parametrize("mode", [stat.S_IFLNK | 0o777, stat.S_IFIFO | 0o600, stat.S_IFCHR | 0o600])
def test_links_and_special_files_are_refused(tmp_path: Path, mode: int) -> None:
    archive = make(tmp_path / "z.zip", {"link": b"/etc/passwd"}, mode)
    with pytest.raises(DownloadError, match="link or special"):
        unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_link_on_the_disk_is_not_followed_out(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "day").symlink_to(tmp_path / "elsewhere")
    archive = make(tmp_path / "z.zip", {"day/file": b"1"})
    with pytest.raises(DownloadError, match="is a link out of"):
        unpack(archive, tmp_path / "out")
    assert not list((tmp_path / "elsewhere").iterdir())


def test_link_in_place_of_a_file_is_replaced_not_written_through(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "file").symlink_to(victim)
    unpack(make(tmp_path / "z.zip", {"file": b"overlong"}), tmp_path / "out")
    assert victim.read_bytes() == b"precious"
    assert not (tmp_path / "out" / "file").is_symlink()


def test_a_zip_bomb_is_refused(tmp_path: Path) -> None:
    archive = make(tmp_path / "z.zip", {"zeros": bytes(40 << 20)})
    with pytest.raises(DownloadError, match="which cannot be true"):
        unpack(archive, tmp_path / "out")


def test_damaged_archives_are_named(tmp_path: Path) -> None:
    archive = make(tmp_path / "z.zip", {"a": bytes(range(256)) * 50}, method=zipfile.ZIP_STORED)
    data = bytearray(archive.read_bytes())
    data[5000] ^= 1
    archive.write_bytes(data)
    with pytest.raises(DownloadError, match="damaged"):
        unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out" / "a").exists()
    archive.write_bytes(b"PK rubbish")
    with pytest.raises(DownloadError, match="damaged"):
        unpack(archive, tmp_path / "out")


def test_encrypted_archive_is_refused(tmp_path: Path) -> None:
    archive = make(tmp_path / "z.zip", {"a": b"1234"}, method=zipfile.ZIP_STORED)
    data = bytearray(archive.read_bytes())
    data[data.index(b"PK\1\2") + 8] |= 1
    archive.write_bytes(data)
    with pytest.raises(DownloadError, match="encrypted"):
        unpack(archive, tmp_path / "out")


def test_free_disk_space_is_checked_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = make(tmp_path / "z.zip", {"a": b"1234"})
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(http_download.shutil, "disk_usage", lambda folder: usage._replace(free=0))
    with pytest.raises(DownloadError, match=r"unpacking z\.zip needs"):
        unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out" / "a").exists()


def test_a_file_in_place_of_the_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(DownloadError, match="cannot be unpacked"):
        unpack(make(tmp_path / "z.zip", {"a": b"1"}), tmp_path / "out")


def test_a_folder_in_place_of_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "out" / "a").mkdir(parents=True)
    with pytest.raises(DownloadError, match=r"out/a: cannot be written"):
        unpack(make(tmp_path / "z.zip", {"a": b"1"}), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a"]

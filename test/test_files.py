"""Files written whole with the umask's mode, and the shared files that are found where the package is installed."""

from __future__ import annotations

import json
import os
import site
import stat
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from space_clip_ros.errors import ConfigError, DataError, ModelError
from space_clip_ros.files import (
    check_output_files,
    check_output_folder,
    file_sha256,
    made_folder,
    reading,
    refuse_lfs_pointer,
    share_folders,
    shared_file,
    write_json,
    write_whole,
    written_whole,
)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mask", [0o022, 0o027, 0o077])
def test_a_file_gets_the_mode_that_the_umask_gives(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        with written_whole(tmp_path / "model.safetensors") as draft:
            draft.touch(mode=0o600)
            draft.write_bytes(b"weights")
    finally:
        os.umask(before)
    assert mode(tmp_path / "model.safetensors") == 0o666 & ~mask


def test_a_failed_block_leaves_the_old_file_and_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "depth.bin"
    write_whole(path, b"old")
    with pytest.raises(RuntimeError, match="interrupted"), written_whole(path) as draft:
        draft.write_bytes(b"ne")
        raise RuntimeError("interrupted")
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_a_draft_keeps_the_suffix_for_libraries_that_look_at_it(tmp_path: Path) -> None:
    with written_whole(tmp_path / "model.onnx") as draft:
        assert draft.suffix == ".onnx"
        draft.write_bytes(b"graph")
    assert (tmp_path / "model.onnx").read_bytes() == b"graph"


def test_a_name_may_be_as_long_as_the_system_allows(tmp_path: Path) -> None:
    path = tmp_path / f"{'é' * 120}.onnx"
    write_whole(path, b"whole")
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_path_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match=r"file/depth\.bin: cannot be written \(.+\)"):
        write_whole(tmp_path / "file" / "depth.bin", b"")


@pytest.fixture
def closed_folder() -> Iterator[Path]:
    """A folder that may be read only, for a user to whom permissions apply."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o555)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        yield Path(name)
        os.seteuid(user)
        Path(name).chmod(0o755)


def test_a_folder_that_cannot_be_written_to_is_found_before_anything_is_made(closed_folder: Path) -> None:
    with pytest.raises(DataError, match=r": this folder cannot be written to; give another folder"):
        made_folder(closed_folder)
    with pytest.raises(
        DataError, match=r"below: this folder cannot be made \(Permission denied\); give another folder"
    ):
        made_folder(closed_folder / "below")


def test_a_folder_is_made_with_those_above_it(tmp_path: Path) -> None:
    assert made_folder(tmp_path / "a" / "b").is_dir()
    assert made_folder(tmp_path / "a" / "b") == tmp_path / "a" / "b"


def test_a_folder_that_could_not_be_made_is_refused(closed_folder: Path) -> None:
    for place in (closed_folder / "depth", closed_folder / "below" / "depth"):
        message = rf"depth: cannot be written \(Permission denied\); give another place, or check {closed_folder}$"
        with pytest.raises(DataError, match=message):
            check_output_folder(place)


def test_files_to_write_are_checked_before_there_is_anything_to_write(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    check_output_files(None, tmp_path / "a" / "b" / "depth.json", tmp_path / "file")
    with pytest.raises(DataError, match=r"file/below/depth\.json: cannot be written \(Not a directory\)"):
        check_output_files(None, tmp_path / "file" / "below" / "depth.json")
    with pytest.raises(DataError, match="is a folder, and a file is to be written; give a file's name in it"):
        check_output_files(tmp_path)
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_a_checksum_is_that_of_the_bytes(tmp_path: Path) -> None:
    write_whole(tmp_path / "abc", b"abc")
    assert file_sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_two_threads_may_write_one_file(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    writers = [threading.Thread(target=write_whole, args=(path, bytes([number]) * 1000)) for number in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(set(path.read_bytes())) == 1
    assert path.stat().st_size == 1000
    assert list(tmp_path.iterdir()) == [path]


def test_shared_files_are_found_in_the_source_tree_and_missing_ones_named(project_root: Path) -> None:
    assert shared_file("config/fastdds.xml").read_bytes() == (project_root / "config/fastdds.xml").read_bytes()
    with pytest.raises(DataError, match=r"config/none\.xml: not found in"):
        shared_file("config/none.xml")


def test_an_installed_package_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = tmp_path / "share" / "space_clip_ros" / "config" / "fastdds.xml"
    installed.parent.mkdir(parents=True)
    installed.write_text("<dds/>", encoding="utf-8")
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    assert shared_file("config/fastdds.xml") == installed


def test_another_package_is_searched_where_ros_installs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{tmp_path}{os.pathsep}")
    assert share_folders("sensor_msgs")[0] == tmp_path / "share" / "sensor_msgs"
    assert all(folder.name == "sensor_msgs" for folder in share_folders("sensor_msgs"))


def test_a_durable_file_is_on_the_disk_before_it_appears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, synchronised = tmp_path / "road.engine", []

    def fsync(descriptor: int) -> None:
        synchronised.append((Path(f"/proc/self/fd/{descriptor}").readlink().name, path.exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    write_whole(path, b"plan")
    assert not synchronised
    path.unlink()
    write_whole(path, b"plan", durable=True)
    (draft, before), (folder, after) = synchronised
    assert draft.endswith(".part.engine") and not before
    assert folder == tmp_path.name and after


def test_json_is_read_back(tmp_path: Path) -> None:
    for indent in (2, None):
        write_json(tmp_path / "a.json", {"b": [1, None]}, indent)
        text = (tmp_path / "a.json").read_text(encoding="utf-8")
        assert json.loads(text) == {"b": [1, None]} and text.endswith("}\n")
        assert len(text.splitlines()) == (6 if indent else 1)


def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(DataError) as found, reading(tmp_path):
        tmp_path.read_bytes()
    assert str(found.value) == f"{tmp_path}: cannot be read (Is a directory)"
    with pytest.raises(ConfigError) as found, reading("a.yaml", ConfigError, "copy it again"):
        raise OSError("the end of the file is missing")  # without a number, and so without strerror
    assert str(found.value) == "a.yaml: cannot be read (the end of the file is missing); copy it again"


def test_git_lfs_pointers_are_refused_and_other_files_are_not(tmp_path: Path) -> None:
    pointer, note = tmp_path / "road.onnx", tmp_path / "note.txt"
    pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", encoding="utf-8")
    note.write_text("version https://example.org", encoding="utf-8")
    with pytest.raises(ModelError, match=r"road\.onnx: is a Git LFS pointer, not the file itself; run `git lfs pull`"):
        refuse_lfs_pointer(pointer, ModelError)
    for other in (note, tmp_path, tmp_path / "missing"):
        refuse_lfs_pointer(other)


def test_shared_files_are_found_wherever_pip_puts_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``pip install --user``, and Debian's ``sudo pip install``, do not install below sys.prefix."""
    monkeypatch.setattr(site, "getuserbase", lambda: str(tmp_path / "user"))
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path / name))
    folders = share_folders()
    assert folders[-3:] == [
        Path(prefix, "share", "space_clip_ros") for prefix in (sys.prefix, tmp_path / "data", tmp_path / "user")
    ]

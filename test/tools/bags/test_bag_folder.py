"""Which files a bag has, and what is said where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from space_clip_ros.errors import DataError
from space_clip_ros.tools.bags.bag_folder import find_files


def touch(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"x")
    return folder


def metadata(folder: Path, text: str) -> Path:
    touch(folder, "a.mcap")
    (folder / "metadata.yaml").write_text(text, encoding="utf-8")
    return folder


def test_one_file_is_a_bag(tmp_path: Path) -> None:
    file = touch(tmp_path, "a.mcap") / "a.mcap"
    assert find_files(file).files == (file,)


def test_without_metadata_files_are_ordered_by_their_numbers(tmp_path: Path) -> None:
    folder = touch(tmp_path / "run", *(f"run_{number}.mcap" for number in range(11)), "._run_0.mcap", "notes.txt")
    assert [file.name for file in find_files(folder).files] == [f"run_{number}.mcap" for number in range(11)]


def test_a_recorder_that_dropped_its_oldest_files_leaves_a_bag(tmp_path: Path) -> None:
    folder = touch(tmp_path / "run", "run_7.db3", "run_8.db3.zstd")
    assert [file.name for file in find_files(folder).files] == ["run_7.db3", "run_8.db3.zstd"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("run_0.mcap", "run_2.mcap"), r"lacks files of its recording \(run_0.mcap, run_2.mcap\); copy them there"),
        (("a.mcap", "b.mcap"), r"several recordings \(a.mcap, b.mcap\); give one of these files"),
        (("run_0.mcap", "run_1.db3"), "several recordings"),
        (("run.mcap", "run.mcap.zstd"), "lacks files|several recordings"),
        (
            ("old.bag",),
            r"holds bags of ROS 1 \(old.bag\); convert it: `rosbags-convert --src .*old.bag --dst old_ros2`",
        ),
        ((), r"is not a rosbag2 folder \(no metadata.yaml, no .mcap or .db3 file\); give a rosbag2 folder"),
    ],
)
def test_a_folder_without_metadata_that_is_no_bag(tmp_path: Path, names: tuple[str, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        find_files(touch(tmp_path / "run", *names))


def test_a_folder_above_bags_lists_them(tmp_path: Path) -> None:
    for name in ("second", "first"):
        metadata(tmp_path / name, "")
    with pytest.raises(DataError, match="is a folder of bags, not a bag; bags in it: first, second"):
        find_files(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "metadata.yaml: is not valid YAML .*; correct it, or remove it: the bag can be read without it"),
        ("a: 1", "metadata.yaml: has no rosbag2_bagfile_information; correct it, or remove it"),
        ("rosbag2_bagfile_information: {version: 5}", "has no relative_file_paths"),
        (
            "rosbag2_bagfile_information: {relative_file_paths: [a.mcap], topics_with_message_count: [{}]}",
            "has a topic without name or type",
        ),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "metadata.yaml: is a Git LFS pointer"),
    ],
)
def test_metadata_that_is_none(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        find_files(metadata(tmp_path / "run", text))


def test_paths_that_lead_nowhere(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such bag; give a rosbag2 folder"):
        find_files(tmp_path / "missing")
    (tmp_path / "link").symlink_to(tmp_path / "unmounted")
    with pytest.raises(DataError, match="is a link to nothing"):
        find_files(tmp_path / "link")
    with pytest.raises(DataError, match=r"metadata.yaml: describes a bag; give its folder, .*run"):
        find_files(metadata(tmp_path / "run", "") / "metadata.yaml")

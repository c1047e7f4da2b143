from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from space_clip_ros.data.kitti_files import (
    calibration_folder,
    drive_folder,
    drive_name,
    find_drives,
    numbered_files,
    read_scan,
    read_stamps,
)
from space_clip_ros.errors import DataError

DAY = "2011_09_26"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number in (1, 5):
        (tmp_path / DAY / f"{DAY}_drive_{number:04d}_sync" / "image_02" / "data").mkdir(parents=True)
    return tmp_path


def test_a_drive_is_recognised_by_its_image_folder(root: Path) -> None:
    drive = root / DAY / f"{DAY}_drive_0001_sync"
    assert drive_folder(drive) == drive


def test_a_folder_above_drives_lists_them(root: Path) -> None:
    with pytest.raises(
        DataError, match=rf"a folder of drives, .*: {DAY}/{DAY}_drive_0001_sync, {DAY}/{DAY}_drive_0005_sync"
    ):
        drive_folder(root)
    with pytest.raises(DataError, match=rf"drives in it: {DAY}_drive_0001_sync, "):
        drive_folder(root / DAY)


def test_a_long_list_of_drives_is_cut(root: Path) -> None:
    for number in range(10, 20):
        (root / DAY / f"{DAY}_drive_{number:04d}_sync" / "image_02").mkdir(parents=True)
    with pytest.raises(DataError, match="and 4 more"):
        drive_folder(root)


def test_refuses_other_folders(root: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        drive_folder(root / "elsewhere")
    drive = root / DAY / f"{DAY}_drive_0001_sync"
    with pytest.raises(DataError, match=f"no image_02 folder; give {drive}$"):
        drive_folder(drive / "image_02" / "data")
    (root / "sequences" / "00" / "image_2").mkdir(parents=True)
    with pytest.raises(DataError, match="is of KITTI's odometry or object set, not of its raw data; give a raw drive"):
        drive_folder(root / "sequences" / "00")
    (root / "link").symlink_to(root / "unmounted")
    with pytest.raises(DataError, match="is a link to nothing"):
        drive_folder(root / "link")
    (root / DAY / f"{DAY}_drive_0007_extract" / "image_02").mkdir(parents=True)
    with pytest.raises(DataError, match="unrectified"):
        drive_folder(root / DAY / f"{DAY}_drive_0007_extract")


def test_files_are_ordered_by_number_and_others_ignored(tmp_path: Path) -> None:
    for name in ("0000000010.png", "0000000002.png", "0000000003.bin", "thumb.png", "._0000000002.png"):
        (tmp_path / name).touch()
    assert list(numbered_files(tmp_path, ".png")) == [2, 10]
    assert numbered_files(tmp_path / "missing", ".png") == {}


def test_files_without_leading_zeros_and_in_several_formats(tmp_path: Path) -> None:
    for name in ("10.JPG", "9.jpeg", "2.png", "2.jpg"):
        (tmp_path / name).touch()
    result = numbered_files(tmp_path, ".png", ".jpg", ".jpeg")
    assert [(number, path.name) for number, path in result.items()] == [(2, "2.png"), (9, "9.jpeg"), (10, "10.JPG")]


def make_drive(path: Path) -> Path:
    (path / "image_02" / "data").mkdir(parents=True)
    return path


@pytest.mark.parametrize(
    "name",
    [f"{DAY}/{DAY}_drive_0002_sync", f"{DAY}/{DAY}_drive_0002", f"{DAY}/0002", f"flat/{DAY}_drive_0002_extract"],
)
def test_a_drive_has_kitti_s_name_whatever_its_folder_is_called(tmp_path: Path, name: str) -> None:
    drive = make_drive(tmp_path / name)
    (tmp_path / "link").symlink_to(drive)
    assert drive_name(drive) == drive_name(tmp_path / "link") == f"{DAY}_drive_0002_sync"


def test_other_names_stay(tmp_path: Path) -> None:
    for name in ("garden", "0002", f"{DAY}_drive_2_sync", f"{DAY}_drive_0002_sync_copy"):
        assert drive_name(make_drive(tmp_path / name)) == name


def test_drives_are_found_wherever_they_lie_and_once(tmp_path: Path) -> None:
    day = make_drive(tmp_path / DAY / f"{DAY}_drive_0001_sync")
    flat = make_drive(tmp_path / f"{DAY}_drive_0002")
    archive = make_drive(tmp_path / f"{DAY}_drive_0003_sync" / DAY / f"{DAY}_drive_0003_sync")
    (tmp_path / "again").symlink_to(day.parent)
    make_drive(tmp_path / DAY / f"{DAY}_drive_0001_extract")
    lone = make_drive(tmp_path / DAY / f"{DAY}_drive_0004_extract")
    # Annotated depth, and folders inside a drive, are not drives.
    make_drive(tmp_path / f"{DAY}_drive_0005_sync" / "proj_depth" / "groundtruth")
    make_drive(day / "proj_depth" / "groundtruth")
    assert list(find_drives(tmp_path)) == [day, lone, flat, archive]
    assert list(find_drives(day)) == [day]


@pytest.mark.parametrize(
    "where", [DAY, f"{DAY}/{DAY}_drive_0001_sync", "2011_09_26_calib/2011_09_26", ".", "elsewhere"]
)
def test_the_calibration_is_found_beside_and_above_the_drive(tmp_path: Path, where: str) -> None:
    drive = make_drive(tmp_path / DAY / f"{DAY}_drive_0001_sync")
    folder = tmp_path / where
    if where == "elsewhere":
        # The drive is a link to one that has its calibration.
        folder = tmp_path / "disk" / DAY
        make_drive(folder / drive.name)
        drive = tmp_path / "link"
        drive.symlink_to(folder / f"{DAY}_drive_0001_sync")
    elif where == ".":
        drive = make_drive(tmp_path / f"{DAY}_drive_0001_sync")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "calib_cam_to_cam.txt").touch()
    assert calibration_folder(drive).resolve() == folder.resolve()


def test_the_day_s_own_calibration_goes_first(tmp_path: Path) -> None:
    drive = make_drive(tmp_path / f"{DAY}_drive_0001_sync")
    (tmp_path / DAY).mkdir()
    for folder in (tmp_path, tmp_path / DAY):
        (folder / "calib_cam_to_cam.txt").touch()
    assert calibration_folder(drive) == tmp_path / DAY


def test_one_calibration_beside_drives_of_several_days_is_refused(tmp_path: Path) -> None:
    drive = make_drive(tmp_path / f"{DAY}_drive_0001_sync")
    make_drive(tmp_path / "2011_09_28_drive_0001_sync")
    (tmp_path / "calib_cam_to_cam.txt").touch()
    with pytest.raises(DataError, match=r"belongs to one day, .* are of 2011_09_26, 2011_09_28; put each"):
        calibration_folder(drive)


def test_stamps_are_exact_to_the_nanosecond_and_found_by_frame_number(tmp_path: Path) -> None:
    path = tmp_path / "timestamps.txt"
    path.write_text("1970-01-01 00:00:00.000000001\n\n1970-01-02 00:00:01.123456789\n")
    stamps = read_stamps(path, [0, 2])
    assert stamps.dtype == np.int64
    assert stamps.tolist() == [1, 86_401_123_456_789]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2011-09-26 13:00:00.0\n", "has 1 lines, but frame 1 needs line 2"),
        ("2011-09-26 13:00:00.0\nnoon\n", "line 2 is not a time: 'noon'"),
        ("2011-09-26 13:00:00.0\n\n", "line 2, the time of frame 1, is empty"),
    ],
)
def test_says_which_stamp_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "timestamps.txt"
    path.write_text(text)
    with pytest.raises(DataError, match=f"timestamps.txt: {message}"):
        read_stamps(path, [0, 1])


def test_refuses_missing_and_binary_stamps(tmp_path: Path) -> None:
    path = tmp_path / "timestamps.txt"
    with pytest.raises(DataError, match="cannot be read"):
        read_stamps(path, [0])
    path.write_bytes(b"\xff\xfe\x80")
    with pytest.raises(DataError, match="not text"):
        read_stamps(path, [0])


def test_scans_read_back(tmp_path: Path) -> None:
    scan = np.arange(12, dtype="<f4").reshape(3, 4)
    (tmp_path / "scan.bin").write_bytes(scan.tobytes())
    read = read_scan(tmp_path / "scan.bin")
    assert read.dtype == np.float32 and read.flags.writeable
    np.testing.assert_array_equal(read, scan)


def test_refuses_scans_cut_short_empty_or_missing(tmp_path: Path) -> None:
    path = tmp_path / "scan.bin"
    for size in (0, 15, 33):
        path.write_bytes(bytes(size))
        with pytest.raises(DataError, match=f"scan.bin: {size} bytes are not whole points"):
            read_scan(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_scan(tmp_path / "missing.bin")

"""Which drives belong to a split, whatever their folders are called."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from space_clip_ros.data.kitti_raw_frames import FARTHEST_M, open_raw_drives
from space_clip_ros.errors import DataError
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.synthetic.drive import write_drive
from space_clip_ros.training_config import SourceConfig

DAY = "2011_09_26"


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    camera = PinholeCamera(156, 48, fx=90.0, fy=90.0, cx=76.0, cy=21.0)
    return write_drive(tmp_path_factory.mktemp("drive"), frames=1, seed=3, camera=camera)


def labels(root: Path, split: str) -> list[str]:
    return [frames.label(0) for frames in open_raw_drives(SourceConfig(path=str(root), split=split))]


def test_a_frame_has_the_drive_s_rectified_camera_and_the_drive_as_its_scene(rendered: Path) -> None:
    (frames,) = open_raw_drives(SourceConfig(path=str(rendered)))
    camera = frames.frame(0).camera
    assert camera is not None and (camera.width, camera.height) == (156, 48)
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == pytest.approx((90.0, 90.0, 76.0, 21.0))
    assert frames.scene(0) == rendered.name


@pytest.mark.parametrize("name", [f"{DAY}_drive_0002_sync", f"{DAY}_drive_0002", "0002", "link"])
def test_a_test_drive_is_never_trained_on(rendered: Path, tmp_path: Path, name: str) -> None:
    """Without ``_sync`` in its name, one once counted as a drive to train on."""
    day = tmp_path / "kitti" / DAY
    shutil.copytree(rendered.parent, day)
    target = day / name if name != "link" else tmp_path / "disk" / f"{DAY}_drive_0002_sync"
    target.parent.mkdir(exist_ok=True)
    (day / rendered.name).rename(target)
    if name == "link":
        (day / "town").symlink_to(target)
    assert labels(tmp_path / "kitti", "eigen_test") == [f"{DAY}_drive_0002_sync/0000000000"]
    assert labels(tmp_path / "kitti", "all") == [f"{DAY}_drive_0002_sync/0000000000"]
    with pytest.raises(DataError, match=r"holds no KITTI raw drive .* of split eigen_train"):
        labels(tmp_path / "kitti", "eigen_train")


def test_the_split_of_a_drive_without_kitti_s_name_is_not_guessed(rendered: Path, tmp_path: Path) -> None:
    shutil.copytree(rendered.parent, tmp_path / DAY)
    (tmp_path / DAY / rendered.name).rename(tmp_path / DAY / "town")
    assert labels(tmp_path, "all") == ["town/0000000000"]
    with pytest.raises(DataError, match=r"town: is not named like a KITTI drive, .* belongs to split eigen_train"):
        labels(tmp_path, "eigen_train")


def test_a_folder_that_does_not_exist_is_not_called_empty(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"missing: no such folder; .*download kitti"):
        labels(tmp_path / "missing", "all")


def test_drives_at_different_depths_are_all_found(rendered: Path, tmp_path: Path) -> None:
    """The first depth with a drive once hid the others."""
    shutil.copytree(rendered.parent, tmp_path / DAY)
    (tmp_path / DAY / rendered.name).rename(tmp_path / DAY / f"{DAY}_drive_0001_sync")
    shutil.copytree(tmp_path / DAY / f"{DAY}_drive_0001_sync", tmp_path / f"{DAY}_drive_0005_sync")
    assert [label[:26] for label in labels(tmp_path, "all")] == [f"{DAY}_drive_0001_sync", f"{DAY}_drive_0005_sync"]


def test_the_sky_of_a_synthetic_drive_is_far(rendered: Path) -> None:
    plain, far = (
        open_raw_drives(SourceConfig(path=str(rendered), unknown=unknown))[0].frame(0).depth
        for unknown in ("ignore", "far")
    )
    sky = np.isnan(plain)
    assert sky.any()
    assert (far[sky] == FARTHEST_M).all()
    np.testing.assert_array_equal(far[~sky], plain[~sky])


def test_a_published_list_takes_its_own_frames_only(
    rendered: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of drive 0002, every third frame from 0 is in the test list; of drive 0001, none."""
    day = tmp_path / "kitti" / DAY
    shutil.copytree(rendered.parent, day)
    shutil.copytree(day / rendered.name, day / f"{DAY}_drive_0001_sync")
    drive = (day / rendered.name).rename(day / f"{DAY}_drive_0002_sync")
    for number in range(1, 7):
        for name in ("image_02/data/{:010d}.png", "velodyne_points/data/{:010d}.bin"):
            shutil.copy(drive / name.format(0), drive / name.format(number))
    (frames,) = open_raw_drives(SourceConfig(path=str(tmp_path), file_list="eigen_test", truth="scan"))
    assert [frames.label(index)[-3:] for index in range(len(frames))] == ["000", "003", "006"]
    (drive / "velodyne_points" / "data" / "0000000003.bin").unlink()
    open_raw_drives(SourceConfig(path=str(tmp_path), file_list="eigen_test", truth="scan"))
    no_picture = f"{tmp_path}: 22 of the 25 frames of eigen_test in these drives have no picture"
    drives = f"{tmp_path}: 27 of 28 drives of eigen_test are missing"
    no_scan = f"{tmp_path}: 1 of the 25 frames of eigen_test in these drives have no depth (scan)"
    assert caplog.messages == [drives, no_picture, drives, no_picture, no_scan]
    shutil.rmtree(drive)
    with pytest.raises(DataError, match="of eigen_test"):
        open_raw_drives(SourceConfig(path=str(tmp_path), file_list="eigen_test"))

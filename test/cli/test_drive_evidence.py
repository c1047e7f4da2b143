"""Frames of a drive for calibration and, apart from them, for judging."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from space_clip_ros.cli.drive_evidence import drive_evidence
from space_clip_ros.data.kitti import KittiDrive
from space_clip_ros.errors import DataError
from space_clip_ros.model_config import ModelConfig


def drive_of(source: Path, folder: Path, frames: int) -> Path:
    """The first frames of a drive, and its calibration, as links."""
    drive = folder / source.parent.name / source.name
    for part in ("image_02/data", "velodyne_points/data"):
        (drive / part).mkdir(parents=True)
        for file in sorted((source / part).iterdir())[:frames]:
            (drive / part / file.name).symlink_to(file)
    stamps = (source / "image_02/timestamps.txt").read_text().splitlines()
    (drive / "image_02/timestamps.txt").write_text("\n".join(stamps[:frames]) + "\n")
    for file in source.parent.glob("calib_*.txt"):
        (drive.parent / file.name).symlink_to(file)
    return drive


def test_the_last_sixth_is_held_out(kitti_drive_dir: Path, tmp_path: Path) -> None:
    path = drive_of(kitti_drive_dir, tmp_path, 7)
    evidence = drive_evidence(path, ModelConfig())
    drive = KittiDrive(path)
    assert evidence.source == f"{path.name}, 6 + 1 frames"
    assert [image.tobytes() for image in evidence.calibration] == [drive.image(i).tobytes() for i in range(6)]
    assert [image.tobytes() for image in evidence.held_out] == [drive.image(6).tobytes()]


def test_abs_rel_is_against_the_drives_truth(kitti_drive_dir: Path, tmp_path: Path) -> None:
    path = drive_of(kitti_drive_dir, tmp_path, 6)
    evidence = drive_evidence(path, ModelConfig())
    truth = KittiDrive(path).ground_truth(5)
    assert evidence.abs_rel(lambda image: np.nan_to_num(truth, nan=1.0) * np.float32(1.1)) == pytest.approx(0.1, 0.01)


def test_too_few_frames(kitti_drive_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has 5 frames with depth; an export needs at least 6"):
        drive_evidence(drive_of(kitti_drive_dir, tmp_path, 5), ModelConfig())


def test_no_drive(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(DataError, match=r"holds no KITTI raw drive .*; give a drive's folder"):
        drive_evidence(tmp_path, ModelConfig())

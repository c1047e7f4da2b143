from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from space_clip_ros.errors import DataError
from space_clip_ros.tools.bags.oxts import Oxts, OxtsRecord, read_imu_calibration, read_record

LINE = "49.0 8.4 116.0 0.02 0.01 1.5 " + " ".join(map(str, range(6, 25))) + " 4 9 6 6 6"


def test_a_record_is_read_by_position(tmp_path: Path) -> None:
    (tmp_path / "0.txt").write_text(LINE, encoding="utf-8")
    assert read_record(tmp_path / "0.txt") == OxtsRecord(
        49.0, 8.4, 116.0, 0.02, 0.01, 1.5, (11.0, 12.0, 13.0), (17.0, 18.0, 19.0), 23.0, 6
    )


def test_yaw_turns_from_east_to_north(full_drive: Path) -> None:
    oxts = Oxts(full_drive)
    record = oxts.record(1)
    turned = OxtsRecord(**{**record.__dict__, "yaw": math.pi / 2})
    np.testing.assert_allclose(oxts.pose(turned) @ [2, 0, 0, 1], [1, 2, 0, 1], atol=1e-6)


def test_a_drive_without_records_has_none(tiny_drive: Path) -> None:
    assert len(Oxts(tiny_drive)) == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2 3", "must be 30 finite numbers that start with a latitude, got 3"),
        (LINE.replace("116.0", "nan"), "must be 30 finite numbers"),
        (LINE.replace("49.0", "90.0"), "latitude"),
        (LINE.replace("116.0", "high"), "is not a GPS/IMU record"),
    ],
)
def test_broken_records_are_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "0.txt").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=rf"0\.txt: .*{message}"):
        read_record(tmp_path / "0.txt")


def test_missing_files_are_named(full_drive: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"0\.txt: cannot be read"):
        read_record(tmp_path / "0.txt")
    day = tmp_path / full_drive.parent.name
    shutil.copytree(full_drive.parent, day)
    (day / "calib_imu_to_velo.txt").unlink()
    with pytest.raises(DataError, match=r"calib_imu_to_velo\.txt"):
        Oxts(day / full_drive.name)


def test_an_incomplete_calibration_is_named(tmp_path: Path) -> None:
    (tmp_path / "calib_imu_to_velo.txt").write_text("R: 1 0 0\nT: 1 2 3\n", encoding="utf-8")
    with pytest.raises(DataError, match="needs R"):
        read_imu_calibration(tmp_path)

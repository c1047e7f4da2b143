from __future__ import annotations

from space_clip_ros.data.eigen_split import TEST_DRIVES, TRAIN_DRIVES, in_split


def test_the_split_has_eigen_s_28_test_drives_and_no_drive_twice():
    assert len(TEST_DRIVES) == 28 and len(TRAIN_DRIVES) == 33
    assert not TEST_DRIVES & TRAIN_DRIVES
    assert "2011_09_26_drive_0002_sync" in TEST_DRIVES and "2011_10_03_drive_0047_sync" in TEST_DRIVES


def test_every_drive_is_in_one_half():
    for drive in ("2011_09_26_drive_0002_sync", "2011_09_26_drive_0001_sync"):
        assert in_split(drive, "all")
        assert in_split(drive, "eigen_test") != in_split(drive, "eigen_train")
    assert in_split("2011_09_28_drive_0002_sync", "eigen_test")
    assert in_split("2011_09_26_drive_0001_sync", "eigen_train")

from __future__ import annotations

from space_clip_ros.data.eigen import TEST_DRIVES, belongs


def test_the_split_has_eigen_s_28_test_drives():
    assert len(TEST_DRIVES) == 28
    assert "2011_09_26_drive_0002_sync" in TEST_DRIVES and "2011_10_03_drive_0047_sync" in TEST_DRIVES


def test_every_drive_is_in_one_half():
    for drive in ("2011_09_26_drive_0002_sync", "2011_09_26_drive_0001_sync"):
        assert belongs(drive, "all")
        assert belongs(drive, "eigen_test") != belongs(drive, "eigen_train")
    assert belongs("2011_09_28_drive_0002_sync", "eigen_test")
    assert belongs("2011_09_26_drive_0001_sync", "eigen_train")

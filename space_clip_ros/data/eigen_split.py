"""The drives of KITTI raw that the Eigen split trains and tests on (Eigen et al., NeurIPS 2014)."""

from __future__ import annotations

from space_clip_ros.data.published_lists import published_frames

TRAIN_DRIVES = frozenset(published_frames("eigen_train"))
"""Drives of the training list, as the field's KITTI download lists name them."""

TEST_DRIVES = frozenset(published_frames("eigen_test"))


def in_split(drive: str, split: str) -> bool:
    """Return whether a drive (by its folder's name) belongs to ``all``, ``eigen_train`` or ``eigen_test``.

    Every drive that is not a test drive counts as a training drive, even if the training list lacks it.
    """
    return split == "all" or (drive in TEST_DRIVES) == (split == "eigen_test")

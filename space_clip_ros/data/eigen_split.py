"""The drives of KITTI raw that the Eigen split trains and tests on (Eigen et al., NeurIPS 2014)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def _names(drives: Mapping[str, Sequence[int]]) -> frozenset[str]:
    return frozenset(f"{date}_drive_{number:04d}_sync" for date, numbers in drives.items() for number in numbers)


TRAIN_DRIVES = _names(
    {
        "2011_09_26": (1, 5, 11, 14, 15, 17, 18, 19, 22, 28, 32, 35, 39, 51, 57, 60, 61, 70, 79, 87, 91, 95, 104, 113),
        "2011_09_28": (1,),
        "2011_09_29": (4, 26),
        "2011_09_30": (20, 28, 33, 34),
        "2011_10_03": (34, 42),
    }
)
"""Drives of the training list, as the field's KITTI download lists name them."""

TEST_DRIVES = _names(
    {
        "2011_09_26": (2, 9, 13, 20, 23, 27, 29, 36, 46, 48, 52, 56, 59, 64, 84, 86, 93, 96, 101, 106, 117),
        "2011_09_28": (2,),
        "2011_09_29": (71,),
        "2011_09_30": (16, 18, 27),
        "2011_10_03": (27, 47),
    }
)


def in_split(drive: str, split: str) -> bool:
    """Return whether a drive (by its folder's name) belongs to ``all``, ``eigen_train`` or ``eigen_test``.

    Every drive that is not a test drive counts as a training drive, also one that the training list lacks.
    """
    return split == "all" or (drive in TEST_DRIVES) == (split == "eigen_test")

"""The Eigen split of KITTI raw by its drives (Eigen et al. 2014), for when its file lists are not at hand."""

from __future__ import annotations

TEST_DRIVES = frozenset(
    f"{date}_drive_{number:04d}_sync"
    for date, numbers in {
        "2011_09_26": (2, 9, 13, 20, 23, 27, 29, 36, 46, 48, 52, 56, 59, 64, 84, 86, 93, 96, 101, 106, 117),
        "2011_09_28": (2,),
        "2011_09_29": (71,),
        "2011_09_30": (16, 18, 27),
        "2011_10_03": (27, 47),
    }.items()
    for number in numbers
)


def belongs(drive: str, split: str) -> bool:
    """Return whether a drive (by its folder's name) belongs to ``all``, ``eigen_train`` or ``eigen_test``."""
    return split == "all" or (drive in TEST_DRIVES) == (split == "eigen_test")

"""Converts NYU Depth V2's labelled set, one MATLAB file, to pictures, depth PNGs and file lists.

Needs h5py and SciPy, which nothing else here does: the extra ``nyu``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from space_clip_ros.data.published_lists import NYU_FOCAL
from space_clip_ros.errors import DataError
from space_clip_ros.files import write_whole
from space_clip_ros.geometry.depth import write_depth_png
from space_clip_ros.geometry.image_file import write_rgb

TEST_LIST = "nyu_labeled_test.txt"
"""List of the test frames. It is written last, so if it exists, the conversion is complete."""

# Outside this window the registered colour pictures are white; in the commonly used test pictures they are black.
_CONTENT_ROWS, _CONTENT_COLUMNS = slice(7, 474), slice(7, 632)


def convert_labeled(
    labeled: Path, splits: Path, folder: Path, progress: Callable[[int, int], None] | None = None
) -> list[Path]:
    """Write ``<folder>/<train|test>/<scene type>/rgb_NNNNN.jpg`` with ``sync_depth_NNNNN.png``, and the two lists.

    Depth is the sensor's raw depth (``rawDepths``), as the benchmark evaluates it: uint16 millimetres, 0 where unknown.

    Args:
        labeled: ``nyu_depth_v2_labeled.mat``.
        splits: ``splits.mat``, the official split.
        folder: folder to write to, created if missing.
        progress: called with (frames done, total frames).

    Returns:
        The lists ``nyu_labeled_train.txt`` and ``nyu_labeled_test.txt``, ``image depth focal`` relative to ``folder``.

    Raises:
        DataError: a file is missing or is not NYU's, or a result cannot be written.
        ImportError: h5py or SciPy is not installed.
    """
    h5py, matlab = import_readers()
    try:
        split = matlab.loadmat(splits)
        with h5py.File(labeled, "r") as data:
            return _convert(data, split, folder, progress)
    except (OSError, KeyError, ValueError, NotImplementedError) as error:
        raise DataError(f"{labeled}, {splits}", f"are not NYU Depth V2's labelled set and split ({error})") from error


def import_readers() -> tuple[ModuleType, ModuleType]:
    """Return h5py and scipy.io; call it before a long download to fail early.

    Raises:
        ImportError: one of them is not installed.
    """
    return importlib.import_module("h5py"), importlib.import_module("scipy.io")


def _convert(data: Any, split: dict[str, Any], folder: Path, progress: Callable[[int, int], None] | None) -> list[Path]:
    scenes = ["".join(map(chr, np.ravel(data[reference]))) for reference in np.ravel(data["sceneTypes"])]
    images, depths = data["images"], data["rawDepths"]
    total = len(images)
    subsets = {name: sorted(int(i) - 1 for i in np.ravel(split[f"{name}Ndxs"])) for name in ("train", "test")}
    if not total or not 0 <= min(map(min, subsets.values())) <= max(map(max, subsets.values())) < total == len(scenes):
        raise DataError(data.filename, f"holds {total} pictures, which does not fit the split")
    lists, done = [], 0
    for name, indices in subsets.items():
        lines = []
        for index in indices:
            scene = Path(name, scenes[index])
            (folder / scene).mkdir(parents=True, exist_ok=True)
            image, depth = scene / f"rgb_{index:05d}.jpg", scene / f"sync_depth_{index:05d}.png"
            _write_image(folder / image, np.transpose(images[index], (2, 1, 0)))
            write_depth_png(folder / depth, np.asarray(depths[index].T, np.float32), "mm")
            lines.append(f"{image.as_posix()} {depth.as_posix()} {NYU_FOCAL}\n")
            done += 1
            if progress is not None:
                progress(done, sum(map(len, subsets.values())))
        lists.append(folder / f"nyu_labeled_{name}.txt")
        write_whole(lists[-1], "".join(lines).encode())
    return lists


def _write_image(path: Path, rgb: np.ndarray[Any, np.dtype[np.uint8]]) -> None:
    framed = np.zeros_like(rgb)
    framed[_CONTENT_ROWS, _CONTENT_COLUMNS] = rgb[_CONTENT_ROWS, _CONTENT_COLUMNS]
    write_rgb(path, framed)

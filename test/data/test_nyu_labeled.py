from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from space_clip_ros.data.listed_frames import nyu_frames
from space_clip_ros.data.nyu_labeled import convert_labeled
from space_clip_ros.errors import DataError
from space_clip_ros.geometry.depth import read_depth_png

h5py = pytest.importorskip("h5py", reason="needs h5py and SciPy (extra 'nyu')")
matlab = pytest.importorskip("scipy.io", reason="needs h5py and SciPy (extra 'nyu')")


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A set of three pictures in the original's own layout: axes reversed, scene types by reference."""
    rng = np.random.default_rng(0)
    labeled, splits = tmp_path / "labeled.mat", tmp_path / "splits.mat"
    with h5py.File(labeled, "w") as data:
        data["images"] = np.repeat(rng.integers(60, 200, (3, 3, 1, 1), np.uint8), 640, 2).repeat(480, 3)
        depths = np.zeros((3, 640, 480), np.float32)
        depths[:, 100, 50] = (1.5, 2.5, 3.5)
        data["rawDepths"] = depths
        references = []
        for index, name in enumerate(("kitchen", "office", "kitchen")):
            data[f"names/{index}"] = np.array([[ord(letter)] for letter in name], np.uint16)
            references.append(data[f"names/{index}"].ref)
        data.create_dataset("sceneTypes", data=np.array([references], h5py.ref_dtype), dtype=h5py.ref_dtype)
    matlab.savemat(splits, {"trainNdxs": np.array([[2]]), "testNdxs": np.array([[1], [3]])})
    return labeled, splits


def test_converts_to_the_fields_layout(files: tuple[Path, Path], tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    train, test = convert_labeled(*files, tmp_path / "nyu", lambda *counts: seen.append(counts))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert train.read_text() == "train/office/rgb_00001.jpg train/office/sync_depth_00001.png 518.8579\n"
    lines = test.read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["test/kitchen/rgb_00000.jpg", "test/kitchen/rgb_00002.jpg"]
    depth = read_depth_png(tmp_path / "nyu/test/kitchen/sync_depth_00002.png")
    assert depth.shape == (480, 640)
    assert depth[50, 100] == pytest.approx(3.5)
    assert np.isfinite(depth).sum() == 1
    image = cv2.imread(str(tmp_path / "nyu/train/office/rgb_00001.jpg"))
    assert image.shape == (480, 640, 3)
    assert image[:5].max() < 12
    assert image[100:400, 100:500].min() > 45
    assert len(nyu_frames(test, tmp_path / "nyu", tmp_path / "nyu")) == 2


def test_wrong_files_are_named(files: tuple[Path, Path], tmp_path: Path) -> None:
    labeled, splits = files
    with pytest.raises(DataError, match="nowhere"):
        convert_labeled(labeled, tmp_path / "nowhere.mat", tmp_path)
    with pytest.raises(DataError, match="labelled set"):
        convert_labeled(splits, splits, tmp_path)
    matlab.savemat(splits, {"trainNdxs": np.array([[2]]), "testNdxs": np.array([[1], [30]])})
    with pytest.raises(DataError, match="does not fit the split"):
        convert_labeled(labeled, splits, tmp_path)

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from space_clip_ros.data.completeness import SourceCheck, check_source
from space_clip_ros.data.published_lists import published_frames, published_samples
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.synthetic.drive import write_drive
from space_clip_ros.training_config import SourceConfig


def check(**settings: object) -> SourceCheck:
    config = SourceConfig(**{key: str(value) if isinstance(value, Path) else value for key, value in settings.items()})
    seen: list[tuple[int, int]] = []
    result = check_source("data.train[0]", config, lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen) and all(total == result.wanted for _, total in seen)
    assert not seen or seen[-1] == (result.wanted, result.wanted)
    return result


@pytest.fixture(scope="module")
def nyu_test(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every file of NYU's test frames, as tiny pictures."""
    root = tmp_path_factory.mktemp("nyu")
    picture = cv2.imencode(".jpg", np.full((4, 6, 3), 90, np.uint8))[1].tobytes()
    depth = cv2.imencode(".png", np.full((4, 6), 1500, np.uint16))[1].tobytes()
    for sample in published_samples("nyu_test"):
        (root / sample.image).parent.mkdir(exist_ok=True)
        (root / sample.image).write_bytes(picture)
        (root / sample.depth).write_bytes(depth)
    return root


def test_a_complete_split_is_complete(nyu_test: Path) -> None:
    result = check(kind="nyu_list", path=nyu_test, file_list="nyu_test")
    assert result.complete and (result.wanted, result.present) == (654, 654)
    assert [scene.name for scene in result.scenes] == list(published_frames("nyu_test"))
    assert not any(scene.missing for scene in result.scenes)


def test_missing_and_broken_files_are_named_by_scene(nyu_test: Path, tmp_path: Path) -> None:
    root = tmp_path / "nyu"
    root.mkdir()
    for folder in nyu_test.iterdir():
        (root / folder.name).symlink_to(folder)
    (root / "foyer").unlink()
    (root / "foyer").mkdir()
    (root / "foyer" / "rgb_00350.jpg").write_bytes(b"\xff\xd8 cut short")
    result = check(kind="nyu_list", path=root, file_list="nyu_test")
    assert not result.complete and (result.wanted, result.present) == (654, 652)
    (foyer,) = (scene for scene in result.scenes if scene.missing)
    assert (foyer.name, foyer.wanted, foyer.present) == ("foyer", 2, 0)
    assert [(Path(file.path).name, file.reason) for file in foyer.missing] == [
        ("rgb_00350.jpg", "is cut off"),
        ("sync_depth_00350.png", "missing"),
        ("rgb_00351.jpg", "missing"),
        ("sync_depth_00351.png", "missing"),
    ]
    assert result.to_dict()["scenes"][6]["missing"][0]["reason"] == "is cut off"


def test_kitti_s_list_counts_the_frames_that_have_depth(tmp_path: Path) -> None:
    result = check(kind="kitti_list", path=tmp_path, file_list="eigen_test")
    assert (result.wanted, result.present, result.without_depth) == (652, 0, 45)
    first = result.scenes[0]
    assert (first.name, first.wanted, len(first.missing)) == ("2011_09_26_drive_0002_sync", 21, 42)
    assert first.missing[0] == (
        str(tmp_path / "2011_09_26/2011_09_26_drive_0002_sync/image_02/data/0000000006.png"),
        "missing",
    )


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight frames of a drive whose camera is small."""
    camera = PinholeCamera(156, 48, fx=90.0, fy=90.0, cx=76.0, cy=21.0)
    return write_drive(tmp_path_factory.mktemp("rendered"), frames=8, seed=3, camera=camera)


@pytest.mark.parametrize("settings", [{"split": "eigen_train"}, {"file_list": "eigen_train"}])
def test_raw_drives_are_counted_against_the_split(rendered: Path, tmp_path: Path, settings: dict[str, str]) -> None:
    """A drive of the split without ``_sync``: of its frames 0 to 7, 5 to 7 are of the published list."""
    drive = tmp_path / "kitti" / "2011_09_26" / "2011_09_26_drive_0001"
    shutil.copytree(rendered.parent, drive.parent)
    (drive.parent / rendered.name).rename(drive)
    (drive / "image_02" / "data" / "0000000007.png").write_bytes(b"")
    result = check(path=tmp_path / "kitti", **settings)
    assert (result.frames, result.wanted, result.present) == ("eigen_train", 23158, 2)
    first, second = result.scenes[:2]
    assert (first.name, first.wanted, first.present) == ("2011_09_26_drive_0001_sync", 98, 2)
    assert first.missing[0] == (str(drive / "image_02/data/0000000007.png"), "is empty")
    assert first.missing[1] == (str(drive / "image_02/data/0000000008.png"), "missing")
    assert len(first.missing) == 96
    absent = tmp_path / "kitti/2011_09_26/2011_09_26_drive_0005_sync"
    assert second.missing == ((str(absent), "no such folder"),)


def test_a_source_without_a_list_counts_what_it_has(rendered: Path, tmp_path: Path) -> None:
    shutil.copytree(rendered.parent, tmp_path / "day")
    result = check(path=tmp_path)
    assert result.complete and (result.frames, result.wanted) == ("", 8)
    (tmp_path / "day" / rendered.name / "image_02/data/0000000001.png").write_bytes(b"")
    assert check(path=tmp_path).present == 7


def test_a_source_that_cannot_be_opened_says_why(tmp_path: Path) -> None:
    result = check(kind="nyu_list", path=tmp_path, file_list=tmp_path / "my.txt")
    assert not result.complete and "my.txt: cannot be read as a file list" in result.problem
    assert not check(path=tmp_path / "nothing").complete

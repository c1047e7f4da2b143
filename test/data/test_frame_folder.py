from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from space_clip_ros.data.collection import FrameCollection, open_sources
from space_clip_ros.data.file_check import check_files
from space_clip_ros.data.frame_folder import FrameFolder, read_description
from space_clip_ros.data.frames import SkippedFrameError
from space_clip_ros.errors import DataError
from space_clip_ros.files import LFS_POINTER
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.settings import find_problems
from space_clip_ros.training_config import SourceConfig

CAMERA = {"width": 10, "height": 8, "fx": 9.0, "fy": 9.5, "cx": 4.5, "cy": 3.5}


def write_frame(stem: Path, metres: int = 1, suffix: str = ".png", **described: Any) -> Path:
    """Write a frame of 10 x 8 pixels whose left half has depth, and return its stem."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    depth = np.zeros((8, 10), np.uint16)
    depth[:, :5] = 256 * metres
    cv2.imwrite(f"{stem}{suffix}", np.full((8, 10, 3), 10 * metres, np.uint8))
    cv2.imwrite(f"{stem}_depth.png", depth)
    Path(f"{stem}.json").write_text(json.dumps({**CAMERA, **described}))
    return stem


def config(path: Path, **options: Any) -> SourceConfig:
    return SourceConfig(kind="frames", path=str(path), **options)


def names(folder: FrameFolder) -> list[str]:
    return [Path(folder.label(index)).name for index in range(len(folder))]


def nothing() -> None:
    pass


@pytest.fixture()
def town(tmp_path: Path) -> Path:
    """Five frames of three places, in three folders."""
    write_frame(tmp_path / "b" / "2", 3, ".jpg", scene="hill", truth="lidar")
    write_frame(tmp_path / "b" / "deep" / "10", 4, ".JPEG", scene="harbour 1", truth="stereo")
    write_frame(tmp_path / "b" / "deep" / "9", 5, scene="harbour 2", truth="stereo")
    write_frame(tmp_path / "a" / "1", 2, scene="hill", truth="lidar")
    write_frame(tmp_path / "0", 1, truth="lidar")
    (tmp_path / "README.md").write_text("where it is from")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "8.png").write_text("")
    (tmp_path / "a" / ".draft.json").write_text("")
    return tmp_path


def test_frames_of_all_folders_come_sorted_with_depth_and_camera(town):
    folder = FrameFolder(config(town, weight=2.0))
    assert folder.weight == 2.0
    assert names(folder) == ["0", "1", "2", "10", "9"]
    assert folder.label(3) == str(town / "b" / "deep" / "10")
    assert [path.name for path in folder.files(3)] == ["10.JPEG", "10_depth.png", "10.json"]
    frame = folder.frame(4)
    assert frame.image.shape == (8, 10, 3) and np.all(frame.image == 50)
    assert np.all(frame.depth[:, :5] == 5.0) and np.isnan(frame.depth[:, 5:]).all()
    assert frame.camera == PinholeCamera(10, 8, 9.0, 9.5, 4.5, 3.5)


def test_a_frame_without_a_scene_takes_its_folder_s_name(town):
    folder = FrameFolder(config(town))
    assert [folder.scene(index) for index in range(5)] == [town.name, "hill", "hill", "harbour 1", "harbour 2"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"scenes": ("hill",)}, ["1", "2"]),
        ({"scenes": ("harbour*",)}, ["10", "9"]),
        ({"without_scenes": ("hill", "harbour 2")}, ["0", "10"]),
        ({"scenes": ("h*",), "without_scenes": ("hill",)}, ["10", "9"]),
        ({"truths": ("lidar",)}, ["0", "1", "2"]),
        ({"scenes": ("hill",), "frames": (1, 9)}, ["2"]),
        ({"frames": (1, 5), "step": 2}, ["1", "10"]),
    ],
)
def test_scenes_and_kinds_of_truth_are_chosen_first_then_numbers(town, options, expected):
    assert names(FrameFolder(config(town, **options))) == expected


def test_only_stars_are_special_in_the_name_of_a_scene(tmp_path):
    write_frame(tmp_path / "1", scene="road [north]")
    write_frame(tmp_path / "2", scene="road n")
    assert names(FrameFolder(config(tmp_path, scenes=("road [north]",)))) == ["1"]
    assert names(FrameFolder(config(tmp_path, scenes=("*oad*n",)))) == ["2"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"scenes": ("hil",)},
            r"no frame has the scene 'hil' \(scenes\); there are 'harbour 1', 'harbour 2', 'hill'",
        ),
        ({"without_scenes": ("h*", "x*")}, r"no frame has the scene 'x\*' \(without_scenes\)"),
        ({"truths": ("exact",)}, r"no frame has the truth 'exact' \(truths\); there are 'lidar', 'stereo'"),
        ({"without_scenes": ("*",)}, "none of its 5 frames is left"),
        ({"frames": (5, 9)}, "none of its 5 frames is left; check scenes"),
    ],
)
def test_unknown_names_and_an_empty_choice_are_errors(town, options, message):
    with pytest.raises(DataError, match=message):
        FrameFolder(config(town, **options))


def test_a_long_list_of_scenes_is_cut(tmp_path):
    for number in range(45):
        write_frame(tmp_path / str(number), scene=f"place {number:02d}")
    with pytest.raises(DataError, match=r"there are 'place 00'.* 'place 39' and 5 more"):
        FrameFolder(config(tmp_path, scenes=("nowhere",)))


def test_a_missing_or_empty_folder(tmp_path):
    with pytest.raises(DataError, match=r"absent: no such folder; give a folder with NAME\.png"):
        FrameFolder(config(tmp_path / "absent"))
    with pytest.raises(DataError, match="holds no frames; a frame is NAME"):
        FrameFolder(config(tmp_path))


def test_the_options_are_only_for_this_kind():
    problems = find_problems(SourceConfig, {"path": "x", "scenes": ["a"], "truths": ["lidar"]})
    assert problems == [f"{name}: not for kind kitti_raw, only for frames" for name in ("scenes", "truths")]


def test_a_folder_that_links_reach_twice_is_read_once(tmp_path):
    write_frame(tmp_path / "a" / "1")
    (tmp_path / "a" / "around").symlink_to(tmp_path / "a")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert names(FrameFolder(config(tmp_path))) == ["1"]
    assert names(FrameFolder(config(tmp_path / "b"))) == ["1"]


def rewrite(changes: dict[str, Any]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        described = {**CAMERA, **changes}
        kept = {key: value for key, value in described.items() if value is not None}
        (folder / "1.json").write_text(json.dumps(kept))

    return damage


def write_image(name: str, image: np.ndarray) -> Callable[[Path], None]:
    return lambda folder: cv2.imwrite(str(folder / name), image) and None


BROKEN_FILES = [
    (lambda folder: (folder / "1.json").unlink(), r"1\.png: has no 1\.json beside it; write its width, height"),
    (lambda folder: (folder / "1.png").unlink(), r"1: has no picture \(1\.png or \.jpg\) for 1_depth\.png, 1\.json"),
    (lambda folder: (folder / "1_depth.png").unlink(), r"1\.png: has no depth \(1_depth\.png\) beside it; add it"),
    (write_image("1.jpg", np.zeros((8, 10, 3), np.uint8)), r"1: has 2 pictures \(1\.jpg, 1\.png, .*\); keep one"),
    (lambda folder: (folder / "1.json").write_text("{"), r"1\.json: is not valid JSON \(Expecting"),
    (lambda folder: (folder / "1.json").write_bytes(b"\xff\xfe"), r"1\.json: is not valid JSON"),
    (lambda folder: (folder / "1.json").write_bytes(LFS_POINTER), r"1\.json: is a Git LFS pointer"),
    (lambda folder: (folder / "1.json").write_text("[1]"), r"must hold an object with width, .*, not list"),
    (rewrite({"fx": None}), r"1\.json: has no 'fx'; the camera needs width, height, fx, fy, cx and cy"),
    (rewrite({"fx": "9"}), r"1\.json: 'fx' must be a finite number of pixels, got '9'"),
    (rewrite({"cy": True}), r"'cy' must be a finite number of pixels, got True"),
    (rewrite({"width": 10**400}), r"'width' must be a finite number of pixels, got 1000"),
    (rewrite({"cx": float("nan")}), r"'cx' must be a finite number of pixels, got nan"),
    (rewrite({"fy": 0}), r"1\.json: focal lengths must be above 0 pixels, got fx=9, fy=0"),
    (rewrite({"width": 0}), r"'width' must be a whole number of pixels above 0, got 0"),
    (rewrite({"height": 8.5}), r"'height' must be a whole number of pixels above 0, got 8\.5"),
    (rewrite({"scene": 3}), r"'scene' must be text, got 3"),
]


@pytest.mark.parametrize(("damage", "message"), BROKEN_FILES)
def test_a_frame_with_a_missing_file_or_a_bad_description_is_found_before_training(tmp_path, damage, message):
    write_frame(tmp_path / "0", 7, scene="mine")
    write_frame(tmp_path / "1", scene="theirs")
    damage(tmp_path)
    frames = FrameCollection(open_sources([config(tmp_path)]))
    with pytest.raises(DataError, match=message):
        _ = frames[1]
    with pytest.raises(DataError, match=rf"1 of 2 frames cannot be used, the first: .*{message}.*skip_broken=true"):
        check_files(frames, False, nothing, print)
    lines: list[str] = []
    usable = check_files(frames, True, nothing, lines.append)
    assert len(usable) == 1 and usable[0].depth[0, 0] == 7.0
    assert len(lines) == 1 and "skipped 1 of 2 frames" in lines[0]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (rewrite({"width": 11}), r"1\.png: is 10 x 8 pixels, but 1\.json says 11 x 8; picture, depth and camera must"),
        (write_image("1_depth.png", np.ones((8, 9), np.uint16)), r"1_depth\.png: is 9 x 8 pixels, but 1\.json says 10"),
        (write_image("1_depth.png", np.ones((8, 10), np.uint8)), "one 16-bit channel, this one has 1 of uint8"),
        (write_image("1_depth.png", np.ones((8, 10, 3), np.uint16)), "one 16-bit channel, this one has 3 of uint16"),
    ],
)
def test_pictures_that_do_not_fit_are_errors_when_they_are_read(tmp_path, caplog, damage, message):
    write_frame(tmp_path / "0", 7)
    write_frame(tmp_path / "1")
    damage(tmp_path)
    with pytest.raises(DataError, match=message):
        _ = FrameCollection(open_sources([config(tmp_path)]))[1]
    with caplog.at_level(logging.WARNING), pytest.raises(SkippedFrameError, match=message):
        _ = FrameCollection(open_sources([config(tmp_path)]), skip_broken=True)[1]
    assert "skipped" in caplog.text


def test_a_frame_whose_scene_cannot_be_read_is_reported_whatever_was_chosen(tmp_path):
    write_frame(tmp_path / "0", scene="mine")
    write_frame(tmp_path / "1", scene="theirs")
    (tmp_path / "1.json").unlink()
    for options in ({"scenes": ("mine",)}, {"without_scenes": ("mine",)}):
        with pytest.raises(DataError, match=r"1\.png: has no 1\.json"):
            check_files(FrameCollection(open_sources([config(tmp_path, **options)])), False, nothing, print)


def test_the_camera_keeps_the_size_of_its_frame(town):
    whole = PinholeCamera(10, 8, 9.0, 9.5, 4.5, 3.5)
    frames = FrameCollection(open_sources([config(town)]), resolution=(4, 5))
    assert frames[0].image.shape == (4, 5, 3) and frames[0].camera == whole.resized(5, 4)
    frames.keep_in_memory(nothing)
    assert frames[0].camera == whole.resized(5, 4) and frames[3].depth[0, 0] == 4.0
    assert frames.scene(1) == "hill"


def test_a_description_says_what_a_frame_is(tmp_path):
    write_frame(tmp_path / "1", scene=" hill ", truth="lidar", dataset="ours")
    described = read_description(tmp_path / "1.json")
    assert described.camera.fx == 9.0
    assert (described.scene, described.truth, described.dataset) == ("hill", "lidar", "ours")
    with pytest.raises(DataError, match=r"2\.json: cannot be read \(No such file"):
        read_description(tmp_path / "2.json")


def test_real_frames_are_complete_and_have_their_cameras(shared_dir):
    real = shared_dir / "real_frames"
    if not real.is_dir():
        pytest.skip(f"needs the real frames in {real}")
    frames = FrameCollection(open_sources([config(real)]))
    assert len(frames) >= 100
    check_files(frames, False, nothing, print)
    picked = FrameCollection(open_sources([config(real / "nuscenes", scenes=("*CAM_FRONT",))]))
    frame = picked[0]
    assert len(picked) == 1 and frame.camera is not None
    assert frame.image.shape == (900, 1600, 3) and frame.camera.fx == pytest.approx(1266.4, abs=0.1)
    known = frame.depth[~np.isnan(frame.depth)]
    assert known.size > 1000 and 1.0 < known.min() < known.max() < 256.0

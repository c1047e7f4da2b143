from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from space_clip_ros.data.collection import FrameCollection, open_sources
from space_clip_ros.data.file_check import check_files, find_broken_frames
from space_clip_ros.data.frames import SkippedFrameError
from space_clip_ros.data.kitti_raw_frames import find_drives
from space_clip_ros.errors import DataError
from space_clip_ros.settings import find_problems
from space_clip_ros.synthetic.drive import KITTI_CAMERA, write_drive
from space_clip_ros.training_config import SourceConfig

SMALL = KITTI_CAMERA.resized(310, 94)


def listed(folder: Path, count: int = 4) -> SourceConfig:
    for number in range(count):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((8, 10, 3), 40 * number, np.uint8))
        cv2.imwrite(str(folder / f"{number}_d.png"), np.full((8, 10), 256 * (number + 1), np.uint16))
    (folder / "list.txt").write_text("".join(f"{number}.png {number}_d.png 1\n" for number in range(count)))
    return SourceConfig(kind="kitti_list", path=str(folder), file_list=str(folder / "list.txt"))


def nothing() -> None:
    pass


def test_complete_files_pass(tmp_path):
    frames = FrameCollection(open_sources([listed(tmp_path)]))
    assert find_broken_frames(frames, nothing) == []
    assert check_files(frames, False, nothing, print) is frames


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: path.unlink(), "cannot be read"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_bytes(path.read_bytes()[:-20]), "is cut off"),
        (lambda path: path.write_bytes(b"GIF89a" + path.read_bytes()), r"is not the \.png file its name says"),
    ],
)
def test_a_broken_file_is_named_with_its_line_before_training(tmp_path, damage, reason):
    frames = FrameCollection(open_sources([listed(tmp_path)]))
    damage(tmp_path / "2.png")
    message = rf"1 of 4 frames cannot be used, the first: .*list\.txt, line 3 .*2\.png: {reason}.*skip_broken=true"
    with pytest.raises(DataError, match=message):
        check_files(frames, False, nothing, print)


def test_broken_frames_are_skipped_and_counted_if_asked(tmp_path):
    frames = FrameCollection(open_sources([listed(tmp_path)]))
    (tmp_path / "1_d.png").unlink()
    lines: list[str] = []
    usable = check_files(frames, True, nothing, lines.append)
    assert len(usable) == 3 and len(lines) == 1 and "skipped 1 of 4 frames" in lines[0]
    assert [int(usable[index].depth[0, 0]) for index in range(3)] == [1, 3, 4]


def test_not_a_single_usable_frame(tmp_path):
    frames = FrameCollection(open_sources([listed(tmp_path, 1)]))
    (tmp_path / "0.png").unlink()
    with pytest.raises(DataError, match="1 of 1 frames cannot be used"):
        check_files(frames, True, nothing, print)


def test_a_frame_that_breaks_later_is_skipped_only_if_asked(tmp_path, caplog):
    config = listed(tmp_path)
    path = tmp_path / "3.png"
    path.write_bytes(path.read_bytes()[:40] + b"\0" * 30 + path.read_bytes()[-12:])
    with pytest.raises(DataError, match=r"line 4 .*3\.png.*; repair the file, or set data\.skip_broken=true"):
        _ = FrameCollection(open_sources([config]))[3]
    skipping = FrameCollection(open_sources([config]), skip_broken=True)
    skipping.keep_in_memory(nothing)
    caplog.clear()
    with caplog.at_level(logging.WARNING), pytest.raises(SkippedFrameError, match=r"3\.png"):
        _ = skipping[3]
    assert "skipped" in caplog.text and "3.png" in caplog.text
    assert int(skipping[2].depth[0, 0]) == 3


def test_synthetic_drives_give_their_exact_depth_or_their_scan(tmp_path):
    drive = write_drive(tmp_path, 2, 3, SMALL)
    exact, scanned = (
        FrameCollection(open_sources([SourceConfig(path=str(tmp_path), truth=truth)])) for truth in ("auto", "scan")
    )
    assert list(find_drives(tmp_path)) == [drive] == list(find_drives(drive)) == list(find_drives(drive.parent))
    dense, sparse = exact[1].depth, scanned[1].depth
    assert (~np.isnan(dense)).sum() > (~np.isnan(sparse)).sum() > 100
    assert exact.files(1)[1].parent.name == "image_02" and scanned.files(1)[1].suffix == ".bin"
    assert find_broken_frames(exact, nothing) == find_broken_frames(scanned, nothing) == []
    scanned.files(0)[1].write_bytes(b"\0" * 17)
    assert "not a whole number of scan points" in find_broken_frames(scanned, nothing)[0].reason


def test_the_file_check_finds_annotated_depth_that_lies_apart_from_the_drive(tmp_path):
    drive = write_drive(tmp_path / "raw", 2, 3, SMALL)
    (tmp_path / "depth" / "train" / drive.name).mkdir(parents=True)
    annotated = (drive / "proj_depth").rename(tmp_path / "depth" / "train" / drive.name / "proj_depth")
    config = SourceConfig(path=str(tmp_path / "raw"), depth_path=str(tmp_path / "depth"))
    frames = FrameCollection(open_sources([config]))
    assert frames.files(0)[1].is_relative_to(annotated)
    assert check_files(frames, False, nothing, print) is frames


def test_every_nth_frame_of_each_drive(tmp_path):
    write_drive(tmp_path, 5, 3, SMALL)
    frames = FrameCollection(open_sources([SourceConfig(path=str(tmp_path), frames=(1, 5), step=2)]))
    assert [frames.label(index)[-1] for index in range(len(frames))] == ["1", "3"]


@pytest.mark.parametrize("kind", ["kitti_list", "nyu_list"])
def test_every_nth_frame_of_a_list(tmp_path, kind):
    config = replace(listed(tmp_path, 6), kind=kind, frames=(1, 6), step=3)
    (frames,) = open_sources([config])
    assert [frames.label(index)[-6] for index in range(len(frames))] == ["1", "4"]
    with pytest.raises(DataError, match=r"list\.txt: none of its 6 frames is left; check frames of this source"):
        open_sources([replace(config, frames=(6, 7))])


@pytest.mark.parametrize(
    ("kind", "unread"),
    [
        ("kitti_list", {"unknown": "far", "split": "eigen_test", "truth": "scan"}),
        ("nyu_list", {"truth": "annotated", "labels": ["road"]}),
        ("frames", {"unknown": "far", "split": "eigen_test", "truth": "scan", "depth_path": "b"}),
        ("cityscapes", {"depth_path": "b", "file_list": "eigen_test", "scenes": ["a"]}),
        ("shards", {"depth_path": "b", "file_list": "eigen_test", "truths": ["lidar"]}),
    ],
)
def test_what_a_kind_does_not_read_is_refused(kind, unread):
    needed = {"kind": kind, "path": "a"} | ({"file_list": "a.txt"} if kind.endswith("_list") else {})
    problems = find_problems(SourceConfig, needed | unread)
    assert [problem.partition(",")[0] for problem in problems] == [
        f"{name}: not for kind {kind}" for name in vars(SourceConfig()) if name in unread
    ]
    # A default may be given, as in the config.yaml that a run writes.
    defaults = {name: getattr(SourceConfig(), name) for name in unread if name not in needed}
    assert not find_problems(SourceConfig, needed | defaults)


def test_sources_without_frames_are_errors(tmp_path):
    with pytest.raises(DataError, match="holds no KITTI raw drive"):
        open_sources([SourceConfig(path=str(tmp_path))])
    write_drive(tmp_path, 1, 3, SMALL)
    with pytest.raises(DataError, match=r"of split eigen_test"):
        open_sources([SourceConfig(path=str(tmp_path), split="eigen_test")])
    with pytest.raises(DataError, match=r"none of its 0 requested frames has depth .*; set the source's truth"):
        open_sources([SourceConfig(path=str(tmp_path), frames=(5, 6))])


def test_frames_of_another_lens_teach_what_the_training_camera_would_see(tmp_path):
    (tmp_path / "wide").mkdir()
    camera = {"width": 10, "height": 8, "fx": 5.0, "fy": 4.0, "cx": 4.5, "cy": 3.5}
    (tmp_path / "wide" / "0.json").write_text(json.dumps(camera))
    cv2.imwrite(str(tmp_path / "wide" / "0.png"), np.zeros((8, 10, 3), np.uint8))
    cv2.imwrite(str(tmp_path / "wide" / "0_depth.png"), np.full((8, 10), 256 * 6, np.uint16))
    sources = open_sources([SourceConfig(kind="frames", path=str(tmp_path / "wide")), listed(tmp_path)])
    plain = FrameCollection(sources)
    # Twice the focal length in both directions: the training camera sees the same from twice as far.
    canonical = FrameCollection(sources, training_camera=(10.0, 8.0, 10.0, 8.0))
    assert plain[0].depth[0, 0] == 6.0
    assert canonical[0].depth[0, 0] == 12.0
    # A list says nothing about its camera.
    assert canonical[1].depth[0, 0] == plain[1].depth[0, 0]

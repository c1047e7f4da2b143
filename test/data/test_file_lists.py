from __future__ import annotations

import math

import pytest

from space_clip_ros.data.file_lists import read_file_list
from space_clip_ros.errors import DataError


def write(tmp_path, text: str):
    path = tmp_path / "list.txt"
    path.write_text(text)
    return path


def test_lines_of_kitti_and_nyu(tmp_path):
    path = write(
        tmp_path, "a/0.png b/0.png 721.5377\n\n/c/1.jpg /c/1.png 518.8579\nd.png None 721.5\ne.png e_depth.png\n"
    )
    first, second, third = read_file_list(path)
    assert first == ("a/0.png", "b/0.png", 721.5377, 1, True)
    assert second == ("c/1.jpg", "c/1.png", 518.8579, 3, True)
    assert third[:2] == ("e.png", "e_depth.png") and math.isnan(third.focal) and third.line == 5


DRIVE = "2011_09_26_drive_0022_sync"
DEPTH = f"{DRIVE}/proj_depth/groundtruth/image_0{{}}/0000000473.png"


@pytest.mark.parametrize(
    ("line", "image", "camera"),
    [
        (f"2011_09_26/{DRIVE} 473 r", f"2011_09_26/{DRIVE}/image_03/data/0000000473.png", 3),
        (f"2011_09_26/{DRIVE} 0000000473 l", f"2011_09_26/{DRIVE}/image_02/data/0000000473.png", 2),
        (f"{DRIVE} 473 l", f"{DRIVE}/image_02/data/0000000473.png", 2),
        ("2011_09_26_drive_0022 473 l", "2011_09_26_drive_0022/image_02/data/0000000473.png", 2),
        (f"{DRIVE}_03 0000000473", f"2011_09_26/{DRIVE}/image_03/data/0000000473.png", 3),
        (f"2011_09_26/{DRIVE}/image_02/data/0000000473.png", f"2011_09_26/{DRIVE}/image_02/data/0000000473.png", 2),
        (
            f"2011_09_26/{DRIVE}/image_02/data/0000000473.jpg 2011_09_26/{DRIVE}/image_03/data/0000000473.jpg",
            f"2011_09_26/{DRIVE}/image_02/data/0000000473.jpg",
            2,
        ),
    ],
    ids=["monodepth2", "monodepth2 padded", "monodepth2 flat", "without _sync", "SfMLearner", "Eigen", "monodepth"],
)
def test_lists_of_other_projects_that_name_no_depth(tmp_path, line, image, camera):
    (sample,) = read_file_list(write(tmp_path, f"{line}\r\n"))
    assert (sample.image, sample.depth, sample.names_depth) == (image, DEPTH.format(camera), False)
    assert math.isnan(sample.focal) and sample.line == 1


def test_synthetic_drives_may_have_more_digits(tmp_path):
    (sample,) = read_file_list(write(tmp_path, "2026_01_01_drive_300000_sync_02 3\n"))
    assert sample.image == "2026_01_01/2026_01_01_drive_300000_sync/image_02/data/0000000003.png"


def test_bts_lines_name_their_depth(tmp_path):
    picture = f"2011_09_26/{DRIVE}/image_02/data/0000000473.png"
    path = write(tmp_path, f"\ufeff{picture} {DEPTH.format(2)} 721.5377\n")
    assert read_file_list(path) == [(picture, DEPTH.format(2), 721.5377, 1, True)]


def test_lines_without_depth_are_counted(tmp_path, caplog):
    read_file_list(write(tmp_path, "a.png None 7\nb.png b_depth.png 7\nc.png None 7\n"))
    assert caplog.messages == [f"{tmp_path / 'list.txt'}: 2 of 3 lines have no depth (None)"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a b 1\n9 247 l\n",
            r"list\.txt, line 2: is a frame of KITTI's odometry set, which has no depth; give a list of",
        ),
        ("street.png\n", r"line 1: must be `image depth focal`, got 1 words"),
        (f"2011_09_26/{DRIVE} 473 x\n", "line 1: the focal length must be a number, got 'x'"),
        ("a b 1\nonly\n", r"list\.txt, line 2: must be `image depth focal`, got 1 words"),
        ("a b c\n", r"list\.txt, line 1: the focal length must be a number, got 'c'"),
        ("a None 7\n", r"list\.txt: holds no sample"),
    ],
)
def test_malformed_lists_are_errors(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read_file_list(write(tmp_path, text))


def test_a_missing_list_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"no\.txt: cannot be read as a file list"):
        read_file_list(tmp_path / "no.txt")

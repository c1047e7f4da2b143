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
    assert first == ("a/0.png", "b/0.png", 721.5377, 1)
    assert second == ("c/1.jpg", "c/1.png", 518.8579, 3)
    assert third[:2] == ("e.png", "e_depth.png") and math.isnan(third.focal) and third.line == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
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

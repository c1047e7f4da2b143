from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from space_clip_ros.config import NodeConfig
from space_clip_ros.errors import DataError
from space_clip_ros.geometry.color import colorize
from space_clip_ros.tools.bags.reader import BagReader
from space_clip_ros.tools.reporting.recording import Topics, find_topics
from space_clip_ros.tools.reporting.video import write_video

Write = Callable[..., Path]


def film(recording: Path, out: Path) -> int:
    with BagReader(recording) as bag:
        return write_video(out, bag, find_topics(bag, Topics()), 10.0, NodeConfig(), lambda: None)


def test_the_film_shows_image_and_depth(recording: Path, tmp_path: Path) -> None:
    out = tmp_path / "films" / "drive.mp4"
    assert film(recording, out) == 5
    assert [path.name for path in out.parent.iterdir()] == ["drive.mp4"]
    reader = cv2.VideoCapture(str(out))
    assert reader.get(cv2.CAP_PROP_FPS) == pytest.approx(10.0)
    frames = []
    while (step := reader.read())[0]:
        frames.append(step[1][..., ::-1])
    reader.release()
    assert len(frames) == 5
    assert frames[0].shape == (32, 2 * 64 + 4, 3)
    assert frames[0][16, 4, 0] > 180
    assert frames[0][16, 4, 2] < 80
    depth = np.linspace(60.0, 4.0, 32, dtype=np.float32)[:, None]
    expected = colorize(depth, "turbo", NodeConfig().min_depth, NodeConfig().max_depth)[:, 0].astype(int)
    assert np.abs(frames[0][:, 110].astype(int) - expected).mean() < 30


def test_without_images_there_is_no_film(tmp_path: Path, write_recording: Write) -> None:
    path = write_recording(tmp_path / "bag", without=("/image",))
    with pytest.raises(DataError, match="no frame has both image and depth"):
        film(path, tmp_path / "film.mp4")
    assert not list(tmp_path.glob("*.mp4"))


def test_what_cannot_be_written_is_one_error(recording: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(DataError, match=r"file/film\.mp4: cannot be written"):
        film(recording, tmp_path / "file" / "film.mp4")

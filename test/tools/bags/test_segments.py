"""The segments of a long job outlive its process."""

from __future__ import annotations

from pathlib import Path

import pytest

from space_clip_ros.errors import DataError
from space_clip_ros.tools.bags import messages, qos
from space_clip_ros.tools.bags.segments import Segments

JOB = {"model": ["a", 1], "bag": "b"}


def add(segments: Segments, last: int, *stamps: int) -> None:
    with segments.begin() as segment:
        segment.add("/tf", "tf2_msgs/msg/TFMessage", qos.TF)
        for stamp in stamps:
            segment.write("/tf", stamp, messages.transforms())
    segments.finish(last, empty=not stamps)


def test_a_second_run_continues_from_the_finished_segments(tmp_path: Path) -> None:
    with Segments(tmp_path / "bag", JOB) as segments:
        assert segments.done == 0
        add(segments, 2, 10, 20)
        add(segments, 3)
        with pytest.raises(KeyboardInterrupt), segments.begin():
            raise KeyboardInterrupt
    with Segments(tmp_path / "bag", JOB) as segments:
        assert segments.done == 3
        add(segments, 4, 40)
        assert [(name, stamp) for name, stamp, _ in segments.messages()] == [("/tf", 10), ("/tf", 20), ("/tf", 40)]
        assert segments.counts() == {"/tf": 3}
        segments.discard()
    assert list(tmp_path.iterdir()) == []


def test_another_job_is_not_mixed_in(tmp_path: Path) -> None:
    with Segments(tmp_path / "bag", JOB):
        pass
    with (
        pytest.raises(DataError, match=r"bag: an unfinished run with another model is in .*\.bag\.depth; repeat"),
        Segments(tmp_path / "bag", {**JOB, "model": ["a", 2]}),
    ):
        pass
    with Segments(tmp_path / "bag", JOB) as segments:
        assert segments.done == 0


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with (
        Segments(tmp_path / "bag", JOB),
        pytest.raises(DataError, match="being written by another process"),
        Segments(tmp_path / "bag", JOB),
    ):
        pass


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(DataError, match="file/bag: cannot be written"), Segments(tmp_path / "file" / "bag", JOB):
        pass

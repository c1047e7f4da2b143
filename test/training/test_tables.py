from __future__ import annotations

import pytest

from space_clip_ros.errors import DataError
from space_clip_ros.training.tables import Table


def test_rows_are_added_and_later_ones_dropped_on_resuming(tmp_path):
    path = tmp_path / "steps.csv"
    table = Table(path, ("step", "loss"))
    for step in range(4):
        table.add({"step": step, "loss": step / 2, "other": 1})
    assert path.read_text() == "step,loss\n0,0.0\n1,0.5\n2,1.0\n3,1.5\n"
    Table(path, ("step", "loss"), last=1).add({"step": 2})
    assert path.read_text().split() == ["step,loss", "0,0.0", "1,0.5", "2,"]


def test_a_row_that_was_cut_off_is_dropped(tmp_path):
    path = tmp_path / "steps.csv"
    path.write_text("step,loss\n1,2.0\nx")
    Table(path, ("step", "loss"), last=5)
    assert path.read_text().split() == ["step,loss", "1,2.0"]


def test_a_table_that_cannot_be_read_or_written(tmp_path):
    path = tmp_path / "steps.csv"
    table = Table(path, ("step",))
    path.unlink()
    path.mkdir()
    with pytest.raises(DataError, match=r"steps\.csv: cannot be written \(Is a directory\)"):
        table.add({"step": 1})
    with pytest.raises(DataError, match=r"steps\.csv: cannot be read \(Is a directory\)"):
        Table(path, ("step",))
    (tmp_path / "latin.csv").write_bytes(b"step\n1\n\xe9\n")
    with pytest.raises(DataError, match=r"latin\.csv: is not a table of text in UTF-8 .*; save it as UTF-8, or move"):
        Table(tmp_path / "latin.csv", ("step",))
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"steps\.csv: cannot be read \(Not a directory\)"):
        Table(tmp_path / "file" / "steps.csv", ("step",))

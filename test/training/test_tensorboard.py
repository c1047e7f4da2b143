from __future__ import annotations

import sys

import numpy as np
import pytest

from space_clip_ros.training.tensorboard import TensorBoardWriter


def test_scalars_and_pictures_are_written_for_tensorboard(tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    writer = TensorBoardWriter(tmp_path, True, 0)
    writer.scalars({"train/total": 1.5}, 1)
    writer.pictures("validation", [np.zeros((8, 8, 3), np.uint8)], 1)
    writer.close()
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"train/total" in written and b"validation/0" in written


def test_without_the_package_or_the_wish_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    for wanted in (True, False):
        writer = TensorBoardWriter(tmp_path, wanted, 0)
        writer.scalars({"a": 1.0}, 1)
        writer.pictures("b", [np.zeros((8, 8, 3), np.uint8)], 1)
        writer.close()
    assert not list(tmp_path.iterdir())

"""Files that were changed after they were written."""

from __future__ import annotations

from pathlib import Path

import pytest

from space_clip_ros.errors import ModelError
from space_clip_ros.inference import load_predictor
from space_clip_ros.inference.integrity import check_graph, graph_sha256


def test_changed_weights_are_refused(model_dir: Path, tmp_path: Path) -> None:
    content = bytearray((model_dir / "any.onnx").read_bytes())
    place = len(content) // 2
    content[place] ^= 1
    changed = tmp_path / "changed.onnx"
    changed.write_bytes(content)
    with pytest.raises(ModelError, match=r"changed\.onnx: its graph is not the one that was exported .*copy the file"):
        load_predictor(changed)


def test_a_file_cut_short_is_refused(model_dir: Path, tmp_path: Path) -> None:
    short = tmp_path / "short.onnx"
    short.write_bytes((model_dir / "any.onnx").read_bytes()[:-1000])
    with pytest.raises(ModelError, match=r"short\.onnx"):
        load_predictor(short)


def test_metadata_may_change() -> None:
    graph, metadata = b"\x3a\x03abc", b"\x72\x02xy"
    assert graph_sha256(memoryview(graph + metadata)) == graph_sha256(memoryview(graph))
    assert graph_sha256(memoryview(graph)) != graph_sha256(memoryview(b"\x3a\x03abd"))


def test_earlier_files_have_no_hash(tmp_path: Path) -> None:
    check_graph(tmp_path / "unread.onnx", "")

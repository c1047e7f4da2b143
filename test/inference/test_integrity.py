"""Files that were changed after the export."""

from __future__ import annotations

import hashlib
from pathlib import Path

import onnx
import pytest

from space_clip_ros.errors import ModelError
from space_clip_ros.inference import load_predictor
from space_clip_ros.inference.integrity import check_graph, graph_sha256, read_properties


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


def test_properties_are_read_without_the_graph(model_dir: Path, tmp_path: Path) -> None:
    file = model_dir / "any.onnx"
    expected = {entry.key: entry.value for entry in onnx.load(file, load_external_data=False).metadata_props}
    assert read_properties(file) == expected
    for content in (b"", b"no graph", file.read_bytes()[:-3]):
        (tmp_path / "broken.onnx").write_bytes(content)
        with pytest.raises(ModelError, match=r"broken\.onnx: is not a whole ONNX file"):
            read_properties(tmp_path / "broken.onnx")


def test_metadata_may_change() -> None:
    graph, metadata = b"\x3a\x03abc", b"\x72\x02xy"
    assert graph_sha256(memoryview(graph + metadata)) == graph_sha256(memoryview(graph))
    assert graph_sha256(memoryview(graph)) != graph_sha256(memoryview(b"\x3a\x03abd"))


def test_every_kind_of_field_is_hashed() -> None:
    # a number, bytes, a float32 and a float64, after the examples of protobuf's own page on its encoding
    message = b"\x08\x96\x01" + b"\x12\x07testing" + b"\x1d\x00\x00\x80\x3f" + b"\x21" + bytes(8)
    assert graph_sha256(memoryview(message)) == hashlib.sha256(message).hexdigest()


@pytest.mark.parametrize("broken", [b"\x12\x07test", b"\x08\x96", b"\x08", b"\x0b", b"\x08" + b"\xff" * 20])
def test_broken_bytes(broken: bytes) -> None:
    with pytest.raises(ValueError, match=r"too early|wire type"):
        graph_sha256(memoryview(broken))


def test_a_file_stripped_of_its_hash_is_refused(model_dir: Path) -> None:
    with pytest.raises(ModelError, match=r"any\.onnx: its graph is not the one that was exported"):
        check_graph(model_dir / "any.onnx", "")

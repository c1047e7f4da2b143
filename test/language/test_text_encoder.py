"""The text tower as a file of its own, and its tokeniser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tokenizers")
pytest.importorskip("open_clip")

import onnx
from open_clip import tokenize

from space_clip_ros.errors import InputError, ModelError
from space_clip_ros.export.text import export_text
from space_clip_ros.language.text_encoder import TextEncoder

TEXTS = [
    "a photo of a car.",
    "Traffic   CONE",
    "the driver's seat &amp; 12 wheels, isn't it?",
    "Tür, Straße № ½ 東京 🚗",
    "x" * 300,
    "one two " * 60,
    "",
]


@pytest.fixture(scope="module")
def file(clip: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "text.onnx"
    export_text(clip, path, templates=["a photo of a {}.", "{}"])
    return path


def test_tokens_are_clip_s(file: Path) -> None:
    np.testing.assert_array_equal(TextEncoder(file)._tokenizer(TEXTS), tokenize(TEXTS).numpy())


def test_queries_are_those_of_pytorch(file: Path, clip: Any) -> None:
    encoder = TextEncoder(file)
    queries = encoder.encode(["traffic cone", "door"], ["sky"])
    expected = clip.queries(["traffic cone", "door"], ["sky"], templates=["a photo of a {}.", "{}"])
    assert (queries.names, queries.background, queries.tower) == (expected.names, expected.background, clip.tower)
    np.testing.assert_allclose(queries.vectors, expected.vectors, atol=1e-5)
    assert 0.0 < encoder.facts.difference < 1e-5
    with pytest.raises(InputError, match="queries: name at least one"):
        encoder.encode([])
    for names, background in (("dog", ()), (["dog"], "sky")):
        with pytest.raises(InputError, match=r"must be a sequence of texts, got '(dog|sky)'"):
            encoder.encode(names, background)
    with pytest.raises(InputError, match="texts: must be a sequence of texts, got 'dog'"):
        encoder.vectors("dog")
    with pytest.raises(InputError, match="'Door' and 'door' have the same vector"):
        encoder.encode(["Door"], ["sky", "door"])


def test_other_files_are_refused(file: Path, tmp_path: Path, project_root: Path) -> None:
    with pytest.raises(ModelError, match=r"road_tiny\.onnx: is not an exported text tower; make one with"):
        TextEncoder(project_root / "models" / "road_tiny.onnx")
    with pytest.raises(ModelError, match=r"text\.onnx: no such file; check the path"):
        TextEncoder(tmp_path / "text.onnx")
    (tmp_path / "text.onnx").write_bytes(b"hello")
    with pytest.raises(ModelError, match="is not an ONNX file that can be run"):
        TextEncoder(tmp_path / "text.onnx")
    model = onnx.load(file)
    for entry in model.metadata_props:
        entry.value = "many" if entry.key.endswith("embed_dim") else entry.value
    onnx.save(model, tmp_path / "damaged.onnx")
    with pytest.raises(ModelError, match="its metadata is damaged"):
        TextEncoder(tmp_path / "damaged.onnx")

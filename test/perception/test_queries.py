"""Where the vectors of queries come from, and what is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from space_clip_ros.config import SemanticConfig
from space_clip_ros.errors import DataError, InputError, ModelError, SpaceClipError
from space_clip_ros.inference.backend import ModelInfo, model_info
from space_clip_ros.language.queries import QuerySet
from space_clip_ros.libraries import LibraryError
from space_clip_ros.model_config import LanguageConfig, ModelConfig
from space_clip_ros.perception.queries import find_queries, split_names

CLOSED = LanguageConfig(outputs=("dense",), embed_dim=3, vocabulary=("road", "car", "person"))
CLIP = LanguageConfig(outputs=("embedding", "dense"), embed_dim=4, tower="ab12")
VECTORS = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0].astype(np.float32)
STORED = QuerySet(("car", "traffic cone", "door"), ("sky",), VECTORS, tower="ab12")


def info(language: LanguageConfig | None) -> ModelInfo:
    """Return the facts of a model; language features of an open vocabulary need a frozen tower, the default."""
    facts = model_info(
        ModelConfig(name="seer"),
        backend="onnxruntime",
        device="cpu",
        precision="fp32",
        fixed_size=None,
        file=Path("seer.onnx"),
    )
    return dataclasses.replace(facts, language=language)


@pytest.fixture(scope="module")
def closed() -> ModelInfo:
    return info(CLOSED)


@pytest.fixture(scope="module")
def clip(closed: ModelInfo) -> ModelInfo:
    return dataclasses.replace(closed, language=CLIP)


@pytest.fixture
def file(tmp_path: Path) -> str:
    pytest.importorskip("safetensors")
    STORED.write(tmp_path / "queries.safetensors")
    return str(tmp_path / "queries.safetensors")


def test_names_in_a_text() -> None:
    assert split_names(" car,traffic cone , ,car") == ("car", "traffic cone")
    assert split_names("  ") == ()
    assert split_names("Car, car, traffic  cone, Traffic cone") == ("Car", "traffic  cone")


def test_nothing_asked_is_nothing(closed: ModelInfo, clip: ModelInfo) -> None:
    assert find_queries((), SemanticConfig(), closed) is None
    assert find_queries((), SemanticConfig(queries=("",)), dataclasses.replace(closed, language=None)) is None


def test_a_text_tower_is_tried_out_before_the_first_word_comes(clip: ModelInfo) -> None:
    waiting, tower = SemanticConfig(query_file="text.onnx"), TextTower()
    assert find_queries((), waiting, clip, tower.open) is None and len(tower.opened) == 1
    other = dataclasses.replace(clip, language=dataclasses.replace(CLIP, tower="cd34"))
    with pytest.raises(InputError, match="are for tower ab12"):
        find_queries((), waiting, other, tower.open)
    with pytest.raises(ModelError, match="no such file"):
        find_queries((), SemanticConfig(query_file="missing.onnx"), clip)


def test_a_closed_list_needs_no_file(closed: ModelInfo) -> None:
    queries = find_queries((), SemanticConfig(queries=("car", "car")), closed)
    assert queries is not None and (queries.names, queries.background) == (("car",), ("road", "person"))
    typed = find_queries(("person",), SemanticConfig(queries=("car",)), closed)
    assert typed is not None and typed.names == ("person",)


def test_a_file_gives_its_queries_and_background(clip: ModelInfo, file: str) -> None:
    queries = find_queries((), SemanticConfig(query_file=file), clip)
    assert queries is not None and (queries.names, queries.background) == (STORED.names, STORED.background)


def test_names_choose_from_a_file_and_the_others_are_background(clip: ModelInfo, file: str) -> None:
    queries = find_queries(("door",), SemanticConfig(query_file=file), clip)
    assert queries is not None
    assert (queries.names, queries.background) == (("door",), ("car", "traffic cone", "sky"))
    np.testing.assert_array_equal(queries.vectors, VECTORS[[2, 0, 1, 3]])
    given = find_queries((), SemanticConfig(queries=("car", "door"), query_file=file, background=("sky",)), clip)
    assert given is not None and (given.names, given.background) == (("car", "door"), ("sky",))
    np.testing.assert_array_equal(given.vectors, VECTORS[[0, 2, 3]])


@pytest.mark.parametrize(("names", "expected"), [(("door",), ("car", "sky")), ((), ("sky",))])
def test_a_query_of_a_file_is_no_background_of_itself(
    clip: ModelInfo, file: str, names: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    found = find_queries(names, SemanticConfig(query_file=file, background=("car", "sky", "door")), clip)
    assert found is not None and (found.names, found.background) == (names or STORED.names, expected)


class TextTower:
    """A text tower's answers, worked out by hand: text i is axis i."""

    def __init__(self, tower: str = "ab12") -> None:
        self.tower = tower
        self.opened: list[Path] = []

    def open(self, file: Path) -> Any:
        self.opened.append(file)
        return self.encode

    def encode(self, texts: Sequence[str], background: Sequence[str]) -> QuerySet:
        vectors = np.eye(4, dtype=np.float32)[: len(texts) + len(background)]
        return QuerySet(tuple(texts), tuple(background), vectors, self.tower)


def test_a_text_tower_encodes_any_name(clip: ModelInfo) -> None:
    tower = TextTower()
    settings = SemanticConfig(query_file="text.onnx", background=("sky", "dog", "", "Sky"))
    queries = find_queries(("Dog", "dog", "red mug"), settings, clip, tower.open)
    assert queries is not None and (queries.names, queries.background) == (("Dog", "red mug"), ("sky",))
    np.testing.assert_array_equal(queries.vectors, np.eye(4)[:3])
    assert tower.opened == [Path("text.onnx")]


def test_too_many_names_are_refused_before_a_text_tower_is_loaded(clip: ModelInfo) -> None:
    tower = TextTower()
    with pytest.raises(InputError, match="may be 255 at most, got 256"):
        find_queries(tuple(map(str, range(256))), SemanticConfig(query_file="text.onnx"), clip, tower.open)
    assert not tower.opened


def test_a_file_that_is_no_text_tower_and_a_missing_library_say_what_to_do(
    clip: ModelInfo, tmp_path: Path, uninstall: Any
) -> None:
    (tmp_path / "text.onnx").write_bytes(b"hello")
    settings = SemanticConfig(query_file=str(tmp_path / "text.onnx"))
    with pytest.raises(ModelError, match="is not an ONNX file that can be run"):
        find_queries(("car", "dog"), settings, clip)
    uninstall("onnxruntime")
    with pytest.raises(LibraryError, match="onnxruntime: is not installed"):
        find_queries(("car", "dog"), settings, clip)


@pytest.mark.parametrize(
    ("names", "settings", "reason"),
    [
        (("dog",), SemanticConfig(), "'dog' not known: this model has a closed list of names; choose from road, car"),
        (("car",), SemanticConfig(query_file="q.safetensors"), "semantic.query_file: is for models with CLIP's joint"),
    ],
)
def test_a_closed_list_refuses_what_it_does_not_know(
    closed: ModelInfo, names: tuple[str, ...], settings: SemanticConfig, reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        find_queries(names, settings, closed)


def test_a_model_without_features_of_patches_finds_nothing(closed: ModelInfo) -> None:
    for language in (None, dataclasses.replace(CLIP, outputs=("embedding",))):
        with pytest.raises(InputError, match="gives no features of patches, so nothing can be found by name; take one"):
            find_queries(("car",), SemanticConfig(), dataclasses.replace(closed, language=language))


@pytest.mark.parametrize(
    ("names", "settings", "tower", "error", "reason"),
    [
        (("car",), {}, "ab12", InputError, "cannot turn words into vectors; set semantic.query_file"),
        (("dog",), {"query_file": True}, "ab12", InputError, "has no 'dog'; choose from car, traffic cone, door, sky"),
        ((), {"query_file": True, "background": ("fog",)}, "ab12", InputError, "has no 'fog'"),
        ((), {"query_file": True}, "cd34", InputError, "are for tower ab12"),
        ((), {"query_file": "missing.safetensors"}, "ab12", DataError, "cannot be read"),
        (("mug",), {"query_file": "text.onnx"}, "ab12", InputError, "'mug' alone would be found everywhere"),
        (("mug", "cup"), {"query_file": "text.onnx"}, "cd34", InputError, "are for tower ab12"),
    ],
)
def test_joint_spaces_refuse_with_what_to_do(
    clip: ModelInfo,
    file: str,
    names: tuple[str, ...],
    settings: dict[str, Any],
    tower: str,
    error: type[SpaceClipError],
    reason: str,
) -> None:
    if settings.get("query_file") is True:
        settings = {**settings, "query_file": file}
    model = dataclasses.replace(clip, language=dataclasses.replace(CLIP, tower=tower))
    with pytest.raises(error, match=reason):
        find_queries(names, SemanticConfig(**settings), model, TextTower().open)

from __future__ import annotations

import json

import numpy as np
import pytest

from space_clip_ros.errors import DataError, InputError
from space_clip_ros.language.queries import QuerySet, closed_queries
from space_clip_ros.model_config import LanguageConfig

safetensors_numpy = pytest.importorskip("safetensors.numpy")


def queries() -> QuerySet:
    vectors = np.linalg.qr(np.random.default_rng(0).normal(size=(8, 8)))[0][:3].astype(np.float32)
    return QuerySet(("traffic cone", "Tür"), ("sky",), vectors, tower="ab12")


def test_a_file_reads_back_as_it_was_written(tmp_path):
    written = queries()
    written.write(tmp_path / "queries.safetensors")
    read = QuerySet.read(tmp_path / "queries.safetensors")
    assert (read.names, read.background, read.tower) == (written.names, written.background, written.tower)
    np.testing.assert_array_equal(read.vectors, written.vectors)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "])
def test_damaged_files_and_files_of_others_are_refused_by_name(tmp_path, content):
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(DataError, match=r"x\.safetensors: is not a file of queries; make one"):
        QuerySet.read(tmp_path / "x.safetensors")
    safetensors_numpy.save_file({"vectors": np.eye(2, dtype=np.float32)}, tmp_path / "other.safetensors")
    with pytest.raises(DataError, match="is not a file of queries"):
        QuerySet.read(tmp_path / "other.safetensors")
    with pytest.raises(DataError, match="cannot be read"):
        QuerySet.read(tmp_path / "missing.safetensors")


def test_a_file_that_lacks_a_vector_is_refused(tmp_path):
    short = QuerySet(("a", "b"), (), queries().vectors[:1])
    short.write(tmp_path / "q.safetensors")
    with pytest.raises(DataError, match="damaged"):
        QuerySet.read(tmp_path / "q.safetensors")


def test_queries_with_the_same_vector_are_refused(tmp_path):
    axes = np.eye(2, dtype=np.float32)
    with pytest.raises(InputError, match="'car' and 'Car' have the same vector, so neither would be found; leave one"):
        QuerySet(("car",), ("sky", "Car"), axes[[0, 1, 0]])
    model = LanguageConfig(outputs=("dense",), embed_dim=2, vocabulary=("car", "sky"))
    with pytest.raises(InputError, match="'car' and 'car' have the same vector"):
        closed_queries(["car", "car"], model)
    header = {"format_version": "1", "names": ["car", "Car"], "background": [], "tower": ""}
    metadata = {"space_clip.queries": json.dumps(header)}
    safetensors_numpy.save_file({"vectors": axes[[0, 0]]}, tmp_path / "q.safetensors", metadata)
    with pytest.raises(DataError, match=r"q\.safetensors: 'car' and 'Car' have the same vector.*; make it again with"):
        QuerySet.read(tmp_path / "q.safetensors")


@pytest.mark.parametrize(("number", "length"), [(np.nan, "nan"), (np.inf, "inf"), (0.5, "0.5")])
def test_vectors_that_are_not_of_length_1_are_refused(tmp_path, number, length):
    vectors = np.array([[1, 0], [0, number]], np.float32)
    with pytest.raises(InputError, match=f"the vector of 'sky' has length {length}; scale it"):
        QuerySet(("car",), ("sky",), vectors)
    header = {"format_version": "1", "names": ["car"], "background": ["sky"], "tower": ""}
    metadata = {"space_clip.queries": json.dumps(header)}
    safetensors_numpy.save_file({"vectors": vectors}, tmp_path / "q.safetensors", metadata)
    with pytest.raises(DataError, match=rf"q\.safetensors: the vector of 'sky' has length {length}; make it again"):
        QuerySet.read(tmp_path / "q.safetensors")


def test_half_precision_is_close_enough_to_length_1():
    vectors = queries().vectors.astype(np.float16).astype(np.float32)
    assert QuerySet(("traffic cone", "Tür"), ("sky",), vectors).vectors is vectors


def test_queries_of_another_tower_or_length_are_refused():
    model = LanguageConfig(outputs=("dense",), embed_dim=8, tower="ab12")
    queries().check(model)
    with pytest.raises(InputError, match="are for tower ab12 with 8 numbers a vector, the model has tower cd34"):
        queries().check(LanguageConfig(outputs=("dense",), embed_dim=8, tower="cd34"))
    with pytest.raises(InputError, match="space_clip text"):
        queries().check(LanguageConfig(outputs=("dense",), embed_dim=9, tower="ab12"))


def test_a_closed_vocabulary_knows_its_names_alone_and_the_rest_is_background():
    model = LanguageConfig(outputs=("dense",), embed_dim=4, vocabulary=("road", "car", "person", "sky"))
    closed = closed_queries(["person", "car"], model)
    assert (closed.names, closed.background) == (("person", "car"), ("road", "sky"))
    assert closed_queries(["Person", "CAR"], model).names == closed.names
    np.testing.assert_array_equal(closed.vectors.argmax(axis=1), [2, 1, 0, 3])
    with pytest.raises(
        InputError, match="'dog' not known: this model has a closed list of names; choose from road, car"
    ):
        closed_queries(["dog"], model)
    with pytest.raises(InputError, match=r"queries: must be a sequence of texts, got 'car'; give \['car'\]"):
        closed_queries("car", model)

"""Engines are found by their whole key, written whole or not at all, and checked for damage."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest

from space_clip_ros.errors import BackendError, DataError
from space_clip_ros.inference.gpu.engine_cache import EngineCache
from space_clip_ros.inference.gpu.engine_key import EngineKey

KEY = EngineKey("ab12", "10.3.0", "Orin (nvgpu)", "8.7", 8, "fp16", (1, 375, 1242, 3))
PROOF = {"mean_relative": 0.001}


@pytest.fixture()
def cache(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path / "engines")


def test_the_users_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert EngineCache().folder == tmp_path / "space_clip_ros" / "engines"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/robot")
    assert EngineCache().folder == Path("/home/robot/.cache/space_clip_ros/engines")


def test_round_trip(cache: EngineCache) -> None:
    assert cache.find(KEY) is None and list(cache.engines()) == []
    plan = bytes(range(256)) * 100 + b"\n{}\n"
    stored = cache.store(KEY, plan, PROOF)
    entry = cache.find(KEY)
    assert entry == stored and entry is not None
    assert cache.load(entry) == plan and entry.facts == PROOF
    assert list(cache.engines()) == [stored]


def test_a_stale_engine_is_not_found(cache: EngineCache, changed_part: dict[str, Any]) -> None:
    cache.store(dataclasses.replace(KEY, **changed_part), b"plan", PROOF)
    assert cache.find(KEY) is None


def test_an_engine_under_a_wrong_name_is_not_found(cache: EngineCache) -> None:
    other = dataclasses.replace(KEY, tensorrt="10.7.0")
    wrong = cache.store(other, b"plan", PROOF).path
    right = cache.store(KEY, b"plan", PROOF).path
    wrong.replace(right)
    assert cache.find(KEY) is None


@pytest.mark.parametrize("damage", [b"", b"not json\n", b'{"format": 1}\n', b"[]\n", b'{"format": 2, "key": {}}\n'])
def test_files_that_are_not_engines(cache: EngineCache, damage: bytes) -> None:
    cache.store(KEY, b"plan", PROOF).path.write_bytes(damage)
    assert cache.find(KEY) is None and list(cache.engines()) == []


def test_a_damaged_plan(cache: EngineCache) -> None:
    entry = cache.store(KEY, b"plan", PROOF)
    entry.path.write_bytes(entry.path.read_bytes()[:-1])
    stored = cache.find(KEY)
    assert stored is not None
    with pytest.raises(BackendError, match=r"1242x375-fp16-.*\.engine: this engine is damaged; delete it and build"):
        cache.load(stored)


def test_an_engine_gets_the_mode_that_the_umask_gives(cache: EngineCache) -> None:
    umask = os.umask(0o022)
    try:
        assert cache.store(KEY, b"plan", PROOF).path.stat().st_mode & 0o777 == 0o644
    finally:
        os.umask(umask)


def test_an_engine_that_cannot_be_read(cache: EngineCache) -> None:
    entry = cache.store(KEY, b"plan", PROOF)
    entry.path.unlink()
    # a folder is as unreadable as a file of somebody else's, and to every user
    entry.path.mkdir()
    other = cache.store(dataclasses.replace(KEY, precision="fp32"), b"plan", PROOF)
    assert list(cache.engines()) == [other], "one bad file takes nothing from the others"
    for read in (lambda: cache.find(KEY), lambda: cache.load(entry)):
        with pytest.raises(BackendError, match=r"\.engine: cannot be read \(Is a directory\); change its owner"):
            read()


def test_a_write_that_fails_leaves_the_old_engine(cache: EngineCache, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.store(KEY, b"old", PROOF)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match=r"\.engine: cannot be written \(No space left on device\)"):
        cache.store(KEY, b"new", PROOF)
    monkeypatch.undo()
    entry = cache.find(KEY)
    assert entry is not None and cache.load(entry) == b"old"
    assert [path.suffix for path in cache.folder.iterdir()] == [".engine"]


def test_a_half_written_file_is_not_an_engine(cache: EngineCache) -> None:
    path = cache.store(KEY, b"plan", PROOF).path
    path.rename(path.with_name(f".{path.stem}.12.34.part{path.suffix}"))  # as a power cut leaves it
    assert cache.find(KEY) is None and list(cache.engines()) == []


def test_a_refusal_replaces_an_engine_and_the_other_way_round(cache: EngineCache) -> None:
    cache.store(KEY, b"plan", PROOF)
    cache.refuse(KEY, "it differs", {"mean_relative": 0.5})
    assert cache.find(KEY) is None
    (refusal,) = cache.refusals()
    assert refusal.key == KEY and refusal.facts == {"mean_relative": 0.5, "reason": "it differs"}
    cache.store(KEY, b"plan", PROOF)
    assert list(cache.refusals()) == [] and cache.find(KEY) is not None


def test_timings_are_of_one_machine_and_version(cache: EngineCache) -> None:
    assert cache.timings(KEY) == b""
    cache.keep_timings(KEY, b"measured")
    assert cache.timings(dataclasses.replace(KEY, file_sha256="cd34", precision="int8")) == b"measured"
    for part, value in (
        ("tensorrt", "10.7.0"),
        ("gpu", "Thor"),
        ("compute_capability", "11.0"),
        ("multiprocessors", 4),
    ):
        assert cache.timings(dataclasses.replace(KEY, **{part: value})) == b""

"""The package's version and its models."""

from __future__ import annotations

from pathlib import Path

import pytest

from space_clip_ros import __version__
from space_clip_ros.files import LFS_POINTER, file_sha256
from space_clip_ros.tools.doctor.package import models, package


def test_this_package(project_root: Path) -> None:
    assert next(iter(package())).value == __version__
    results = {fact.name: fact for fact in models()}
    assert results["road_tiny"].value["sha256"] == file_sha256(project_root / "models" / "road_tiny.onnx")


def test_models_of_the_user_are_counted_and_pointers_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "cache" / "space_clip_ros" / "models"
    shared = tmp_path / "prefix" / "share" / "space_clip_ros" / "models"
    for folder in (own, shared):
        folder.mkdir(parents=True)
    (own / "secret.onnx").touch()
    (shared / "fetched.onnx").write_bytes(LFS_POINTER)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path / "prefix"))
    results = {fact.name: fact for fact in models()}
    assert results["models_of_the_user"].value == 1 and "secret" not in results
    assert "git lfs pull" in results["fetched"].advice

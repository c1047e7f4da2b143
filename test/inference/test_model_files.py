"""Names and files of models."""

from __future__ import annotations

from pathlib import Path

import pytest

from space_clip_ros.errors import ModelError
from space_clip_ros.inference import model_files


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """An installed ROS prefix and a user's cache, instead of those of this machine."""
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{tmp_path / 'ros'}:{tmp_path / 'gone'}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    places = {
        "ros": tmp_path / "ros" / "share" / "space_clip_ros" / "models",
        "user": tmp_path / "cache" / "space_clip_ros" / "models",
    }
    for folder in places.values():
        folder.mkdir(parents=True)
    return places


def test_a_name_is_looked_up_in_every_folder(folders: dict[str, Path]) -> None:
    (folders["user"] / "mine.onnx").touch()
    (folders["ros"] / "theirs.safetensors").touch()
    (folders["ros"] / "compiled.pt2").touch()
    assert model_files.resolve("mine") == folders["user"] / "mine.onnx"
    assert model_files.resolve("theirs") == folders["ros"] / "theirs.safetensors"
    assert model_files.resolve("compiled") == folders["ros"] / "compiled.pt2"


def test_the_installed_package_wins_and_graphs_win(folders: dict[str, Path]) -> None:
    for folder in folders.values():
        (folder / "both.onnx").touch()
        (folder / "both.safetensors").touch()
        (folder / "both.pt2").touch()
    assert model_files.resolve("both") == folders["ros"] / "both.onnx"


@pytest.mark.parametrize("name", ["~nobody-of-this-name/x.onnx", "x" * 5000])
def test_a_name_that_no_system_can_look_for(name: str) -> None:
    with pytest.raises(ModelError, match=r"cannot be looked for|no such name"):
        model_files.resolve(name)


def test_a_name_in_a_precision(folders: dict[str, Path]) -> None:
    for name in ("mine", "mine_int8", "mine_auto"):
        (folders["user"] / f"{name}.onnx").touch()
    assert model_files.resolve("mine", "int8") == folders["user"] / "mine_int8.onnx"
    for precision in ("auto", "fp16", "fp32"):
        assert model_files.resolve("mine", precision) == folders["user"] / "mine.onnx"
    # of another folder, or beside a checkpoint, it is another model
    (folders["ros"] / "mine_fp16.onnx").touch()
    assert model_files.resolve("mine", "fp16") == folders["user"] / "mine.onnx"
    (folders["user"] / "raw.safetensors").touch()
    (folders["user"] / "raw_int8.onnx").touch()
    assert model_files.resolve("raw", "int8") == folders["user"] / "raw.safetensors"
    # a path is taken as it is
    file = folders["user"] / "mine.onnx"
    assert model_files.resolve(file, "int8") == file


def test_a_model_that_is_being_exported_has_no_name(folders: dict[str, Path]) -> None:
    (folders["user"] / ".mine.12.34.part.onnx").touch()
    assert not any("mine" in name for name in model_files.known_models())


def test_the_source_tree_is_searched(folders: dict[str, Path], project_root: Path) -> None:
    assert project_root / "models" in model_files.model_folders()


def test_without_ros_and_cache_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AMENT_PREFIX_PATH", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert model_files.model_folders()[-1] == tmp_path / ".cache" / "space_clip_ros" / "models"


def test_a_path_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.onnx"
    file.touch()
    assert model_files.resolve(file) == file
    monkeypatch.setenv("HOME", str(tmp_path))
    assert model_files.resolve("~/a.onnx") == file
    monkeypatch.chdir(tmp_path)
    assert model_files.resolve("a.onnx") == Path("a.onnx")


def test_an_unknown_name_lists_the_known(folders: dict[str, Path]) -> None:
    (folders["user"] / "mine.onnx").touch()
    with pytest.raises(ModelError, match=r"model 'yours': no such name; known names: .*mine"):
        model_files.resolve("yours")


@pytest.mark.parametrize("name", ["missing.onnx", "folder/missing", "missing.pt"])
def test_a_missing_file(name: str) -> None:
    with pytest.raises(ModelError, match=f"{name}: no such model file"):
        model_files.resolve(name)


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "model.engine").touch()
    (tmp_path / "folder.onnx").mkdir()
    for name in ("model.engine", "folder.onnx"):
        with pytest.raises(ModelError, match=r"is not a model file; models end in \.onnx, \.safetensors"):
            model_files.resolve(tmp_path / name)


@pytest.mark.parametrize("suffix", [".onnx", ".safetensors", ".pt"])
def test_a_git_lfs_pointer_is_no_model(folders: dict[str, Path], suffix: str) -> None:
    file = folders["user"] / f"mine{suffix}"
    file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", encoding="utf-8")
    for name in ("mine", str(file)):
        with pytest.raises(
            ModelError, match=rf"mine\{suffix}: is a Git LFS pointer, not the file itself; run `git lfs"
        ):
            model_files.resolve(name)

"""Model names and files: which file a name like ``road_tiny`` stands for, and its kind."""

from __future__ import annotations

import os
from pathlib import Path

from space_clip_ros.errors import ModelError
from space_clip_ros.files import refuse_lfs_pointer, share_folders

PACKAGE = "space_clip_ros"
GRAPH_SUFFIXES = (".onnx",)
CHECKPOINT_SUFFIXES = (".safetensors", ".pt", ".pth", ".ckpt")
PACKAGE_SUFFIXES = (".pt2",)
_SUFFIXES = GRAPH_SUFFIXES + CHECKPOINT_SUFFIXES + PACKAGE_SUFFIXES


def resolve(name_or_file: str | Path, precision: str = "auto") -> Path:
    """Return the file that a model's name or path stands for.

    Args:
        name_or_file: the name of a model in one of :func:`model_folders`, without suffix; or a path, known by a
            separator or a model file's suffix.
        precision: for a name: take the file of this precision if there is one, see :func:`in_precision`.

    Raises:
        ModelError: no such name (the known ones are listed), no such file, or a file of another kind.
    """
    text = str(name_or_file)
    try:
        path = Path(text).expanduser()
        if len(path.parts) > 1 or path.is_file() or path.suffix in _SUFFIXES:
            return _checked(path)
    except (OSError, RuntimeError) as error:  # a name that is too long, or an unknown user's home
        raise ModelError(text, f"cannot be looked for ({error})", "check the path") from error
    models = known_models()
    if text in models:
        return _checked(in_precision(models[text], precision) or models[text])
    names = ", ".join(sorted(models)) or "none"
    raise ModelError(
        f"model {text!r}",
        f"no such name; known names: {names} (looked in {', '.join(map(str, model_folders()))})",
        "give one of them, or the path of an .onnx, .pt2 or checkpoint file",
    )


def in_precision(file: Path, precision: str) -> Path | None:
    """Return a graph's file in a precision: ``NAME_PRECISION.onnx`` beside ``NAME.onnx``; None if there is none."""
    if not is_graph(file) or precision == "auto":
        return None
    path = file.with_stem(f"{file.stem}_{precision}")
    return path if path.is_file() else None


def known_models() -> dict[str, Path]:
    """Return the models that have a name, name to file; earlier folders win, then graphs, then checkpoints."""
    models: dict[str, Path] = {}
    for folder in model_folders():
        for suffix in _SUFFIXES:
            # without hidden files: drafts of models that are being exported
            for path in sorted(folder.glob(f"[!.]*{suffix}")):
                models.setdefault(path.stem, path)
    return models


def model_folders() -> list[Path]:
    """Return the folders of named models: installed ROS packages, source tree, Python's share folder, user's cache."""
    return [*(folder / "models" for folder in share_folders()), user_folder() / "models"]


def user_folder() -> Path:
    """Return this package's folder in the user's cache; it need not exist."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / PACKAGE


def is_graph(path: Path) -> bool:
    """Return whether a model file is an exported graph (.onnx)."""
    return path.suffix in GRAPH_SUFFIXES


def is_package(path: Path) -> bool:
    """Return whether a model file is a network that PyTorch has compiled for one machine (.pt2)."""
    return path.suffix in PACKAGE_SUFFIXES


def _checked(path: Path) -> Path:
    if not path.exists():
        raise ModelError(
            path, "no such model file", f"check the path, or give a known name: {', '.join(known_models())}"
        )
    if path.is_dir() or path.suffix not in _SUFFIXES:
        raise ModelError(path, "is not a model file", f"models end in {', '.join(_SUFFIXES)}")
    refuse_lfs_pointer(path, ModelError)
    return path

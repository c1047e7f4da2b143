"""Probes of this package itself: its version, and the models that come with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from space_clip_ros import __version__
from space_clip_ros.errors import ModelError, SpaceClipError
from space_clip_ros.files import file_sha256, refuse_lfs_pointer
from space_clip_ros.tools.doctor.facts import Fact, size
from space_clip_ros.tools.doctor.programs import ProbeError, output_of

_DIGITS = 16


def package() -> Iterator[Fact]:
    """Find the version, and the commit where this is a clone."""
    yield Fact("version", __version__)
    folder = Path(__file__).resolve().parents[3]
    if not (folder / "setup.py").is_file():
        yield Fact("from", "installed")
        return
    try:
        commit = output_of("git", "-C", str(folder), "describe", "--always", "--dirty")
    except ProbeError:
        commit = ""
    yield Fact("from", "source", f"its source{f', commit {commit}' if commit else ''}")
    yield Fact("commit", commit or None)


def models() -> Iterator[Fact]:
    """Find the models that come with the package, with the hash of each file."""
    # This import needs NumPy, which may be broken.
    from space_clip_ros.inference.model_files import known_models, user_folder

    own = user_folder() / "models"
    named = known_models()
    for name, file in named.items():
        if own not in file.parents:
            yield _model(name, file)
    yield Fact("models_of_the_user", sum(own in file.parents for file in named.values()))


def _model(name: str, file: Path) -> Fact:
    try:
        refuse_lfs_pointer(file, ModelError)
    except SpaceClipError as error:
        return Fact(name, problem=f"{file.name} {error.reason}", advice=f"{file.name} {error.reason}; {error.remedy}")
    digest, count = file_sha256(file), file.stat().st_size
    return Fact(name, {"sha256": digest, "bytes": count}, f"{size(count)}, sha256 {digest[:_DIGITS]}…")

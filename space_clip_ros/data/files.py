"""Result files that are there whole or not at all."""

from __future__ import annotations

import contextlib
from pathlib import Path

from space_clip_ros.errors import DataError


def write_whole(path: Path, data: bytes) -> None:
    """Write a file through a draft beside it, so that nobody ever reads half of it; makes its folder if need be.

    Raises:
        DataError: it cannot be written.
    """
    draft = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(data)
        draft.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise DataError(f"{path}: cannot be written ({error.strerror})") from error

"""Reads file lists of the kind used for the Eigen split and NYU: one sample a line, `image depth focal`."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from space_clip_ros.errors import DataError


class ListedSample(NamedTuple):
    """One line of a file list.

    Attributes:
        image: path of the picture, relative to the image root.
        depth: path of the depth PNG, relative to the depth root.
        focal: focal length in pixels; NaN if the line has none.
        line: line number, from 1.
    """

    image: str
    depth: str
    focal: float
    line: int


def read_file_list(path: str | Path) -> list[ListedSample]:
    """Read a file list, skipping blank lines and images without ground truth (whose depth is ``None``).

    Raises:
        DataError: the file cannot be read, holds no sample, or a line is not `image depth [focal]`.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(path, f"cannot be read as a file list ({error})") from error
    samples = [_parse(path, number, line.split()) for number, line in enumerate(lines, start=1) if line.strip()]
    samples = [sample for sample in samples if sample.depth != "None"]
    if not samples:
        raise DataError(path, "holds no sample", "each line must be `image depth focal`")
    return samples


def _parse(path: Path, number: int, words: list[str]) -> ListedSample:
    if len(words) not in (2, 3):
        raise DataError(f"{path}, line {number}", f"must be `image depth focal`, got {len(words)} words")
    try:
        focal = float(words[2]) if len(words) == 3 else float("nan")
    except ValueError as error:
        raise DataError(f"{path}, line {number}", f"the focal length must be a number, got {words[2]!r}") from error
    # NYU's lists start every path with a slash, although the paths are relative.
    return ListedSample(words[0].lstrip("/"), words[1].lstrip("/"), focal, number)

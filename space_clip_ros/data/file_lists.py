"""The field's file lists: one sample a line, `image depth focal`, paths relative to their roots."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from space_clip_ros.errors import DataError


class ListedSample(NamedTuple):
    """One line of a file list.

    Attributes:
        image: path of the picture, relative to the images' root.
        depth: path of the depth PNG, relative to the depths' root.
        focal: focal length in pixels; NaN where the line has none.
        line: number of the line, from 1.
    """

    image: str
    depth: str
    focal: float
    line: int


def read_file_list(path: str | Path) -> list[ListedSample]:
    """Read a file list; blank lines and lines whose depth is ``None`` (images without ground truth) are left out.

    Raises:
        DataError: the file cannot be read, holds no sample, or a line is not `image depth [focal]`.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as a file list ({error})") from error
    samples = [_parse(path, number, line.split()) for number, line in enumerate(lines, start=1) if line.strip()]
    samples = [sample for sample in samples if sample.depth != "None"]
    if not samples:
        raise DataError(f"{path}: holds no sample; each line must be `image depth focal`")
    return samples


def _parse(path: Path, number: int, words: list[str]) -> ListedSample:
    if len(words) not in (2, 3):
        raise DataError(f"{path}, line {number}: must be `image depth focal`, got {len(words)} words")
    try:
        focal = float(words[2]) if len(words) == 3 else float("nan")
    except ValueError as error:
        raise DataError(f"{path}, line {number}: the focal length must be a number, got {words[2]!r}") from error
    # NYU's lists begin every path with a slash that does not mean the root of the disk.
    return ListedSample(words[0].lstrip("/"), words[1].lstrip("/"), focal, number)

"""A table that grows by a row at a time and survives being killed."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from space_clip_ros.errors import DataError


class Table:
    """A CSV file whose first column is a growing number.

    Args:
        path: the file; rows that are there already are kept.
        columns: names, the growing number's first.
        last: rows with a larger first column are dropped: a resumed run will write them again.

    Raises:
        DataError: the file cannot be read or written.
    """

    def __init__(self, path: Path, columns: Sequence[str], last: int = -1) -> None:
        """Open the file and drop late rows."""
        self._path = path
        self._columns = list(columns)
        try:
            kept = []
            if path.exists():
                with path.open(newline="", encoding="utf-8") as file:
                    kept = [row for row in csv.DictReader(file) if _number(row.get(self._columns[0])) <= last]
            with path.open("w", newline="", encoding="utf-8") as file:
                writer = self._writer(file)
                writer.writeheader()
                writer.writerows(kept)
        except OSError as error:
            raise DataError(f"{path}: cannot be written ({error.strerror})") from error

    def add(self, row: Mapping[str, object]) -> None:
        """Append one row; columns it lacks stay empty, others are left out."""
        with self._path.open("a", newline="", encoding="utf-8") as file:
            self._writer(file).writerow(row)

    def _writer(self, file: object) -> csv.DictWriter[str]:
        return csv.DictWriter(file, self._columns, extrasaction="ignore", lineterminator="\n")  # type: ignore[arg-type]


def _number(text: str | None) -> float:
    try:
        return float(text or "inf")
    except ValueError:
        return float("inf")

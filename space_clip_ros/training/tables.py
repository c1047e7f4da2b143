"""A CSV table that grows row by row and stays usable if the process is killed."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from space_clip_ros.errors import DataError
from space_clip_ros.files import reading, written_whole


class Table:
    """A CSV file whose first column is an increasing number.

    Args:
        path: the file; rows already in it are kept.
        columns: column names; the first is the increasing number's.
        last: rows with a larger number are dropped, because a resumed run will write them again.

    Raises:
        DataError: the file cannot be read or written.
    """

    def __init__(self, path: Path, columns: Sequence[str], last: int = -1) -> None:
        """Write the header and the rows that are kept."""
        self._path = path
        self._columns = list(columns)
        kept = self._rows(last)
        with written_whole(path) as draft, draft.open("w", newline="", encoding="utf-8") as file:
            writer = self._writer(file)
            writer.writeheader()
            writer.writerows(kept)

    def add(self, row: Mapping[str, object]) -> None:
        """Append one row; columns it lacks stay empty, unknown ones are ignored.

        Raises:
            DataError: the file cannot be written.
        """
        try:
            with self._path.open("a", newline="", encoding="utf-8") as file:
                self._writer(file).writerow(row)
        except OSError as error:
            raise DataError(self._path, f"cannot be written ({error.strerror})", "check the space left") from error

    def _rows(self, last: int) -> list[dict[str, str]]:
        """Return the file's rows up to the number ``last``, without one that was cut off."""
        with reading(self._path, remedy="check its permissions"):
            try:
                with self._path.open(newline="", encoding="utf-8") as file:
                    return [row for row in csv.DictReader(file) if _number(row.get(self._columns[0])) <= last]
            except FileNotFoundError:
                return []
            except (UnicodeDecodeError, csv.Error) as error:
                reason = f"is not a table of text in UTF-8 ({error})"
                raise DataError(self._path, reason, "save it as UTF-8, or move it away") from error

    def _writer(self, file: object) -> csv.DictWriter[str]:
        return csv.DictWriter(file, self._columns, extrasaction="ignore", lineterminator="\n")  # type: ignore[arg-type]


def _number(text: str | None) -> float:
    try:
        return float(text or "inf")
    except ValueError:
        return float("inf")

"""A long job's finished parts, kept in a hidden folder so that an interrupted run goes on where it was."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from space_clip_ros.errors import DataError
from space_clip_ros.tools.bags.reader import BagReader
from space_clip_ros.tools.bags.writer import BagWriter, lock_folder

_JOB = "job.json"
_CURRENT = "current"


class Segments:
    """The parts of one job, each a small bag of what steps ``first`` to ``last - 1`` gave; a context manager.

    Args:
        result: what the job makes; the hidden folder lies beside it.
        job: everything the result depends on, as plain values; an unfinished job of other values is not gone on with.

    Attributes:
        done: how many steps the finished parts cover.

    Raises:
        DataError: an unfinished job of other values is there, another process is at it, or the folder cannot be made;
            on entering.
    """

    def __init__(self, result: Path, job: Mapping[str, Any]) -> None:
        """Remember the job; nothing is made before entering."""
        self._result = result
        self._folder = result.with_name(f".{result.name}.depth")
        self._job = json.loads(json.dumps(job))
        self.done = 0

    def __enter__(self) -> Segments:
        """Open the folder, and find what is there."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock = lock_folder(self._folder, self._result)
        except OSError as error:
            raise DataError(f"{self._result}: cannot be written ({error.strerror})") from error
        try:
            self._resume()
        except BaseException:
            os.close(self._lock)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the parts for the next run; :meth:`discard` removes them."""
        os.close(self._lock)

    def begin(self) -> BagWriter:
        """Return the next part, to be entered; what an interrupted run left of it is removed."""
        shutil.rmtree(self._folder / _CURRENT, ignore_errors=True)
        return BagWriter(self._folder / _CURRENT)

    def finish(self, last: int, empty: bool) -> None:
        """Keep the part just written, of the steps from :attr:`done` to ``last - 1``; ``empty`` if nothing is in it."""
        part = self._folder / _CURRENT
        if empty:
            shutil.rmtree(part)
            part.mkdir()
        part.rename(self._folder / f"{self.done:09d}-{last:09d}")
        self.done = last

    def messages(self) -> Iterator[tuple[str, int, bytes]]:
        """Yield what all parts hold, in the order in which it was written."""
        for part in filter(_has_messages, self._parts()):
            with BagReader(part) as bag:
                yield from bag.messages(bag.topics)

    def counts(self) -> dict[str, int]:
        """Return how many messages all parts hold, by topic."""
        counts: dict[str, int] = {}
        for part in filter(_has_messages, self._parts()):
            with BagReader(part) as bag:
                for topic in bag.topics.values():
                    counts[topic.name] = counts.get(topic.name, 0) + topic.count
        return counts

    def discard(self) -> None:
        """Remove the folder, once the result is there."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _parts(self) -> list[Path]:
        return sorted(path for path in self._folder.iterdir() if path.name[0].isdecimal())

    def _resume(self) -> None:
        note = self._folder / _JOB
        if note.is_file():
            known = json.loads(note.read_text(encoding="utf-8"))
            different = [name for name in self._job if known.get(name) != self._job[name]]
            if different:
                raise DataError(
                    f"{self._result}: an unfinished run with another {' and '.join(different)} is in {self._folder}; "
                    "repeat that run, or remove the folder"
                )
        else:
            draft = note.with_suffix(".part")
            draft.write_text(json.dumps(self._job), encoding="utf-8")
            draft.replace(note)
        parts = self._parts()
        self.done = int(parts[-1].name.partition("-")[2]) if parts else 0


def _has_messages(part: Path) -> bool:
    return any(part.iterdir())

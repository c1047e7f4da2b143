"""Finished segments of a long job, kept in a hidden folder so that an interrupted run can continue."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from space_clip_ros.errors import DataError
from space_clip_ros.files import write_json
from space_clip_ros.tools.bags.reader import BagReader
from space_clip_ros.tools.bags.writer import BagWriter, lock_folder

_JOB = "job.json"
_CURRENT = "current"


class Segments:
    """The segments of one job, each a small bag with the messages of consecutive steps; a context manager.

    Args:
        result: path of the job's result; the hidden folder lies beside it.
        job: everything the result depends on, as plain JSON values; a job with other values is not continued.

    Attributes:
        done: number of steps in the finished segments.

    Raises:
        DataError: on entering, if there is an unfinished job with other values, another process is working on it, or
            the folder cannot be written.
    """

    def __init__(self, result: Path, job: Mapping[str, Any]) -> None:
        """Keep the job; nothing is created before entering."""
        self._result = result
        self._folder = result.with_name(f".{result.name}.depth")
        self._job = json.loads(json.dumps(job))
        self.done = 0

    def __enter__(self) -> Segments:
        """Create or open the folder, and find its finished segments."""
        try:
            self._lock = lock_folder(self._folder, self._result)
        except OSError as error:
            raise DataError(self._result, f"cannot be written ({error.strerror})") from error
        try:
            self._resume()
        except BaseException:
            os.close(self._lock)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Unlock the folder; the segments stay for the next run unless :meth:`discard` was called."""
        os.close(self._lock)

    def begin(self) -> BagWriter:
        """Return a writer for the next segment; what an interrupted run left of it is removed."""
        shutil.rmtree(self._folder / _CURRENT, ignore_errors=True)
        return BagWriter(self._folder / _CURRENT)

    def finish(self, last: int, empty: bool) -> None:
        """Keep the segment just written as steps :attr:`done` to ``last - 1``; ``empty`` if it has no messages."""
        segment = self._folder / _CURRENT
        if empty:
            # A bag without messages cannot be read; an empty folder stands for it.
            shutil.rmtree(segment)
            segment.mkdir()
        segment.rename(self._folder / f"{self.done:09d}-{last:09d}")
        self.done = last

    def messages(self) -> Iterator[tuple[str, int, bytes]]:
        """Yield topic, stamp in nanoseconds and CDR data of every message, in the order they were written."""
        for segment in filter(_has_messages, self._finished()):
            with BagReader(segment) as bag:
                yield from bag.messages(bag.topics)

    def counts(self) -> dict[str, int]:
        """Return the number of messages in all segments, by topic."""
        counts: dict[str, int] = {}
        for segment in filter(_has_messages, self._finished()):
            with BagReader(segment) as bag:
                for topic in bag.topics.values():
                    counts[topic.name] = counts.get(topic.name, 0) + topic.count
        return counts

    def discard(self) -> None:
        """Remove the folder with all segments."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _finished(self) -> list[Path]:
        return sorted(path for path in self._folder.iterdir() if path.name[0].isdecimal())

    def _resume(self) -> None:
        file = self._folder / _JOB
        if file.is_file():
            known = json.loads(file.read_text(encoding="utf-8"))
            if different := differing(known, self._job):
                reason = f"an unfinished run with another {different} is in {self._folder}"
                raise DataError(self._result, reason, "repeat that run, or remove the folder")
        else:
            write_json(file, self._job)
        finished = self._finished()
        self.done = int(finished[-1].name.partition("-")[2]) if finished else 0


def differing(known: Mapping[str, Any], own: Mapping[str, Any]) -> str:
    """Return the names, joined by "and", of the values that are not the known ones; empty if all are."""
    return " and ".join(name for name in own if known.get(name) != own[name])


def _has_messages(segment: Path) -> bool:
    return any(segment.iterdir())

"""A fleet's run: finds the bags that are left to do, and collects their results."""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, Protocol

from space_clip_ros.errors import DataError
from space_clip_ros.files import file_sha256, write_whole
from space_clip_ros.inference import model_files
from space_clip_ros.tools.bags.bag_folder import METADATA
from space_clip_ros.tools.bags.prediction import PredictionOptions, made_with
from space_clip_ros.tools.bags.segments import differing
from space_clip_ros.tools.fleet.bags import FleetBag
from space_clip_ros.tools.fleet.storage import Storage, is_url, join
from space_clip_ros.tools.fleet.tasks import BagResult, BagTask

MANIFEST = "fleet.json"
"""File that records the options of all results in a folder; another run there must have the same."""


class Pool(Protocol):
    """Runs tasks in parallel."""

    def results(self, tasks: Sequence[BagTask]) -> Generator[BagResult, None, None]:
        """Yield the result of each task as it ends."""
        ...


class FleetRun:
    """Adds depth to bags, each in its own folder below the output folder.

    Finished bags are skipped, so the same call continues after an interruption or a failure.

    Args:
        bags: the bags.
        out: path or address of the output folder.
        options: what is added.
        threads: CPU threads of each task's model.

    Attributes:
        done: names of the bags that were finished earlier.
        tasks: what is left to do.

    Raises:
        DataError: the folder holds results made with other options or another model, or cannot be read or written.
        ModelError: there is no such model.
    """

    def __init__(self, bags: Sequence[FleetBag], out: str, options: PredictionOptions, threads: int = 0) -> None:
        """Find the bags that are left, and record the options of the results."""
        self._out = out if is_url(out) else str(Path(out).expanduser().absolute())
        self._storage = Storage(out) if is_url(out) else None
        self._check_manifest(options)
        self.done = [bag.name for bag in bags if self._is_done(bag)]
        self.tasks = [
            BagTask(bag, join(self._out, bag.name), options, threads) for bag in bags if bag.name not in self.done
        ]

    def results(self, pool: Pool) -> Generator[BagResult, None, None]:
        """Yield the result of each remaining bag as it ends."""
        return pool.results(self.tasks)

    def _is_done(self, bag: FleetBag) -> bool:
        result = join(self._out, bag.name)
        return self._storage.exists(join(result, METADATA)) if self._storage else Path(result).exists()

    def _check_manifest(self, options: PredictionOptions) -> None:
        own = _made_with(options)
        known = self._read_manifest()
        if known is None:
            self._write_manifest(json.dumps(own, indent=2).encode() + b"\n")
            return
        if different := differing(known, own):
            raise DataError(self._out, f"holds bags that were made with another {different}", "choose another folder")

    def _read_manifest(self) -> dict[str, Any] | None:
        place = join(self._out, MANIFEST)
        if self._storage:
            data = self._storage.read(place)
        else:
            file = Path(place)
            data = file.read_bytes() if file.is_file() else None
        if data is None:
            return None
        try:
            return dict(json.loads(data))
        except (ValueError, TypeError) as error:
            raise DataError(place, f"cannot be read ({error})", "remove it, or choose another folder") from error

    def _write_manifest(self, data: bytes) -> None:
        if self._storage:
            self._storage.write(join(self._out, MANIFEST), data)
        else:
            write_whole(Path(self._out, MANIFEST), data)


def _made_with(options: PredictionOptions) -> dict[str, Any]:
    model = model_files.resolve(options.settings.model, options.settings.precision)
    plain = {**made_with(options), "storage": options.storage, "model": file_sha256(model)}
    return dict(json.loads(json.dumps(plain)))

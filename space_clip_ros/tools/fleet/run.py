"""A fleet's run: finds the bags that are left to do, and collects their results."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from space_clip_ros.errors import DataError, describe
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
_RAN = "ran"


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
        options = _with_absolute_files(options)
        self._out = out if is_url(out) else str(Path(out).expanduser().absolute())
        self._storage = Storage(out) if is_url(out) else None
        self._manifest = self._checked_manifest(_made_with(options))
        self.done = [bag.name for bag in bags if self._exists(join(self._out, bag.name, METADATA))]
        self.tasks = [
            BagTask(bag, join(self._out, bag.name), options, threads) for bag in bags if bag.name not in self.done
        ]

    def results(self, pool: Pool) -> Generator[BagResult, None, None]:
        """Yield the result of each remaining bag as it ends. Closing the iterator ends the running tasks."""
        with contextlib.closing(pool.results(self.tasks)) as results:
            for result in results:
                if result.ran:
                    self._manifest[_RAN][result.name] = result.ran
                    self._write(self._manifest)
                yield result

    @property
    def ways(self) -> dict[str, list[str]]:
        """How the model ran (backend, device and precision), and the finished bags that it ran for in this way."""
        ways: dict[str, list[str]] = {}
        for name, way in sorted(self._manifest[_RAN].items()):
            ways.setdefault(way, []).append(name)
        return ways

    def _checked_manifest(self, own: dict[str, Any]) -> dict[str, Any]:
        """Return the manifest; a new one replaces that of a run which finished no bag.

        Raises:
            DataError: finished bags were made with something else, or the manifest cannot be read or written.
        """
        known = self._read()
        different = "" if known is None else differing(known, own)
        if different and self._has_bags():
            raise DataError(
                self._out,
                f"holds bags that were made with another {different}",
                f"choose another folder; to have both in this one, remove its {MANIFEST}",
            )
        if known is None or different:
            known = {**own, _RAN: {}}
            self._write(known)
        return known

    def _has_bags(self) -> bool:
        if self._storage:
            return any(file.endswith(f"/{METADATA}") for file in self._storage.files())
        return any(True for _ in Path(self._out).rglob(METADATA))

    def _exists(self, place: str) -> bool:
        return self._storage.exists(place) if self._storage else Path(place).is_file()

    def _read(self) -> dict[str, Any] | None:
        place = join(self._out, MANIFEST)
        if not self._exists(place):
            return None
        try:
            data = self._storage.read(place) if self._storage else Path(place).read_bytes()
            content = dict(json.loads(data or b""))
            return {**content, _RAN: dict(content[_RAN])}
        except (ValueError, TypeError, KeyError) as error:
            raise DataError(
                place, f"cannot be read ({describe(error)})", "remove it, or choose another folder"
            ) from error

    def _write(self, manifest: dict[str, Any]) -> None:
        data = json.dumps(manifest, indent=2).encode() + b"\n"
        if self._storage:
            self._storage.write(join(self._out, MANIFEST), data)
        else:
            write_whole(Path(self._out, MANIFEST), data)


def _with_absolute_files(options: PredictionOptions) -> PredictionOptions:
    """Return the options with absolute paths of files, because a cluster's workers run in another folder."""
    settings = options.settings
    semantic = replace(settings.semantic, query_file=_absolute(settings.semantic.query_file))
    return replace(options, settings=replace(settings, model=_absolute(settings.model), semantic=semantic))


def _absolute(name_or_file: str) -> str:
    path = Path(name_or_file).expanduser()
    return str(path.absolute()) if path.is_file() else name_or_file


def _made_with(options: PredictionOptions) -> dict[str, Any]:
    model = model_files.resolve(options.settings.model, options.settings.precision)
    plain = {**made_with(options), "storage": options.storage, "model": file_sha256(model)}
    return dict(json.loads(json.dumps(plain)))

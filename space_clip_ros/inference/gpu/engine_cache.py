"""Built engines in the user's cache folder, found by their whole key, so that a stale engine is never loaded.

An engine's file is one line of JSON (format, key, hash of the plan, proof), followed by TensorRT's plan. A build that
was refused leaves the same line with the reason, so that the backend can report why there is no engine.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from space_clip_ros.errors import BackendError
from space_clip_ros.files import reading, write_whole
from space_clip_ros.inference.gpu.engine_key import EngineKey
from space_clip_ros.inference.metadata import SOURCE_PROPERTY
from space_clip_ros.inference.model_files import user_folder

AGREEMENT, LANGUAGE, MODEL = "agreement", "language", "model"
"""Facts of an engine: the numbers of its check, those of its language features (None for none), and the
``space_clip.*`` metadata of its ONNX file."""
_FORMAT = 2
_ENGINE = ".engine"
_REFUSED = ".refused"
_UNREADABLE = "change its owner or permissions, or delete it"


@dataclass(frozen=True)
class CacheEntry:
    """The first line of a file in the cache.

    Attributes:
        path: the file.
        key: what it was built for.
        plan_sha256: hash of the plan; empty for a refusal.
        facts: :data:`AGREEMENT`, :data:`LANGUAGE` and :data:`MODEL`; or the numbers of a refusal, with its ``reason``.
    """

    path: Path
    key: EngineKey
    plan_sha256: str
    facts: Mapping[str, Any]

    @property
    def source_sha256(self) -> str:
        """Hash of the checkpoint that the engine's ONNX file was exported from; empty if unknown."""
        return str(self.facts.get(MODEL, {}).get(SOURCE_PROPERTY, ""))


class EngineCache:
    """A folder of engines, refusals and timing caches."""

    def __init__(self, folder: Path | None = None) -> None:
        """Use ``folder``, or ``space_clip_ros/engines`` in the user's cache (``XDG_CACHE_HOME``); it need not exist."""
        self.folder = user_folder() / "engines" if folder is None else folder

    def find(self, key: EngineKey) -> CacheEntry | None:
        """Return the engine built for exactly this key.

        Raises:
            BackendError: it cannot be read.
        """
        entry = _read_entry(self._path(key, _ENGINE))
        return entry if entry is not None and entry.key == key else None

    def engines(self) -> Iterator[CacheEntry]:
        """Yield every engine in the folder, the oldest first, except files that are not ours or cannot be read."""
        return self._entries(_ENGINE)

    def has_engine_of_checkpoint(self) -> bool:
        """Return whether any engine's file says which checkpoint it was exported from."""
        return any(entry.source_sha256 for entry in self.engines())

    def refusals(self) -> Iterator[CacheEntry]:
        """Yield every build that was refused and has not succeeded since."""
        return self._entries(_REFUSED)

    def load(self, entry: CacheEntry) -> bytes:
        """Return an engine's plan.

        Raises:
            BackendError: it cannot be read, or its hash differs from the one stored.
        """
        with reading(entry.path, BackendError, _UNREADABLE), entry.path.open("rb") as file:
            file.readline()
            plan = file.read()
        if hashlib.sha256(plan).hexdigest() != entry.plan_sha256:
            raise BackendError(entry.path, "this engine is damaged", "delete it and build it again")
        return plan

    def store(self, key: EngineKey, plan: bytes, proof: Mapping[str, Any]) -> CacheEntry:
        """Keep an accepted engine; it replaces an earlier one or a refusal.

        Raises:
            DataError: the folder cannot be written to. An earlier engine is then still there.
        """
        path, sha256 = self._path(key, _ENGINE), hashlib.sha256(plan).hexdigest()
        write_whole(path, _line(key, sha256, proof) + plan, durable=True)
        self._path(key, _REFUSED).unlink(missing_ok=True)
        return CacheEntry(path, key, sha256, proof)

    def refuse(self, key: EngineKey, reason: str, numbers: Mapping[str, Any]) -> None:
        """Keep the reason why a built engine was refused, and delete an earlier engine of that key.

        Raises:
            DataError: the folder cannot be written to.
        """
        write_whole(self._path(key, _REFUSED), _line(key, "", {**numbers, "reason": reason}), durable=True)
        self._path(key, _ENGINE).unlink(missing_ok=True)

    def unreadable(self) -> list[str]:
        """Return a message for every engine in the folder that cannot be read."""
        return [str(entry) for entry in self._tried(_ENGINE) if isinstance(entry, BackendError)]

    def timings(self, key: EngineKey) -> bytes:
        """Return TensorRT's timing cache of this library and GPU; empty if there is none yet."""
        path = self._timings_path(key)
        return path.read_bytes() if path.is_file() else b""

    def keep_timings(self, key: EngineKey, timings: bytes) -> None:
        """Keep the timing cache after a build, so that the next build on this GPU measures only what is new.

        Raises:
            DataError: the folder cannot be written to.
        """
        write_whole(self._timings_path(key), timings, durable=True)

    def _entries(self, suffix: str) -> Iterator[CacheEntry]:
        return (entry for entry in self._tried(suffix) if isinstance(entry, CacheEntry))

    def _tried(self, suffix: str) -> Iterator[CacheEntry | BackendError | None]:
        # without hidden files: drafts of engines that are being written
        return map(_try_entry, sorted(self.folder.glob(f"[!.]*{suffix}"), key=_age))

    def _path(self, key: EngineKey, suffix: str) -> Path:
        return self.folder / f"{key.size_text}-{key.precision}-{key.digest}{suffix}"

    def _timings_path(self, key: EngineKey) -> Path:
        # valid only for the same library and device: https://docs.nvidia.com/deeplearning/tensorrt (timing cache)
        machine = re.sub(
            r"[^A-Za-z0-9.]+", "-", f"{key.gpu}-{key.compute_capability}-{key.multiprocessors}sm-{key.tensorrt}"
        )
        return self.folder / f"{machine}.timing"


def _line(key: EngineKey, plan_sha256: str, facts: Mapping[str, Any]) -> bytes:
    head = {"format": _FORMAT, "key": key.to_dict(), "plan_sha256": plan_sha256, "facts": dict(facts)}
    return json.dumps(head).encode() + b"\n"


def _read_entry(path: Path) -> CacheEntry | None:
    """Read the first line; None if there is no such file, or it has another format or is not an engine."""
    try:
        with reading(path, BackendError, _UNREADABLE), contextlib.suppress(FileNotFoundError), path.open("rb") as file:
            head = json.loads(file.readline())
            if head["format"] == _FORMAT:
                return CacheEntry(path, EngineKey.from_dict(head["key"]), head["plan_sha256"], head["facts"])
    except (ValueError, KeyError, TypeError):
        pass
    return None


def _age(path: Path) -> tuple[int, str]:
    """Return what sorts files by when they were written, the oldest first."""
    with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
        return path.stat().st_mtime_ns, path.name
    return 0, path.name


def _try_entry(path: Path) -> CacheEntry | BackendError | None:
    try:
        return _read_entry(path)
    except BackendError as error:
        return error

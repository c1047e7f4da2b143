"""The folder of a run: its settings, checkpoints and best weights.

``config.yaml`` holds the settings. ``last`` points to the newest of ``checkpoints/``, each a folder with
``model.safetensors`` (the raw weights) and ``training.pt`` (everything else a resumed run needs). ``best.safetensors``
holds the weights with the smallest abs_rel. Each of them appears in a single rename, so a killed process leaves the old
or the new one, never half of it. ``.lock`` is locked while a process trains here.

A resumed run takes the newest whole folder of ``checkpoints/``, so it needs no links: copies often lack them, or hold
folders in their place.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import torch

from space_clip_ros import settings
from space_clip_ros.errors import ConfigError, DataError, ModelError
from space_clip_ros.files import check_output_folder, synchronise, write_whole, written_whole
from space_clip_ros.model import SpaceClip, load_checkpoint, save_checkpoint
from space_clip_ros.model.tensor_files import read_torch
from space_clip_ros.training_config import TrainingConfig

_SETTINGS = "config.yaml"
_WEIGHTS = "model.safetensors"
_STATE = "training.pt"
STEPS_TABLE = "steps.csv"
_MAY_DIFFER = ("run.", "runtime.", "data.workers", "data.cache", "validation.batch_size")
"""Settings, and groups of them, that a resumed run may change."""
_KEPT = 2


class RunFolder:
    """The folder of one run.

    Args:
        path: the folder; :meth:`start` creates it.
    """

    def __init__(self, path: str | Path) -> None:
        """Remember the path; nothing is written yet."""
        self.path = Path(path)
        self._last = self.path / "last"
        self._checkpoints = self.path / "checkpoints"
        self._current: Path | None = None
        self._lock: IO[bytes] | None = None

    @property
    def best(self) -> Path:
        """File of the best weights so far."""
        return self.path / "best.safetensors"

    @property
    def has_checkpoint(self) -> bool:
        """Whether there is a run to resume."""
        return bool(self._whole())

    def check_new(self, over: bool = False) -> None:
        """Check that a new run can begin here; nothing is written.

        Args:
            over: whether it may replace a run that saved no weights yet.

        Raises:
            ConfigError: the folder already holds a run.
            DataError: it cannot be written to.
        """
        if self._holds_weights:
            raise ConfigError(self.path, "holds a run already", "give --resume to continue it, or another run.dir")
        if self._holds_steps and not over:
            raise ConfigError(
                self.path,
                "holds a run without a checkpoint",
                "give --resume-or-start to start it over, or another run.dir",
            )
        check_output_folder(self._checkpoints)

    def start(self, config: TrainingConfig, over: bool = False) -> None:
        """Begin a new run, and lock the folder; argument as for :meth:`check_new`.

        Raises:
            ConfigError: the folder already holds a run, or another process trains in it.
            DataError: the settings cannot be written.
        """
        self._checkpoints.mkdir(parents=True, exist_ok=True)
        self.lock()
        self.check_new(over)
        write_whole(self.path / _SETTINGS, settings.dump(config).encode())

    def lock(self) -> None:
        """Keep other processes from training here until :meth:`close`, or until this process ends.

        Raises:
            ConfigError: another process trains here.
            DataError: the folder cannot be written to.
        """
        file = self.path / ".lock"
        try:
            self._lock = file.open("wb")
        except OSError as error:
            reason = f"cannot be written ({error.strerror})"
            raise DataError(file, reason, "check the folder's permissions") from error
        try:
            # Unlike flock's, this lock is not inherited by reading processes, which may outlive a killed run.
            fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            self.close()
            raise ConfigError(
                self.path, "another process is training here", "wait for its end, or give another run.dir"
            ) from error
        except OSError:
            self.close()  # the file system knows no locks

    def close(self) -> None:
        """Unlock the folder."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def check_same(self, config: TrainingConfig) -> None:
        """Check that the run to resume was started with these settings.

        Raises:
            ConfigError: there is no run to resume, or settings that change results differ; the error names them.
        """
        if not self.has_checkpoint:
            remedy = "start without --resume"
            if self._holds_weights:
                remedy = f"copy {self._checkpoints} again, with the files {_WEIGHTS} and {_STATE}"
            elif self._holds_steps:
                remedy = "give --resume-or-start to start it over"
            raise ConfigError(self.path, "holds no checkpoint to resume from", remedy)
        saved = settings.to_dict(settings.load(TrainingConfig, self.path / _SETTINGS))
        wanted = settings.to_dict(config)
        # With skip_broken, the check of all files decides which frames there are.
        may_differ = _MAY_DIFFER if config.data.skip_broken else (*_MAY_DIFFER, "data.scan")
        differing = [name for name in _differing_settings(saved, wanted) if not name.startswith(may_differ)]
        if differing:
            raise ConfigError(
                self.path,
                f"a resumed run needs its own settings, but these differ: {', '.join(sorted(differing))}",
                f"take them from its {_SETTINGS}, or start a run in another folder",
            )

    def save(self, step: int, model: SpaceClip, state: Mapping[str, Any]) -> None:
        """Write a checkpoint, and make the link ``last`` lead to it.

        If this run has a checkpoint of the step already, only its state is replaced: the weights are the same.

        Args:
            step: number of steps taken.
            model: the raw weights.
            state: tensors, numbers, text and containers of them.

        Raises:
            ModelError: the checkpoint cannot be written.
        """
        target = self._checkpoints / f"{step:09d}"
        # Not written_whole: the two files of a checkpoint must appear together, so their folder is renamed.
        draft = self._checkpoints / f".{step:09d}.{os.getpid()}"
        try:
            if target == self._current:
                _write_state(target, state)
                return
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(parents=True)
            save_checkpoint(model, draft / _WEIGHTS, {"step": str(step)})
            _write_state(draft, state)
            synchronise(draft)
            shutil.rmtree(target, ignore_errors=True)  # one that could not be resumed from
            draft.rename(target)
            self._current = target
            self._point_last_to(target)
            self._remove_old(target)
        except OSError as error:
            raise ModelError(target, f"the checkpoint cannot be written ({error})", "check the space left") from error
        except DataError as error:
            raise ModelError(error.what, error.reason, error.remedy) from error
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def load(self) -> tuple[SpaceClip, dict[str, Any]]:
        """Return the newest checkpoint's raw weights and state; no code in the files is executed.

        Raises:
            ModelError: a file is missing or damaged; the error names the older checkpoint to go back to, if any.
        """
        newest, *older = self._whole()
        try:
            loaded = _read(newest)
        except ModelError as error:
            readable = next((folder for folder in older if _is_readable(folder)), None)
            if readable is None:
                raise
            remedy = f"remove the folder {newest} to resume from {readable}, which is whole"
            raise ModelError(error.what, error.reason, remedy) from error
        self._current = newest
        return loaded

    def save_best(self, model: SpaceClip, metadata: Mapping[str, str]) -> None:
        """Write the best weights so far.

        Raises:
            ModelError: the file cannot be written.
        """
        save_checkpoint(model, self.best, metadata)

    @property
    def _holds_weights(self) -> bool:
        return self.best.exists() or os.path.lexists(self._last) or bool(self._numbered())

    @property
    def _holds_steps(self) -> bool:
        return (self.path / STEPS_TABLE).exists()

    def _numbered(self) -> list[Path]:
        """Return the folders of checkpoints, the newest first."""
        return sorted((path for path in self._checkpoints.glob("*") if path.name.isdigit()), reverse=True)

    def _whole(self) -> list[Path]:
        """Return the checkpoints that have both files, the newest first; ``last`` only if there is no other."""
        whole = [folder for folder in self._numbered() if _has_both_files(folder)]
        return whole or ([self._last] if _has_both_files(self._last) else [])

    def _point_last_to(self, target: Path) -> None:
        link = self.path / f".last.{os.getpid()}"
        link.unlink(missing_ok=True)
        link.symlink_to(target.relative_to(self.path))
        if self._last.is_dir() and not self._last.is_symlink():  # a copy that followed the link
            shutil.rmtree(self._last)
        link.replace(self._last)
        synchronise(self.path)

    def _remove_old(self, newest: Path) -> None:
        """Remove all but the newest checkpoints, and the drafts of killed processes."""
        folders = [path for path in self._numbered() if path <= newest]
        drafts = self._checkpoints.glob(".*")
        for folder in (*folders[_KEPT:], *drafts):
            shutil.rmtree(folder, ignore_errors=True)


def _has_both_files(folder: Path) -> bool:
    return (folder / _WEIGHTS).is_file() and (folder / _STATE).is_file()


def _read(folder: Path) -> tuple[SpaceClip, dict[str, Any]]:
    state = read_torch(folder / _STATE)
    return load_checkpoint(folder / _WEIGHTS), state


def _is_readable(folder: Path) -> bool:
    try:
        _read(folder)
    except ModelError:
        return False
    return True


def _write_state(folder: Path, state: Mapping[str, Any]) -> None:
    # Given a path, torch.save hides a full disk's OSError.
    with written_whole(folder / _STATE, durable=True) as draft, draft.open("wb") as file:
        torch.save(dict(state), file)


def _differing_settings(first: Mapping[str, Any], second: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Return the dotted names of the settings that differ."""
    names = []
    for key in first.keys() | second.keys():
        left, right = first.get(key), second.get(key)
        if isinstance(left, dict) and isinstance(right, dict):
            names += _differing_settings(left, right, f"{prefix}{key}.")
        elif left != right:
            names.append(f"{prefix}{key}")
    return names

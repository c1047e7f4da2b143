"""The folder of a run: its settings, checkpoints and best weights.

``config.yaml`` holds the settings. ``last`` points to the newest of ``checkpoints/``, each a folder with
``model.safetensors`` (the raw weights) and ``training.pt`` (everything else a resumed run needs). ``best.safetensors``
holds the weights with the smallest abs_rel. Each of them appears in a single rename, so a killed process leaves the old
or the new one, never half of it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from space_clip_ros import settings
from space_clip_ros.errors import ConfigError, ModelError
from space_clip_ros.files import check_output_folder, synchronise, write_whole
from space_clip_ros.model import SpaceClip, load_checkpoint, save_checkpoint
from space_clip_ros.model.tensor_files import read_torch
from space_clip_ros.training_config import TrainingConfig

_SETTINGS = "config.yaml"
_WEIGHTS = "model.safetensors"
_STATE = "training.pt"
_MAY_DIFFER = ("run", "runtime")
"""Groups of settings that a resumed run may change."""
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

    @property
    def best(self) -> Path:
        """File of the best weights so far."""
        return self.path / "best.safetensors"

    @property
    def has_checkpoint(self) -> bool:
        """Whether there is a run to resume."""
        return self._last.is_symlink()

    def check_new(self) -> None:
        """Check that a new run can begin here; nothing is written.

        Raises:
            ConfigError: the folder already holds a run.
            DataError: it cannot be written to.
        """
        if self.has_checkpoint:
            raise ConfigError(self.path, "holds a run already", "give --resume to continue it, or another run.dir")
        check_output_folder(self._checkpoints)

    def start(self, config: TrainingConfig) -> None:
        """Begin a new run.

        Raises:
            ConfigError: the folder already holds a run.
            DataError: the settings cannot be written.
        """
        self.check_new()
        self._checkpoints.mkdir(parents=True, exist_ok=True)
        write_whole(self.path / _SETTINGS, settings.dump(config).encode())

    def check_same(self, config: TrainingConfig) -> None:
        """Check that the run to resume was started with these settings.

        Raises:
            ConfigError: there is no run to resume, or settings that change results differ; the error names them.
        """
        if not self.has_checkpoint:
            raise ConfigError(self.path, "holds no checkpoint to resume from", "start without --resume")
        saved = settings.to_dict(settings.load(TrainingConfig, self.path / _SETTINGS))
        wanted = settings.to_dict(config)
        differing = [name for name in _differing_settings(saved, wanted) if name.partition(".")[0] not in _MAY_DIFFER]
        if differing:
            raise ConfigError(
                self.path,
                f"a resumed run needs its own settings, but these differ: {', '.join(sorted(differing))}",
                f"take them from its {_SETTINGS}, or start a run in another folder",
            )

    def save(self, step: int, model: SpaceClip, state: Mapping[str, Any]) -> None:
        """Write a checkpoint, and make the link ``last`` lead to it.

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
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(parents=True)
            save_checkpoint(model, draft / _WEIGHTS, {"step": str(step)})
            with (draft / _STATE).open("wb") as file:  # given a path, torch.save hides a full disk's OSError
                torch.save(dict(state), file)
                file.flush()
                os.fsync(file.fileno())
            synchronise(draft)
            # A checkpoint of the same step has the same content and can stay.
            if not target.exists():
                draft.rename(target)
            self._point_last_to(target)
            self._remove_old(target)
        except OSError as error:
            raise ModelError(target, f"the checkpoint cannot be written ({error})", "check the space left") from error
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def load(self) -> tuple[SpaceClip, dict[str, Any]]:
        """Return the newest checkpoint's raw weights and state; no code in the files is executed.

        Raises:
            ModelError: a file is missing or damaged.
        """
        state = read_torch(self._last / _STATE)
        return load_checkpoint(self._last / _WEIGHTS), state

    def save_best(self, model: SpaceClip, metadata: Mapping[str, str]) -> None:
        """Write the best weights so far.

        Raises:
            ModelError: the file cannot be written.
        """
        save_checkpoint(model, self.best, metadata)

    def _point_last_to(self, target: Path) -> None:
        link = self.path / f".last.{os.getpid()}"
        link.unlink(missing_ok=True)
        link.symlink_to(target.relative_to(self.path))
        link.replace(self._last)
        synchronise(self.path)

    def _remove_old(self, newest: Path) -> None:
        """Remove all but the newest checkpoints, and the drafts of killed processes."""
        folders = sorted(path for path in self._checkpoints.iterdir() if path.name.isdigit() and path <= newest)
        drafts = (path for path in self._checkpoints.iterdir() if path.name.startswith("."))
        for folder in (*folders[:-_KEPT], *drafts):
            shutil.rmtree(folder, ignore_errors=True)


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

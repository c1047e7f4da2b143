"""The folder of a run: settings, checkpoints and how to go on from them.

``config.yaml`` holds the settings, ``last`` points to the newest of ``checkpoints/``, each a folder with
``model.safetensors`` (the raw weights) and ``training.pt`` (everything else a resumed run needs), and
``best.safetensors`` holds the weights with the smallest abs_rel. Every one of them appears in a single rename, so a
process that is killed leaves the old or the new one, never half of it.
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
from space_clip_ros.model import SpaceClip, load_checkpoint, save_checkpoint
from space_clip_ros.model.tensor_files import read_torch
from space_clip_ros.training_config import TrainingConfig

_MAY_DIFFER = ("run", "runtime")
_KEPT = 2


class RunFolder:
    """One run's folder.

    Args:
        path: created where it is missing.
    """

    def __init__(self, path: str | Path) -> None:
        """Name the folder; nothing is written yet."""
        self.path = Path(path)
        self._last = self.path / "last"
        self._checkpoints = self.path / "checkpoints"

    @property
    def best(self) -> Path:
        """The best weights so far."""
        return self.path / "best.safetensors"

    def start(self, config: TrainingConfig) -> None:
        """Begin a new run.

        Raises:
            ConfigError: the folder holds a run already.
        """
        if self._last.is_symlink():
            raise ConfigError(f"{self.path}: holds a run already; give --resume to go on with it, or another run.dir")
        self._checkpoints.mkdir(parents=True, exist_ok=True)
        (self.path / "config.yaml").write_text(settings.dump(config), encoding="utf-8")

    def check_same(self, config: TrainingConfig) -> None:
        """Make sure that a run to be resumed was begun with these settings.

        Raises:
            ConfigError: there is no run to resume, or a setting differs that changes results; each is named.
        """
        if not self._last.is_symlink():
            raise ConfigError(f"{self.path}: holds no checkpoint to resume from; start without --resume")
        saved = settings.to_dict(settings.load(TrainingConfig, self.path / "config.yaml"))
        asked = settings.to_dict(config)
        differing = [name for name in _leaves(saved, asked) if name.partition(".")[0] not in _MAY_DIFFER]
        if differing:
            raise ConfigError(
                f"{self.path}: a resumed run needs its own settings, but these differ: {', '.join(sorted(differing))}"
            )

    def save(self, step: int, model: SpaceClip, state: Mapping[str, Any]) -> None:
        """Write a checkpoint and let ``last`` point to it.

        Args:
            step: number of steps taken.
            model: the raw weights.
            state: tensors, numbers, text and containers of them.

        Raises:
            ModelError: it cannot be written.
        """
        target = self._checkpoints / f"{step:09d}"
        temporary = self._checkpoints / f".{step:09d}.{os.getpid()}"
        try:
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
            save_checkpoint(model, temporary / "model.safetensors", {"step": str(step)})
            torch.save(dict(state), temporary / "training.pt")
            _synchronise(temporary / "training.pt")
            _synchronise(temporary)
            # The same step twice is the same state, so what is there can stay.
            if not target.exists():
                temporary.rename(target)
            self._point_to(target)
            self._tidy(target)
        except OSError as error:
            raise ModelError(f"{target}: the checkpoint cannot be written ({error}); check the space left") from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def load(self) -> tuple[SpaceClip, dict[str, Any]]:
        """Return the newest checkpoint's raw weights and state; nothing in the files is executed.

        Raises:
            ModelError: a file is missing or damaged.
        """
        state = read_torch(self._last / "training.pt")
        return load_checkpoint(self._last / "model.safetensors"), state

    def save_best(self, model: SpaceClip, metadata: Mapping[str, str]) -> None:
        """Write the best weights so far.

        Raises:
            ModelError: the file cannot be written.
        """
        save_checkpoint(model, self.best, metadata)

    def _point_to(self, target: Path) -> None:
        link = self.path / f".last.{os.getpid()}"
        link.unlink(missing_ok=True)
        link.symlink_to(target.relative_to(self.path))
        link.replace(self._last)
        _synchronise(self.path)

    def _tidy(self, newest: Path) -> None:
        """Remove all but the newest few checkpoints, and what killed processes left half written."""
        folders = sorted(path for path in self._checkpoints.iterdir() if path.name.isdigit() and path <= newest)
        half = (path for path in self._checkpoints.iterdir() if path.name.startswith("."))
        for folder in (*folders[:-_KEPT], *half):
            shutil.rmtree(folder, ignore_errors=True)


def _leaves(first: Mapping[str, Any], second: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Return the dotted names of the leaves that differ."""
    names = []
    for key in first.keys() | second.keys():
        left, right = first.get(key), second.get(key)
        if isinstance(left, dict) and isinstance(right, dict):
            names += _leaves(left, right, f"{prefix}{key}.")
        elif left != right:
            names.append(f"{prefix}{key}")
    return names


def _synchronise(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Logs a run to Weights & Biases; the only file that imports the wandb package."""

from __future__ import annotations

import importlib.util
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.errors import ConfigError
from space_clip_ros.files import write_whole
from space_clip_ros.libraries import pip_install

_STEP = "step"
_IDENTITY = "wandb_id"


def check_wandb(project: str) -> None:
    """Check before a run that the wandb package is there if there is a project.

    Raises:
        ConfigError: it is not.
    """
    if project and importlib.util.find_spec("wandb") is None:
        remedy = f"leave run.wandb empty, or {pip_install('wandb')}"
        raise ConfigError("run.wandb", "needs the wandb package", remedy)


class WandbWriter:
    """Writes scalars and pictures of one run; writes nothing without a project.

    Args:
        folder: the run's folder: its name is the run's name, and the log is kept in it. A resumed run continues
            the same log.
        project: name of the project; empty to write nothing.
        settings: of the run, kept with it.

    Raises:
        ConfigError: the wandb package is missing, or cannot start a log, for example because nobody is logged in.
    """

    def __init__(self, folder: Path, project: str, settings: Mapping[str, Any]) -> None:
        """Start or resume the log."""
        self._run: Any = _start(folder, project, settings) if project else None

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Write numbers by name."""
        if self._run is not None:
            self._run.log({_STEP: step, **values})

    def pictures(self, name: str, pictures: Sequence[NDArray[np.uint8]], step: int) -> None:
        """Write (H, W, 3) uint8 RGB pictures."""
        if self._run is not None and pictures:
            import wandb

            self._run.log({_STEP: step, name: [wandb.Image(picture) for picture in pictures]})

    def close(self) -> None:
        """Write what is buffered."""
        if self._run is not None:
            self._run.finish()


def _start(folder: Path, project: str, settings: Mapping[str, Any]) -> Any:
    check_wandb(project)
    import wandb

    folder.mkdir(parents=True, exist_ok=True)
    try:
        run: Any = wandb.init(
            project=project,
            name=folder.name,
            id=_identity(folder),
            resume="allow",
            dir=folder,
            config=dict(settings),
            settings=wandb.Settings(console="off"),  # otherwise progress bars would be logged as lines
        )
    except (wandb.Error, OSError) as error:
        raise ConfigError(
            "run.wandb", f"the log cannot be started ({error})", "log in with 'wandb login', or set WANDB_MODE=offline"
        ) from error
    # Curves over optimiser steps: a resumed run may log a step twice.
    run.define_metric(_STEP)
    run.define_metric("*", step_metric=_STEP)
    return run


def _identity(folder: Path) -> str:
    """Return the log's identity, which a resumed run finds in its folder."""
    file = folder / _IDENTITY
    if not file.exists():
        write_whole(file, f"{secrets.token_hex(4)}\n".encode())
    return file.read_text(encoding="utf-8").strip()
